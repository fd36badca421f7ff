//go:build linux

package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	all, err := choose("all")
	if err != nil || len(all) != len(bars()) {
		t.Errorf("all are %d, %v", len(all), err)
	}
	some, err := choose("9,1")
	if err != nil || len(some) != 2 || some[0].number != 9 || some[1].number != 1 {
		t.Errorf("9,1 are %v, %v", some, err)
	}
	if _, err := choose("1,7"); err == nil || !strings.Contains(err.Error(), `no bar "7"`) {
		t.Errorf("the error is %v", err)
	}
}

// Every program that a bar needs comes from somewhere.
func TestToolsAreKnown(t *testing.T) {
	for _, b := range bars() {
		for _, name := range b.tools {
			if debian()[name] == "" && modules()[name] == "" {
				t.Errorf("B%d needs %s, of which nobody knows where it comes from", b.number, name)
			}
		}
	}
}

// Peers send what volley sends.
func TestSameBody(t *testing.T) {
	body, err := os.ReadFile("body.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(body) != 101 {
		t.Errorf("the body has %d bytes, want 101", len(body))
	}
	for _, name := range []string{"plain.yaml", "checked.yaml", "h2.yaml", "open.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "    data: "+string(body)+"\n") {
			t.Errorf("%s does not send body.json", name)
		}
	}
}

func TestNginxCount(t *testing.T) {
	const status = "Active connections: 1 \nserver accepts handled requests\n 7 7 1234 \nReading: 0 Writing: 1 Waiting: 0 \n"
	if n, err := nginxCount([]byte(status), 4); n != 1230 || err != nil {
		t.Errorf("%d requests, %v; want 1230", n, err)
	}
	if _, err := nginxCount([]byte("<html>"), 0); err == nil {
		t.Error("a page counts as a status")
	}
}

func TestStatusField(t *testing.T) {
	const status = "Name:\tvolley\nVmHWM:\t   25600 kB\nRssAnon:\t   12800 kB\n"
	for field, want := range map[string]int64{"VmHWM": 25600 << 10, "RssAnon": 12800 << 10, "Name": 0, "Rss": 0} {
		if got := statusField(status, field); got != want {
			t.Errorf("%s is %d, want %d", field, got, want)
		}
	}
}

// Whatever a thread was bound to meanwhile, it comes back as it was.
func TestOn(t *testing.T) {
	all, err := cores()
	if err != nil || len(all) == 0 {
		t.Fatalf("cores are %v, %v", all, err)
	}
	var there []int
	if err := on(all[0], func() (err error) { there, err = cores(); return err }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(there, all[:1]) {
		t.Errorf("bound to %d, it may use %v", all[0], there)
	}
	if back, err := cores(); !slices.Equal(back, all) {
		t.Errorf("then it may use %v, %v; want %v", back, err, all)
	}
}
