package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var errBoom = errors.New("boom")

// small is the same three rows in every format.
func small() map[string]string {
	texts := map[string]string{
		"csv":   "a,b\n0,x\n1,\"y\n\"\n2,z\n",
		"tsv":   "a\tb\n0\tx\n1\ty\n2\tz\n",
		"jsonl": "{\"a\":0}\n{\"a\":1}\n{\"a\":2}\n",
		"json":  "[{\"a\":0},\n{\"a\":1},{\"a\":2}]\n",
	}
	for _, format := range []string{"csv", "tsv", "jsonl", "json"} {
		texts[format+".gz"] = gz(texts[format])
		texts[format+".zst"] = zst(texts[format])
	}
	return texts
}

func TestReadErrorAtAnyByteIsNeverTheEnd(t *testing.T) {
	for kind, text := range small() {
		format, _, _ := strings.Cut(kind, ".")
		for _, order := range []Order{Once, Cycle, Shuffle} {
			t.Run(kind+" "+string(order), func(t *testing.T) {
				temp := t.TempDir()
				for n := range len(text) + 1 {
					for _, chunk := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.DataErrReader} {
						in := chunk(io.MultiReader(strings.NewReader(text[:n]), iotest.ErrReader(errBoom)))
						rows, err := column(Spec{Files: []string{"-"}, Stdin: in, Format: format, Order: order, TempDir: temp}, "a", 10)
						if err == nil {
							t.Fatalf("an error at byte %d of %d gives the rows %v and no error", n, len(text), rows)
						}
						if !errors.Is(err, errBoom) {
							t.Errorf("an error at byte %d is told as %v", n, err)
						}
					}
				}
			})
		}
	}
}

func TestCompressedFileCutAtAnyByteIsAnError(t *testing.T) {
	for kind, text := range small() {
		if !strings.HasSuffix(kind, ".gz") && !strings.HasSuffix(kind, ".zst") {
			continue
		}
		for _, order := range []Order{Once, Cycle, Shuffle} {
			dir, temp := t.TempDir(), t.TempDir()
			for n := range len(text) {
				if err := os.WriteFile(filepath.Join(dir, "d."+kind), []byte(text[:n]), 0o644); err != nil {
					t.Fatal(err)
				}
				rows, err := column(Spec{Files: []string{"d." + kind}, Dir: dir, Order: order, TempDir: temp}, "a", 10)
				if err == nil {
					t.Errorf("%s %s cut at byte %d of %d gives the rows %v and no error", order, kind, n, len(text), rows)
				}
			}
		}
	}
}

func TestCompressedFileWithAnyBitFlippedIsNeverOtherRows(t *testing.T) {
	for kind, text := range small() {
		if !strings.HasSuffix(kind, ".gz") && !strings.HasSuffix(kind, ".zst") {
			continue
		}
		format, _, _ := strings.Cut(kind, ".")
		good, err := column(Spec{Files: []string{"-"}, Stdin: strings.NewReader(text), Format: format}, "a", 10)
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(text) * 8 {
			b := []byte(text)
			b[n/8] ^= 1 << (n % 8)
			rows, err := column(Spec{Files: []string{"-"}, Stdin: bytes.NewReader(b), Format: format}, "a", 10)
			if err == nil && fmt.Sprint(rows) != fmt.Sprint(good) {
				t.Errorf("%s with bit %d flipped gives the rows %v and no error", kind, n, rows)
			}
		}
	}
}

func TestFileThatChangesIsAnError(t *testing.T) {
	const later = "d.csv: the file changed while it was in use: it had 8 bytes, now it has %d"
	tests := []struct {
		name   string
		order  Order
		change func(path string) error
		want   int
	}{
		{"grows, in a cycle", Cycle, func(p string) error { return os.WriteFile(p, []byte("a\n0\n1\n2\n3\n"), 0o644) }, 10},
		{"grows, in a shuffle", Shuffle, func(p string) error { return os.WriteFile(p, []byte("a\n0\n1\n2\n3\n"), 0o644) }, 10},
		{"shrinks, in a shuffle", Shuffle, func(p string) error { return os.Truncate(p, 3) }, 3},
		{"shrinks, once", Once, func(p string) error { return os.Truncate(p, 3) }, 3},
		{"has another time, in a cycle", Cycle, func(p string) error { return os.Chtimes(p, time.Time{}, time.Now().Add(time.Hour)) }, 8},
		{"is replaced, in a cycle", Cycle, func(p string) error {
			if err := os.WriteFile(p+"2", []byte("a\n4\n5\n"), 0o644); err != nil {
				return err
			}
			return os.Rename(p+"2", p)
		}, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"d.csv": "a\n0\n1\n2\n"})
			r, err := Open(Spec{Files: []string{"d.csv"}, Dir: dir, Order: tt.order})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
			if err := tt.change(filepath.Join(dir, "d.csv")); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				if _, err = r.Next(); err != nil {
					break
				}
			}
			check(t, err, fmt.Sprintf(later, tt.want), "give each run a file that nobody writes to")
		})
	}
}

