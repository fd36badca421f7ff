package dataset

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// all returns all rows of a text and its columns, and an error but for io.EOF.
func all(t *testing.T, text, format string) ([]any, []string, error) {
	t.Helper()
	r, err := Open(Spec{Files: []string{"-"}, Stdin: strings.NewReader(text), Format: format, MaxRowBytes: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var rows []any
	for {
		row, err := r.Next()
		if err == io.EOF {
			return rows, r.header.names, nil
		}
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, row)
	}
}

// sameByOffset checks that a shuffle has the same rows as a reading from the first to the last.
func sameByOffset(t *testing.T, text, format string, rows []any) {
	t.Helper()
	if len(rows) == 0 {
		return
	}
	r, err := Open(Spec{Files: []string{"-"}, Stdin: strings.NewReader(text), Format: format, MaxRowBytes: 1 << 16, Order: Shuffle, TempDir: t.TempDir()})
	if err != nil {
		t.Fatalf("rows that can be read cannot be shuffled: %v", err)
	}
	defer r.Close()
	want := make(map[string]int)
	for _, row := range rows {
		want[fmt.Sprintf("%#v", row)]++
	}
	for range rows {
		row, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("%#v", row)
		if want[key]--; want[key] < 0 {
			t.Fatalf("the shuffle has the row %s too often", key)
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a\n\"x\n\"\"y\"\"\"\r\n", "\xef\xbb\xbfa,b\r\n,\r\n", "a,b\n\"1\"x,2\n", "a\n\"", "a,a\n", "é\n\xc4\n", "a\n1\r", "\r\r\n\"\r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rows, names, err := all(t, text, formatCSV)
		c := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\xef\xbb\xbf")))
		c.FieldsPerRecord = 0
		want, wantErr := c.ReadAll()
		if err != nil {
			if wantErr == nil && len(want) > 0 && utf8.ValidString(text) && len(text) < 1<<16 {
				why := err.(*Error)
				for _, ours := range []string{"CR alone", "has no name", "are named", "UTF-16", "parquet", "gzip", "zstd"} {
					if strings.Contains(why.Problem, ours) {
						return
					}
				}
				t.Fatalf("refused with %v, encoding/csv has %q", err, want)
			}
			return
		}
		if strings.HasPrefix(text, "\x1f\x8b") || strings.HasPrefix(text, "\x28\xb5\x2f\xfd") {
			return
		}
		if wantErr != nil {
			t.Fatalf("rows are %v, encoding/csv refuses with %v", rows, wantErr)
		}
		if len(rows) != len(want)-1 {
			t.Fatalf("%d rows, encoding/csv has %d", len(rows), len(want)-1)
		}
		if strings.HasPrefix(names[0], "\ufeff") {
			return // a second byte order mark is the name's; written alone it would be the file's
		}
		var again bytes.Buffer
		w := csv.NewWriter(&again)
		w.Write(names)
		w.Flush()
		for i, row := range rows {
			m := row.(map[string]any)
			var record []string
			for j, n := range names {
				if m[n] != want[i+1][j] {
					t.Fatalf("row %d has %q as %s, encoding/csv has %q", i, m[n], n, want[i+1][j])
				}
				if strings.Contains(want[i+1][j]+n, "\r\n") {
					return // in a quoted field CR LF reads as LF, so this one cannot be written
				}
				record = append(record, m[n].(string))
			}
			if len(record) == 1 && record[0] == "" {
				fmt.Fprint(&again, "\"\"\n") // csv.Writer makes an empty line, which is no row
				continue
			}
			w.Write(record)
			w.Flush()
		}
		w.Flush()
		sameByOffset(t, text, formatCSV, rows)
		reloaded, _, err := all(t, again.String(), formatCSV)
		if err != nil || len(rows) > 0 && !reflect.DeepEqual(reloaded, rows) {
			t.Fatalf("rows %q\nreload as %q, %v\nfrom %q", rows, reloaded, err, again.String())
		}
	})
}

// standard parses as encoding/json does, with numbers as this package has them.
func standard(s string) (any, error) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more after the value")
	}
	return convert(v)
}

func convert(v any) (any, error) {
	var err error
	switch t := v.(type) {
	case json.Number:
		if n, err := t.Int64(); err == nil {
			return n, nil
		}
		return t.Float64()
	case map[string]any:
		for k, e := range t {
			if t[k], err = convert(e); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, e := range t {
			if t[i], err = convert(e); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func FuzzJSONValue(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0.5e3,null,true,false,"x\n\u00e9\ud83d\ude00\ud800"]}`, `[1,2`, `"\ud800\u0041"`, `01`, `-`, `{"a":1,"a":2}`, ` 9007199254740993 `, `"\/"`, `1.`, `tru`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) || strings.Count(s, "[")+strings.Count(s, "{") > maxJSONDepth {
			return
		}
		got, bad := parseJSON(s)
		want, err := standard(s)
		if (bad == nil) != (err == nil) {
			t.Fatalf("error is %v, that of encoding/json is %v", bad, err)
		}
		if bad != nil {
			if bad.offset < 0 || bad.offset > len(s) {
				t.Fatalf("offset is %d of %d", bad.offset, len(s))
			}
			return
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("value is %#v, encoding/json has %#v", got, want)
		}
	})
}

func FuzzJSONL(f *testing.F) {
	for _, s := range []string{"{\"a\":1}\n{\"a\":2}\n", "1\n\n2", "[1]\r\n", "\"\xff\"", "{", "\xef\xbb\xbf1", "1 2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rows, _, err := all(t, text, formatJSONL)
		if err != nil {
			return
		}
		sameByOffset(t, text, formatJSONL, rows)
		roundTrip(t, rows, formatJSONL, "", "\n", "\n")
	})
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`[{"a":1},{"a":"]"}]`, "[1 , 2]\n", `["\"",[[]]]`, `[]`, `[1,]`, `[1}`, `[nul`, "[\xff]", `[1]2`, `["a" "b"]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rows, _, err := all(t, text, formatJSON)
		plain := strings.TrimPrefix(text, "\xef\xbb\xbf")
		if utf8.ValidString(text) && len(text) < 1<<16 && strings.Count(text, "[")+strings.Count(text, "{") < maxJSONDepth && !strings.HasPrefix(text, "PAR1") {
			want, wantErr := standard(plain)
			l, isList := want.([]any)
			if (err == nil) != (wantErr == nil && isList) {
				t.Fatalf("error is %v, encoding/json has %v, %v", err, want, wantErr)
			}
			if err == nil && len(l)+len(rows) > 0 && !reflect.DeepEqual(rows, l) {
				t.Fatalf("rows are %#v, encoding/json has %#v", rows, l)
			}
		}
		if err != nil {
			return
		}
		sameByOffset(t, text, formatJSON, rows)
		roundTrip(t, rows, formatJSON, "[", ",", "]")
	})
}

// roundTrip checks that rows that are written out are read as the same rows.
func roundTrip(t *testing.T, rows []any, format, open, between, end string) {
	t.Helper()
	var parts []string
	for _, row := range rows {
		b, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(b))
	}
	text := open + strings.Join(parts, between) + end
	again, _, err := all(t, text, format)
	if err != nil {
		t.Fatalf("%q does not reload: %v", text, err)
	}
	for i := range rows {
		a, _ := json.Marshal(rows[i])
		if b, _ := json.Marshal(again[i]); len(rows) != len(again) || string(a) != string(b) {
			t.Fatalf("row %d is %s, and reloads as %s", i, a, b)
		}
	}
}
