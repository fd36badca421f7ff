package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// folder writes files into a folder of the test's own.
func folder(t testing.TB, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func gz(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

func zst(text string) string {
	var b bytes.Buffer
	w, _ := zstd.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

// read returns up to n rows as JSON, one per line, and the error that ended it (nil for io.EOF).
func read(s Spec, n int) (_ string, err error) {
	r, err := Open(s)
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := r.Close(); err == nil {
			err = cerr
		}
	}()
	var out strings.Builder
	for range n {
		row, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return out.String(), err
		}
		b, err := json.Marshal(row)
		if err != nil {
			return out.String(), err
		}
		out.Write(append(b, '\n'))
	}
	return out.String(), nil
}

func TestReadsRows(t *testing.T) {
	const two = "{\"a\":\"1\",\"b\":\"x\"}\n{\"a\":\"2\",\"b\":\"y\"}\n"
	tests := []struct {
		name, file, text, want string
	}{
		{"csv", "d.csv", "a,b\n1,x\n2,y\n", two},
		{"csv without a last line break", "d.csv", "a,b\n1,x\n2,y", two},
		{"csv with CRLF", "d.csv", "a,b\r\n1,x\r\n2,y\r\n", two},
		{"csv with a byte order mark", "d.csv", "\xef\xbb\xbfa,b\n1,x\n2,y\n", two},
		{"csv with empty lines", "d.csv", "\na,b\n\n1,x\n\n2,y\n\n", two},
		{"csv with spaces in its header", "d.csv", " a, b \n1,x\n2,y\n", two},
		{"csv with quotes", "d.csv", "a,\"b\"\n\"1\",\"x \"\"y\"\", z\"\n", `{"a":"1","b":"x \"y\", z"}` + "\n"},
		{"csv with a line break in a field", "d.csv", "a,b\n1,\"x\r\ny\"\n", `{"a":"1","b":"x\ny"}` + "\n"},
		{"csv with empty fields", "d.csv", "a,b\n,\n\"\",\n", "{\"a\":\"\",\"b\":\"\"}\n{\"a\":\"\",\"b\":\"\"}\n"},
		{"csv with a header alone", "d.csv", "a,b\n", ""},
		{"tsv", "d.tsv", "a\tb\n1\tx\n2\ty\n", two},
		{"jsonl", "d.jsonl", "{\"a\":\"1\",\"b\":\"x\"}\n{\"a\":\"2\",\"b\":\"y\"}\n", two},
		{"jsonl with empty lines", "d.ndjson", "\n{\"a\":\"1\",\"b\":\"x\"}\r\n \n{\"a\":\"2\",\"b\":\"y\"}", two},
		{"jsonl of any values", "d.jsonl", "1\n\"s\"\n[1,2]\nnull\ntrue\n", "1\n\"s\"\n[1,2]\nnull\ntrue\n"},
		{"json", "d.json", " [ {\"a\":\"1\",\"b\":\"x\"} ,\n{\"a\":\"2\",\"b\":\"y\"}]\n ", two},
		{"json of any values", "d.json", `[1,"]\"",[[],"[{"],null,{"a":{}} ,-1.5e3]`, "1\n\"]\\\"\"\n[[],\"[{\"]\nnull\n{\"a\":{}}\n-1500\n"},
		{"json with an escaped backslash", "d.json", `["\\",1]`, "\"\\\\\"\n1\n"},
		{"json of nothing", "d.json", "[]", ""},
		{"gzip", "d.csv.gz", gz("a,b\n1,x\n2,y\n"), two},
		{"gzip of several members", "d.csv.gz", gz("a,b\n1,") + gz("x\n2,y\n"), two},
		{"zstd", "d.jsonl.zst", zst(two), two},
		{"zstd of several frames", "d.jsonl.zst", zst(two[:7]) + zst(two[7:]), two},
		{"compressed, whatever its name", "d.csv", gz("a,b\n1,x\n2,y\n"), two},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, map[string]string{tt.file: tt.text})
			got, err := read(Spec{Files: []string{tt.file}, Dir: dir}, 100)
			if err != nil || got != tt.want {
				t.Errorf("rows are %v\n%s, want\n%s", err, got, tt.want)
			}
		})
	}
}