func TestRepeatingNothingIsAnError(t *testing.T) {
	for name, text := range map[string]string{"d.csv": "a\n", "d.jsonl": "", "d.json": "[]"} {
		dir := folder(t, map[string]string{name: text})
		for _, order := range []Order{Cycle, Shuffle} {
			_, err := column(Spec{Files: []string{name}, Dir: dir, Order: order}, "a", 1)
			check(t, err, name+": there are no rows", "a dataset that is repeated needs at least one")
		}
	}
}

func TestLimits(t *testing.T) {
	dir := folder(t, map[string]string{"d.csv": "a\n0\n1\n2\n"})
	_, err := column(Spec{Files: []string{"d.csv"}, Dir: dir, Order: Shuffle, MaxRows: 2}, "a", 9)
	check(t, err, "d.csv:4: there are more than 2 rows, too many to shuffle", "use order: cycle")
	temp := t.TempDir()
	for _, order := range []Order{Cycle, Shuffle} {
		in := strings.NewReader(strings.Repeat("a\n", 50))
		_, err = column(Spec{Files: []string{"-"}, Stdin: in, Order: order, MaxSpoolBytes: 99, TempDir: temp}, "a", 99)
		check(t, err, "-: the temporary copy has more than 99 bytes", "put the rows into a plain file")
	}
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("after an error there is still %v", left)
	}
}

