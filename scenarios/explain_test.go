package scenarios

import (
	"os"
	"testing"
)

func TestX(t *testing.T) {
	src, _ := os.ReadFile("../examples/fan-out.yaml")
	c, err := Load("../examples/fan-out.yaml", src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	Explain(c, os.Stdout)
}
