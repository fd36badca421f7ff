package runner

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxFlag bounds what run.json keeps of one flag, in bytes: a body may be long.
const maxFlag = 1024

// masked returns the flags of a command line as run.json keeps them: without
// the values of -e and of whatever is called like a secret, and with mask
// over all the rest.
func masked(given map[string]any, mask func(string) string) map[string]any {
	kept := make(map[string]any, len(given))
	for flag, value := range given {
		switch v := value.(type) {
		case string:
			kept[flag] = short(mask(v))
		case []string:
			list := make([]string, len(v))
			for i, s := range v {
				list[i] = short(mask(unsaid(flag, s)))
			}
			kept[flag] = list
		default: // a switch
			kept[flag] = v
		}
	}
	return kept
}

// hidden stands where a secret was.
const hidden = "[secret]"

// unsaid takes the value out of NAME=VALUE, path=value and 'Name: value'
// where it is or may be a secret.
func unsaid(flag, s string) string {
	switch flag {
	case "e": // the environment is where secrets are
		name, _, _ := strings.Cut(s, "=")
		return name + "=" + hidden
	case "set":
		if path, _, _ := strings.Cut(s, "="); secretive(path) {
			return path + "=" + hidden
		}
	case "header":
		if name, _, _ := strings.Cut(s, ":"); secretive(name) {
			return name + ": " + hidden
		}
	}
	return s
}

// secretive reports whether what has this name may be a secret. It errs on the
// side of yes: nothing depends on what is kept here.
func secretive(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"auth", "cookie", "key", "password", "secret", "session", "sign", "token"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

func short(s string) string {
	if len(s) <= maxFlag {
		return s
	}
	end := maxFlag
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:end], len(s))
}