func TestErrorsStay(t *testing.T) {
	dir := folder(t, map[string]string{"d.csv": "a\n0\n1,1\n2\n"})
	r, err := Open(Spec{Files: []string{"d.csv"}, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r.Next()
	_, first := r.Next()
	_, second := r.Next()
	if first == nil || first != second {
		t.Errorf("errors are %v, then %v", first, second)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("a second Close is %v", err)
	}
	r, err = Open(Spec{Files: []string{"d.csv"}, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	_, err = r.Next()
	check(t, err, "the dataset is closed", "")
}

func TestPosition(t *testing.T) {
	files := map[string]string{"1.csv": "a\n2\n\"3\n\"\n\n6\n", "2.jsonl": "{\"a\":1}\n\n{\"a\":3}\n", "3.json": "[\n{\"a\":\n2},{\"a\":3},\n{\"a\":5}\n]"}
	for _, order := range []Order{Once, Cycle, Shuffle} {
		for file, lines := range map[string]string{"1.csv": "2 3 6", "2.jsonl": "1 3", "3.json": "2 3 4"} {
			r, err := Open(Spec{Files: []string{file}, Dir: folder(t, files), Order: order})
			if err != nil {
				t.Fatal(err)
			}
			if p := r.Position(); p != (Position{}) {
				t.Errorf("before the first row, the position is %v", p)
			}
			got := make(map[string]bool)
			for range strings.FieldsSeq(lines) {
				row, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				p := r.Position()
				if p.File != file || p.Pass != 0 {
					t.Errorf("position is %v", p)
				}
				got[fmt.Sprint(p.Line)] = true
				if a := fmt.Sprint(row.(map[string]any)["a"]); file == "1.csv" && fmt.Sprint(p.Line) != strings.TrimSpace(a) {
					t.Errorf("%s: the row %q is said to be at %v", order, a, p)
				}
			}
			for line := range strings.FieldsSeq(lines) {
				if !got[line] {
					t.Errorf("%s %s: no row is at line %s, but at %v", order, file, line, got)
				}
			}
			if order != Once {
				if _, err := r.Next(); err != nil || r.Position().Pass != 1 {
					t.Errorf("in the second pass, the position is %+v, %v", r.Position(), err)
				}
			}
			r.Close()
		}
	}
}

func TestPositionInALargeShuffle(t *testing.T) {
	var b strings.Builder
	b.WriteString("a,b\n")
	const rows = 40_000 // 4 MB: several milestones
	for i := range rows {
		fmt.Fprintf(&b, "%d,%s\n", i+2, strings.Repeat("x", 90))
	}
	dir := folder(t, map[string]string{"d.csv": b.String(), "e.csv.gz": gz(b.String())})
	r, err := Open(Spec{Files: []string{"d.csv", "e.csv.gz"}, Dir: dir, Order: Shuffle})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	seen := make(map[string]bool)
	for i := range 2 * rows {
		row, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		p := Position{}
		if i%97 == 0 {
			p = r.Position()
			if fmt.Sprint(p.Line) != row.(map[string]any)["a"] {
				t.Fatalf("the row %v is said to be at %v", row.(map[string]any)["a"], p)
			}
			seen[p.String()] = true
		}
	}
	if len(seen) != 825 { // each position once
		t.Errorf("%d positions were seen", len(seen))
	}
}

func TestManyFilesShuffle(t *testing.T) {
	files := make(map[string]string)
	for i := range 3 * maxOpenFiles {
		files[fmt.Sprintf("%03d.csv", i)] = fmt.Sprintf("a\n%d\n", i)
	}
	r, err := Open(Spec{Files: []string{"*.csv"}, Dir: folder(t, files), Order: Shuffle})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.spool == nil || r.sources[0].file != nil {
		t.Error("many files are kept open")
	}
	seen := make(map[any]bool)
	for range files {
		row, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		seen[row.(map[string]any)["a"]] = true
	}
	if len(seen) != len(files) {
		t.Errorf("%d of %d rows came in the first pass", len(seen), len(files))
	}
}

func TestRowsDoNotAlias(t *testing.T) {
	for name, way := range sources(t) {
		for _, order := range []Order{Cycle, Shuffle} {
			spec := way()
			spec.Order = order
			r, err := Open(spec)
			if err != nil {
				t.Fatal(err)
			}
			var rows []map[string]any
			var texts []string
			for range 12 {
				row, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				m := row.(map[string]any)
				rows, texts = append(rows, m), append(texts, strings.Clone(fmt.Sprint(m["a"])))
			}
			r.Close()
			for i, m := range rows {
				if fmt.Sprint(m["a"]) != texts[i] {
					t.Errorf("%s %s: row %d was %s, and became %v", name, order, i, texts[i], m["a"])
				}
			}
			rows[0]["a"] = "mine"
			if rows[5]["a"] == "mine" {
				t.Errorf("%s: two rows are one", name)
			}
		}
	}
}

func TestInspect(t *testing.T) {
	var large strings.Builder
	large.WriteString("n\n")
	for i := range inspectRows + 5 {
		fmt.Fprintln(&large, i)
	}
	packed := gz("a,b\n5,6\n")
	dir := folder(t, map[string]string{"a.csv": "a,b\n1,2\n3,4\n", "b.csv.gz": packed, "l.csv": large.String(), "bad.jsonl": "1\n{"})
	tests := []struct {
		files []string
		want  string
	}{
		{[]string{"*.csv.gz", "a.csv"}, fmt.Sprintf("{Files:[{Name:b.csv.gz Format:csv Packed:gzip Bytes:%d} {Name:a.csv Format:csv Packed: Bytes:12}] Columns:[a b] First:map[a:5 b:6] Rows:3 Counted:true}", len(packed))},
		{[]string{"a.csv", "-"}, "{Files:[{Name:a.csv Format:csv Packed: Bytes:12} {Name:- Format: Packed: Bytes:-1}] Columns:[a b] First:map[a:1 b:2] Rows:2 Counted:false}"},
		{[]string{"-"}, "{Files:[{Name:- Format: Packed: Bytes:-1}] Columns:[] First:<nil> Rows:0 Counted:false}"},
		{[]string{"l.csv"}, "{Files:[{Name:l.csv Format:csv Packed: Bytes:588927}] Columns:[n] First:map[n:0] Rows:100000 Counted:false}"},
	}
	for _, tt := range tests {
		sum, err := Inspect(Spec{Files: tt.files, Dir: dir, Order: Shuffle})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%+v", *sum); got != tt.want {
			t.Errorf("Inspect = %s, want %s", got, tt.want)
		}
	}
	_, err := Inspect(Spec{Files: []string{"bad.jsonl"}, Dir: dir})
	check(t, err, "bad.jsonl:2:2: not JSON: expected a key in double quotes, found the end", "each line must be one value of JSON")
}
