package scenarios

import (
	"bytes"
	_ "embed"
	"regexp"
)

//go:embed starter.yaml
var starter []byte

// Starter returns a commented scenario to start from, which runs as it stands
// on the emulator inside the program. A name that cannot be one of a run is
// not used.
func Starter(name string) []byte {
	if !regexp.MustCompile(runName).MatchString(name) {
		name = "hello"
	}
	return bytes.Replace(starter, []byte("name: hello\n"), []byte("name: "+quoteYAML(name)+"\n"), 1)
}