func TestIntegersAreExact(t *testing.T) {
	dir := folder(t, map[string]string{"d.jsonl": "[9007199254740993, -9223372036854775808, 9223372036854775808, 1.0, 1e2, -0]\n"})
	r, err := Open(Spec{Files: []string{"d.jsonl"}, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	row, err := r.Next()
	want := []any{int64(9007199254740993), int64(-9223372036854775808), 9223372036854775808.0, 1.0, 100.0, int64(0)}
	if err != nil || fmt.Sprintf("%#v", row) != fmt.Sprintf("%#v", want) {
		t.Errorf("row is %#v, %v, want %#v", row, err, want)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name, file, text string
		want, fix        string
	}{
		{"a field too many", "u.csv", "a,b\n1,2\n\n1,2,3\n", "u.csv:4: 3 fields, the header has 2", "put a field that has a ',' into double quotes"},
		{"a field too few", "u.csv", "a,b\n1\n", "u.csv:2: 1 field, the header has 2", "add the missing fields, empty ones if need be"},
		{"a quote never closed", "u.csv", "a,b\n1,é\"\n", "u.csv:2:4: a quote stands in a field without quotes", `put the field into quotes, and write a quote in it twice: ""`},
		{"a quoted field never closed", "u.csv", "a,b\n1,2\né,\"x\n1,2\n", "u.csv:3:3: a quote is opened here and never closed", `write a quote in a quoted field twice: ""`},
		{"text after a quote", "u.csv", "a,b\n1,\"x\"y\n", "u.csv:2:6: text stands after a closing quote", `write a quote in a quoted field twice: ""`},
		{"a header twice", "u.csv", "a,b,a\n", `u.csv:1: two columns are named "a"`, "the first line must name the columns, each differently"},
		{"a header without a name", "u.csv", "a,,b\n", "u.csv:1: column 2 has no name", "the first line must name the columns"},
		{"an empty csv", "u.csv", "", "u.csv: the file is empty", "the first line must name the columns"},
		{"CR alone", "u.csv", "a,b\r1,2\r", "u.csv:1: the lines end in CR alone", "convert the file to LF, such as with tr '\\r' '\\n'"},
		{"another encoding", "u.csv", "a,b\n1,\xc4\xe3\n", "u.csv:2:3: the byte 0xc4 is not UTF-8", "save the file in UTF-8, such as with iconv -f GB18030 -t UTF-8"},
		{"another encoding in jsonl", "u.jsonl", "1\n\"é\xc4\"\n", "u.jsonl:2:3: the byte 0xc4 is not UTF-8", "save the file in UTF-8, such as with iconv -f GB18030 -t UTF-8"},
		{"UTF-16", "u.csv", "\xff\xfea\x00", "u.csv: the text is in UTF-16", "save it in UTF-8, such as with iconv -f UTF-16 -t UTF-8"},
		{"a row too long", "u.csv", "a\n" + strings.Repeat("x", 200) + "\n", "u.csv:2: the row that begins here has more than 100 bytes", ""},
		{"a row over many lines too long", "u.csv", "a\n\"" + strings.Repeat("x\n", 200), "u.csv:2: the row that begins here has more than 100 bytes", "a quote in it may never be closed"},
		{"a line of jsonl too long", "u.jsonl", "1\n" + strings.Repeat("1", 101), "u.jsonl:2: the row that begins here has more than 100 bytes", ""},
		{"an element of json too long", "u.json", "[1,\n" + strings.Repeat("1", 101) + "]", "u.json:2: the row that begins here has more than 100 bytes", ""},
		{"invalid jsonl", "u.jsonl", "{\"a\":1}\n{\"é\":1 x}\n", "u.jsonl:2:8: not JSON: expected , or } after a value, found 'x'", "each line must be one value of JSON"},
		{"two values in a line", "u.jsonl", "1 2\n", "u.jsonl:1:3: not JSON: there is more after the value: found '2'", "each line must be one value of JSON"},
		{"a value over two lines", "u.jsonl", "{\"a\":\n1}\n", "u.jsonl:1:6: not JSON: expected a value, found the end", "each line must be one value of JSON"},
		{"json that is no list", "u.json", "{\"a\":1}\n", "u.json:1:1: expected a list of rows, found '{'", "if each line is a value, name the file .jsonl"},
		{"more after the list", "u.json", "[1]\n[2]\n", "u.json:2:1: there is more after the list: found '['", "if each line is a value, name the file .jsonl"},
		{"a list that is cut off", "u.json", "[1,\n2", "u.json:2:2: the list is never closed: the file ends after 2 rows", ""},
		{"an element that is cut off", "u.json", "[1,\n{\"a\":[1", "u.json:2:8: the list is never closed: the file ends after 1 rows", ""},
		{"an invalid element", "u.json", "[1,\n  {\"a\":\n tru}]", "u.json:3:2: not JSON: expected a value, found 't'", ""},
		{"brackets that do not fit", "u.json", "[[1}]", "u.json:1:4: not JSON: expected , or ] after a value, found '}'", ""},
		{"a comma at the end", "u.json", "[1,]", "u.json:1:4: a comma stands before the end of the list", ""},
		{"no comma", "u.json", "[1 2]", "u.json:1:4: not JSON: expected , or ] after a row, found '2'", ""},
		{"an empty json", "u.json", " ", "u.json: the file is empty", "an empty list of rows is []"},
		{"a number too large", "u.jsonl", "1e999\n", "u.jsonl:1:1: not JSON: the number 1e999 is too large", "each line must be one value of JSON"},
		{"a number that begins with 0", "u.jsonl", "[01]\n", "u.jsonl:1:3: not JSON: a number begins with 0", "each line must be one value of JSON"},
		{"a control character", "u.jsonl", "\"a\tb\"\n", "u.jsonl:1:3: not JSON: a text has the control character 0x09: write \\u0009", "each line must be one value of JSON"},
		{"an empty gzip", "u.csv.gz", "", "u.csv.gz: this is not a file of gzip: it is empty", ""},
		{"plain text named gzip", "u.csv.gz", "a,b\n", `u.csv.gz: this is not a file of gzip: it begins with "a,b\n"`, ""},
		{"a gzip that is cut off", "u.csv.gz", gz("a,b\n1,2\n")[:20], "u.csv.gz: the gzip file ends too early", "copy it again, it was cut off"},
		{"a zstd that is cut off", "u.csv.zst", zst("a,b\n1,2\n")[:15], "u.csv.zst: the zstd file ends too early", "copy it again, it was cut off"},
		{"parquet by its name", "u.parquet", "PAR1", "u.parquet: parquet cannot be read yet", "convert it: duckdb -c \"COPY (FROM 'rows.parquet') TO 'rows.jsonl' (FORMAT json)\""},
		{"parquet by its bytes", "u.csv", "PAR1", "u.csv: parquet cannot be read yet", "convert it: duckdb -c \"COPY (FROM 'rows.parquet') TO 'rows.jsonl' (FORMAT json)\""},
		{"an unknown extension", "u.txt", "a", `u.txt: the extension ".txt" does not tell the format`, "end the name in .csv, .tsv, .jsonl or .json, and .gz or .zst after it if it is compressed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, map[string]string{tt.file: tt.text})
			for _, order := range []Order{Once, Cycle, Shuffle} {
				_, err := read(Spec{Files: []string{tt.file}, Dir: dir, Order: order, MaxRowBytes: 100}, 100)
				check(t, err, tt.want, tt.fix)
			}
		})
	}
}

func check(t *testing.T, err error, want, fix string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want %s", err, want)
	}
	if err.Error() != want || e.Fix != fix {
		t.Errorf("error is\n%s\n%s, want\n%s\n%s", err, e.Fix, want, fix)
	}
}

