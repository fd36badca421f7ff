package record

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
)

// smallRun records n results over a few seconds into a folder, and returns it
// with the document of what was recorded.
func smallRun(t *testing.T, n int) (dir, want string) {
	t.Helper()
	dir = t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r, err := Create(Options{Dir: dir, Plan: examplePlan(), Start: start, Tally: exampleTally(start)})
		if err != nil {
			t.Fatal(err)
		}
		feed(r, 3, n, 2950*ms/time.Duration(n))
		totals, err := r.Close()
		if err != nil {
			t.Fatal(err)
		}
		want = document(t, totals.Document())
	})
	return dir, want
}

// TestRebuildAfterACut cuts each of the two files at one byte after the other,
// as a crash might, and holds that what is left is read, told, and consistent.
func TestRebuildAfterACut(t *testing.T) {
	dir, want := smallRun(t, 6)
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	counts, log := read(CountsFile), read(SeriesFile)
	header := bytes.IndexByte(counts, '\n') + 1

	for cut := range len(counts) {
		if !worthACut(counts, cut) {
			continue
		}
		totals, err := rebuild(bytes.NewReader(counts[:cut]), bytes.NewReader(log))
		if cut < header {
			if err == nil {
				t.Fatalf("counts cut at %d, within the header: no error", cut)
			}
			continue
		}
		if err != nil {
			t.Fatalf("counts cut at %d: %v", cut, err)
		}
		whole := bytes.Count(counts[:cut], []byte("\n")) - 1
		checkConsistent(t, fmt.Sprintf("counts cut at %d", cut), totals)
		if torn := counts[cut-1] != '\n'; torn != strings.Contains(strings.Join(totals.Notes(), "\n"), CountsFile+": its last line was cut off") {
			t.Errorf("counts cut at %d: notes %q", cut, totals.Notes())
		}
		if c, _ := totals.Counts(""); c.Total+totals.Excluded().Total != int64(min(2*whole, 6)) {
			t.Errorf("counts cut at %d, after %d seconds: %d results", cut, whole, c.Total)
		}
	}
	for cut := range len(log) {
		if !worthACut(log, cut) {
			continue
		}
		totals, err := rebuild(bytes.NewReader(counts), bytes.NewReader(log[:cut]))
		if err != nil {
			t.Fatalf("log cut at %d: %v", cut, err)
		}
		if len(totals.Notes()) == 0 {
			t.Errorf("log cut at %d of %d: nothing is said", cut, len(log))
		}
	}
	totals, err := rebuild(bytes.NewReader(counts), bytes.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	if got := document(t, totals.Document()); got != want || len(totals.Notes()) != 0 {
		t.Errorf("uncut: notes %q,\n%s\nwant\n%s", totals.Notes(), got, want)
	}
}

// worthACut spares time: within a line, and far from the end, one place is as
// good as another.
func worthACut(b []byte, at int) bool {
	return at%29 == 0 || at > len(b)-200 || bytes.IndexByte(b[max(0, at-2):at+2], '\n') >= 0
}

// checkConsistent holds that there is a response time for every result that
// ran to its end.
func checkConsistent(t *testing.T, what string, totals *Totals) {
	t.Helper()
	c, _ := totals.Counts("")
	if got, want := totals.Hist("", All, Response).Count(), c.Outcomes[engine.OK]+c.Failed(); got != want {
		t.Errorf("%s: %d response times for %d results", what, got, want)
	}
}

// A failingDisk fails from the n-th write on, after half of it was written.
type failingDisk struct{ left int }

var errFull = errors.New("no space left on device")

type failingFile struct {
	*os.File
	disk *failingDisk
}

func (f failingFile) Write(b []byte) (int, error) {
	if f.disk.left--; f.disk.left < 0 {
		n, _ := f.File.Write(b[:len(b)/2])
		return n, errFull
	}
	return f.File.Write(b)
}

// TestAFullDiskLosesNothingInMemory fails every write in turn. The run goes on,
// its totals are complete, the error is told, and what is on disk is readable.
func TestAFullDiskLosesNothingInMemory(t *testing.T) {
	_, want := smallRun(t, 60)
	for n := 0; ; n++ {
		disk := &failingDisk{left: n}
		done := false
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			start := time.Now()
			r, err := Create(Options{Dir: dir, Plan: examplePlan(), Start: start, Tally: exampleTally(start),
				open: func(path string) (file, error) {
					f, err := os.Create(path)
					return failingFile{f, disk}, err
				}})
			if err != nil {
				if !errors.Is(err, errFull) || n > 1 {
					t.Errorf("write %d: Create: %v", n, err)
				}
				return // the run does not begin without its folder
			}
			feed(r, 3, 60, 2950*ms/60)
			totals, err := r.Close()
			if done = disk.left >= 0; done {
				if err != nil {
					t.Errorf("nothing failed, but Close says %v", err)
				}
				return
			}
			if !errors.Is(err, errFull) || !errors.Is(r.Err(), errFull) {
				t.Errorf("write %d failed: Close says %v, Err %v", n, err, r.Err())
			}
			if got := document(t, totals.Document()); got != want {
				t.Fatalf("write %d failed: the totals in memory are\n%s\nwant\n%s", n, got, want)
			}
			again, err := Rebuild(dir)
			if err != nil {
				t.Fatalf("write %d failed: what is on disk cannot be read: %v", n, err)
			}
			checkConsistent(t, fmt.Sprintf("write %d failed", n), again)
		})
		if done {
			if n < 5 {
				t.Fatalf("only %d writes were made to fail", n)
			}
			return
		}
	}
}