func TestFiles(t *testing.T) {
	dir := folder(t, map[string]string{
		"b.csv": "a\nb\n", "a.csv": "a\na\n", "c.csv": "x\nc\n", "[1].csv": "a\n1\n", "none.csv": "a\n", "sub/d.csv": "a\nd\n",
	})
	tests := []struct {
		name  string
		spec  Spec
		rows  string // the values of column a
		error string
		fix   string
	}{
		{"a list keeps its order", Spec{Files: []string{"b.csv", "a.csv", "b.csv"}}, "b a b", "", ""},
		{"a glob is sorted", Spec{Files: []string{"[ab].csv"}}, "a b", "", ""},
		{"a name that looks like a glob", Spec{Files: []string{"[1].csv"}}, "1", "", ""},
		{"a glob passes over folders", Spec{Files: []string{"s*/*"}}, "d", "", ""},
		{"an absolute path", Spec{Files: []string{filepath.Join(dir, "a.csv")}}, "a", "", ""},
		{"files without rows among others", Spec{Files: []string{"none.csv", "a.csv", "none.csv"}}, "a", "", ""},
		{"a list with standard input", Spec{Files: []string{"a.csv", "-"}, Stdin: strings.NewReader("a\ni\n")}, "a i", "", ""},
		{"no files", Spec{}, "", "no files are named", `name a file, a glob, or "-" for standard input`},
		{"an empty name", Spec{Files: []string{""}}, "", "the name of a file is empty", ""},
		{"standard input twice", Spec{Files: []string{"-", "-"}, Stdin: strings.NewReader("")}, "", "-: standard input is listed twice", ""},
		{"no standard input", Spec{Files: []string{"-"}}, "", "-: there is no standard input here", ""},
		{"a glob that matches nothing", Spec{Files: []string{"x*.csv"}}, "", "x*.csv: no file matches", "relative paths start in " + dir},
		{"a glob of folders alone", Spec{Files: []string{"su*"}}, "", "su*: no file matches", "relative paths start in " + dir},
		{"a malformed glob", Spec{Files: []string{"[a"}}, "", "[a: the glob is malformed", "close each [ with ]"},
		{"a file that is not there", Spec{Files: []string{"z.csv"}}, "", "z.csv: there is no such file", "relative paths start in " + dir},
		{"a file of another extension", Spec{Files: []string{"a.jsonl"}}, "", "a.jsonl: there is no such file", "did you mean a.csv?"},
		{"a folder", Spec{Files: []string{"sub"}}, "", "sub: this is a directory", "name the files in it: sub/*.csv"},
		{"other columns", Spec{Files: []string{"a.csv", "c.csv"}}, "a", "c.csv:1: the columns are x, those of a.csv are a",
			"files that are read together need the same columns in the same order"},
		{"an unknown order", Spec{Files: []string{"a.csv"}, Order: "random"}, "", `order "random" is unknown`, "write once, cycle or shuffle"},
		{"an unknown format", Spec{Files: []string{"a.csv"}, Format: "xml"}, "", `format "xml" is unknown`, "write csv, tsv, jsonl or json"},
		{"too many files", Spec{Files: []string{"*.csv"}, MaxFiles: 2}, "", "*.csv: these are more than 2 files", ""},
		{"a limit out of range", Spec{Files: []string{"a.csv"}, MaxRowBytes: 1 << 24}, "", "the limit of 16777216 bytes for a row is out of range", "choose 1 to 16777215"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.Dir = dir
			rows, err := column(tt.spec, "a", 100)
			if got := strings.Join(rows, " "); got != tt.rows {
				t.Errorf("rows are %q, want %q", got, tt.rows)
			}
			if tt.error != "" {
				check(t, err, tt.error, tt.fix)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// column returns the values of one column of up to n rows.
func column(s Spec, name string, n int) ([]string, error) {
	r, err := Open(s)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []string
	for range n {
		row, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, fmt.Sprint(row.(map[string]any)[name]))
	}
	return out, nil
}

func TestStandardInput(t *testing.T) {
	tests := []struct {
		name, text, format, want string
	}{
		{"csv", "a,b\n1,2\n", "", `{"a":"1","b":"2"}`},
		{"tsv", "a\tb\n1\t2\n", "", `{"a":"1","b":"2"}`},
		{"jsonl", "\n{\"a\":1}\n", "", `{"a":1}`},
		{"json", " [{\"a\":1}]", "", `{"a":1}`},
		{"compressed", gz("{\"a\":1}\n"), "", `{"a":1}`},
		{"a format that is told", "[1]\n[2]\n", "jsonl", "[1]\n[2]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := read(Spec{Files: []string{"-"}, Stdin: strings.NewReader(tt.text), Format: tt.format}, 100)
			if err != nil || got != tt.want+"\n" {
				t.Errorf("rows are %v\n%s, want\n%s", err, got, tt.want)
			}
		})
	}
}

func TestStandardInputIsNotWaitedForBeyondALine(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	go out.Write([]byte("{\"a\":1}\n"))
	r, err := Open(Spec{Files: []string{"-"}, Stdin: in})
	if err != nil {
		t.Fatal(err)
	}
	if row, err := r.Next(); err != nil || row.(map[string]any)["a"] != int64(1) {
		t.Errorf("row is %v, %v", row, err)
	}
}

// sources are the ways in which the rows a=0..4 may come.
func sources(t *testing.T) map[string]func() Spec {
	const text = "a\n0\n1\n2\n3\n4\n"
	dir := folder(t, map[string]string{
		"d.csv": "\xef\xbb\xbf" + text, "d.csv.gz": gz(text), "d.csv.zst": zst(text), "d.jsonl": "{\"a\":0}\n{\"a\":1}\n\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}",
		"d.json": "[{\"a\":0},{\"a\":1},\n {\"a\":2} ,{\"a\":3},{\"a\":4}]", "1.csv": "a\n0\n1\n", "2.csv": "a\n", "3.csv": "a\n2\n3\n4\n",
	})
	ways := make(map[string]func() Spec)
	for _, name := range []string{"d.csv", "d.csv.gz", "d.csv.zst", "d.jsonl", "d.json", "[123].csv"} {
		ways[name] = func() Spec { return Spec{Files: []string{name}, Dir: dir} }
	}
	ways["-"] = func() Spec { return Spec{Files: []string{"-"}, Stdin: strings.NewReader(text)} }
	ways["- in gzip"] = func() Spec { return Spec{Files: []string{"-"}, Stdin: strings.NewReader(gz(text))} }
	ways["- without a last line break"] = func() Spec { return Spec{Files: []string{"-"}, Stdin: strings.NewReader(text[:len(text)-1])} }
	ways["- and a file"] = func() Spec {
		return Spec{Files: []string{"-", "3.csv"}, Dir: dir, Stdin: strings.NewReader("a\n0\n1\n")}
	}
	return ways
}

func TestCycle(t *testing.T) {
	for name, way := range sources(t) {
		t.Run(name, func(t *testing.T) {
			spec := way()
			spec.Order, spec.TempDir = Cycle, t.TempDir()
			rows, err := column(spec, "a", 12)
			if got := strings.Join(rows, ""); err != nil || got != "012340123401" {
				t.Errorf("rows are %s, %v", got, err)
			}
			if left, _ := os.ReadDir(spec.TempDir); len(left) != 0 {
				t.Errorf("Close left %v", left)
			}
		})
	}
}

func TestShuffle(t *testing.T) {
	for name, way := range sources(t) {
		t.Run(name, func(t *testing.T) {
			order := func(seed uint64) []string {
				spec := way()
				spec.Order, spec.Seed, spec.TempDir = Shuffle, seed, t.TempDir()
				rows, err := column(spec, "a", 5*20)
				if err != nil {
					t.Fatal(err)
				}
				if left, _ := os.ReadDir(spec.TempDir); len(left) != 0 {
					t.Errorf("Close left %v", left)
				}
				return rows
			}
			rows := order(1)
			if !slices.Equal(rows, order(1)) {
				t.Error("the same seed gives another order")
			}
			if slices.Equal(rows, order(2)) {
				t.Error("another seed gives the same order")
			}
			passes := make(map[string]bool)
			for pass := range slices.Chunk(rows, 5) {
				passes[strings.Join(pass, "")] = true
				sorted := slices.Sorted(slices.Values(pass))
				if got := strings.Join(sorted, ""); got != "01234" {
					t.Errorf("a pass has the rows %s", got)
				}
			}
			if len(passes) < 10 {
				t.Errorf("20 passes have %d orders", len(passes))
			}
		})
	}
}