func TestRebuildRefusesWhatIsNotOurs(t *testing.T) {
	head := string(appendJSON(nil, newHeader(examplePlan(), time.Unix(1, 0))))
	tests := []struct {
		name, counts, log, want string
	}{
		{"nothing", "", "", "no whole line"},
		{"another format", `{"schema":"k6/1"}` + "\n", "", `its format is "k6/1"`},
		{"a newer format", `{"schema":"volley.counts/2"}` + "\n", "", "newer than"},
		{"no such series", head + `{"series":[{"i":9,"outcomes":{"ok":1}}]}` + "\n", "", "line 2: series 9"},
		{"no such group", head + `{"groups":[{"i":2}]}` + "\n", "", "line 2: group 2"},
		{"no such outcome", head + `{"series":[{"i":0,"outcomes":{"fine":1}}]}` + "\n", "", `no outcome is named "fine"`},
		{"no such error", head + `{"errors":[{"id":0,"count":1}]}` + "\n", "", "error 0: only 0 are known"},
		{"no such basis", head + `{"series":[{"i":0,"bill":[{"basis":"guess","count":1}]}]}` + "\n", "", `series 0: billed time is not known by "guess"`},
		{"a status that is none", head + `{"series":[{"i":0,"statuses":{"teapot":1}}]}` + "\n", "", `"teapot" is not an HTTP status`},
		{"a line that is broken within", head + "{\n{}\n", "", "line 2"},
		{"a log of something else", head, "Tag=A,0.1,1.0,2.7,HISTFAAA\n", `series.hlog: line 1: tag "A"`},
		{"a log without tags", head, "0.1,1.0,2.7,HISTFAAA\n", "want 5 with a tag first"},
	}
	for _, tt := range tests {
		_, err := rebuild(strings.NewReader(tt.counts), strings.NewReader(tt.log))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want it to say %q", tt.name, err, tt.want)
		}
	}
	if _, err := Rebuild(t.TempDir()); err == nil || !strings.Contains(err.Error(), "there is no counts.jsonl in it") {
		t.Errorf("an empty folder: %v", err)
	}
}

func FuzzRebuild(f *testing.F) {
	plan := examplePlan()
	sh := &shape{series: plan.Series, groups: plan.Groups}
	s := newSet(sh)
	s.hists[sh.cell(0, Response, Success)] = histOf([]int64{5, 5000})
	var e encoder
	head := string(appendJSON(nil, newHeader(plan, time.Unix(1, 0))))
	f.Add(head+`{"series":[{"i":0,"outcomes":{"ok":2},"statuses":{"200":2}}],"over_range":[{"tag":"`+sh.tag(3, false)+`","count":1}]}`+"\n",
		string(e.appendHlog(hlogHead(time.Unix(1, 0)), sh, s, false, 0, time.Second, func() {})))
	f.Add(strings.Replace(head, `"series":[`, `"cost":{"price_gb_s":1e308,"price_per_million":-1,"memory_bytes":1073741824,"budget":1},"series":[`, 1)+
		`{"instances":{"new":3,"at_least":true},"series":[{"i":0,"outcomes":{"ok":2},"renewed":1,"server":{"cold":1,"warm":-1,"memory_max_bytes":5,"instances":{"new":2}},`+
		`"bill":[{"basis":"billed","count":1,"time_us":9000000000000000000},{"basis":"service","maybe":true,"count":1,"time_us":1}]}]}`+"\n", "")
	f.Fuzz(func(t *testing.T, counts, log string) {
		totals, err := rebuild(strings.NewReader(counts), strings.NewReader(log))
		if err != nil {
			return
		}
		if _, err := marshal(totals.Document()); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}
