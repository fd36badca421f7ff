package record

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// values draws n times of every size, from below 1 µs to above 1 h.
func values(draw *rand.Rand, n int) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = int64(math.Exp(draw.Float64() * math.Log(1.5*MaxUS)))
	}
	return all
}

func histOf(values []int64) *Hist {
	h := &Hist{}
	for _, v := range values {
		h.Record(v)
	}
	return h
}

// near reports whether got is what three digits may make of want.
func near(got, want int64) bool {
	return got >= want && float64(got) <= float64(want)*1.001
}

func TestQuantilesAgainstSortedValues(t *testing.T) {
	for seed := range uint64(50) {
		draw := rand.New(rand.NewPCG(seed, 0))
		all := values(draw, 1+draw.IntN(400))
		h := histOf(all)
		over := int64(0)
		for i, v := range all {
			if v > MaxUS {
				all[i] = MaxUS
				over++
			}
		}
		slices.Sort(all)
		n := len(all)
		if h.Count() != int64(n) || h.OverRange() != over || h.Max() != all[n-1] || !near(all[0], h.Min()) {
			t.Fatalf("seed %d: count %d, over %d, min %d, max %d; want %d, %d, %d, %d", seed, h.Count(), h.OverRange(), h.Min(), h.Max(), n, over, all[0], all[n-1])
		}
		for k := range n + 1 {
			q := float64(k) / float64(n)
			want := all[max(k, 1)-1]
			if got := h.Quantile(q); !near(got, want) {
				t.Errorf("seed %d: quantile %d/%d = %d, want %d", seed, k, n, got, want)
			}
		}
		var sum float64
		for _, v := range all {
			sum += float64(v)
		}
		if mean := sum / float64(n); math.Abs(h.Mean()-mean) > mean/1000+0.5 {
			t.Errorf("seed %d: mean %f, want %f", seed, h.Mean(), mean)
		}
	}
}

func TestMergeEqualsRecordAll(t *testing.T) {
	for seed := range uint64(50) {
		draw := rand.New(rand.NewPCG(seed, 1))
		a, b := values(draw, draw.IntN(300)), values(draw, draw.IntN(300))
		merged := histOf(a)
		merged.Merge(histOf(b))
		merged.Merge(nil)
		merged.Merge(&Hist{})
		same(t, merged, histOf(slices.Concat(a, b)))
	}
}

func same(t *testing.T, got, want *Hist) {
	t.Helper()
	type bucket struct{ upTo, count int64 }
	list := func(h *Hist) (all []bucket) {
		for v, n := range h.Buckets {
			all = append(all, bucket{v, n})
		}
		return all
	}
	if !slices.Equal(list(got), list(want)) || got.Count() != want.Count() || got.OverRange() != want.OverRange() || got.Max() != want.Max() || got.Mean() != want.Mean() {
		t.Errorf("%v (max %d, over %d), want %v (max %d, over %d)", list(got), got.Max(), got.OverRange(), list(want), want.Max(), want.OverRange())
	}
}

func TestExtremes(t *testing.T) {
	var none *Hist
	for _, h := range []*Hist{none, {}} {
		if h.Count() != 0 || h.Quantile(0.5) != 0 || h.Min() != 0 || h.Max() != 0 || h.Mean() != 0 || h.OverRange() != 0 {
			t.Error("an empty histogram has something in it")
		}
	}
	h := histOf([]int64{-5, 0, MaxUS, MaxUS + 1, math.MaxInt64})
	if h.Count() != 5 || h.OverRange() != 2 || h.Min() != 0 || h.Max() != MaxUS || h.Quantile(1) != MaxUS || h.Quantile(0.4) != 0 {
		t.Errorf("count %d, over %d, min %d, max %d", h.Count(), h.OverRange(), h.Min(), h.Max())
	}
	if got := histOf([]int64{10_000_000}).Max(); got != 10_000_000 {
		t.Errorf("Max = %d, want a timeout of 10 s to be 10 s exactly", got)
	}
}

// TestEncodingIsTheLibrarys holds that what is written is byte for byte what
// HdrHistogram's own encoder would write, before compression.
func TestEncodingIsTheLibrarys(t *testing.T) {
	var e encoder
	for seed := range uint64(15) {
		draw := rand.New(rand.NewPCG(seed, 2))
		all := values(draw, 1+draw.IntN(3000))
		theirs := hdr.New(lowestUS, MaxUS, precision)
		for _, v := range all {
			if err := theirs.RecordValue(min(v, MaxUS)); err != nil {
				t.Fatal(err)
			}
		}
		want, err := theirs.Encode(hdr.V2CompressedEncodingCookieBase)
		if err != nil {
			t.Fatal(err)
		}
		h := histOf(all)
		got := e.encode(nil, h)
		if !bytes.Equal(inflate(t, got), inflate(t, want)) {
			t.Fatalf("seed %d: the encoding differs from the library's", seed)
		}
		read, err := hdr.Decode(got)
		if err != nil {
			t.Fatal(err)
		}
		if !read.Equals(theirs) {
			t.Fatalf("seed %d: the library reads something else than was written", seed)
		}
		back, err := decode(got, h.Max())
		if err != nil {
			t.Fatal(err)
		}
		back.over = h.over
		same(t, back, h)
	}
}

func inflate(t *testing.T, text []byte) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(b[8:]))
	if err != nil {
		t.Fatal(err)
	}
	b, err = io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestForeignHistogramsAreRefused(t *testing.T) {
	other := hdr.New(1, 1000, 2)
	if err := other.RecordValue(5); err != nil {
		t.Fatal(err)
	}
	b, err := other.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode(b, 5); err == nil || !strings.Contains(err.Error(), "2 digits") {
		t.Errorf("a histogram of another range: error %v", err)
	}
	var e encoder
	if _, err := decode(e.encode(nil, histOf([]int64{5000})), 7000); err == nil {
		t.Error("a maximum outside of the last bucket is accepted")
	}
}

// TestTheLibraryReadsTheLog reads series.hlog as any other tool would.
func TestTheLibraryReadsTheLog(t *testing.T) {
	start := time.Date(2026, 11, 22, 10, 15, 30, 123e6, time.UTC)
	sh := &shape{series: examplePlan().Series, groups: examplePlan().Groups}
	s := newSet(sh)
	cell := sh.cell(1, Response, Failure)
	s.hists[cell] = histOf([]int64{1500, 2500})
	var e encoder
	log := e.appendHlog(hlogHead(start), sh, s, false, 2*time.Second, 1100*ms, func() {})
	if want := "#[StartTime: 1795342530.123 (seconds since epoch), 2026-11-22T10:15:30Z]\n#[BaseTime: 1795342530.123 (seconds since epoch)]\n"; !strings.Contains(string(log), want) {
		t.Errorf("the log begins\n%.300s\nwant\n%s", log, want)
	}
	r := hdr.NewHistogramLogReader(bytes.NewReader(log))
	h, err := r.NextIntervalHistogram()
	if err != nil || h == nil {
		t.Fatalf("histogram %v, error %v", h, err)
	}
	if h.TotalCount() != 2 || h.Max() != 2501 {
		t.Errorf("%d values up to %d, want 2 up to 2501", h.TotalCount(), h.Max())
	}
	if from, to := h.StartTimeMs(), h.EndTimeMs(); from != start.UnixMilli()+2000 || to < from+1099 || to > from+1100 { // the reader cuts what floats make of 1.1
		t.Errorf("from %d to %d ms, want from %d for 1100 ms", from, to, start.UnixMilli()+2000)
	}
	want := "step=%E8%AE%A2%E5%8D%95%2C%20list;method=web;qualifier=;arm=a%3Bb%3Dc;kind=invocation;time=response;class=failed;id=1"
	if h.Tag() != want {
		t.Errorf("tag %s\nwant %s", h.Tag(), want)
	}
	if h, err := r.NextIntervalHistogram(); h != nil || err != nil {
		t.Errorf("after the last: %v, %v", h, err)
	}
}

func TestTagsNameTheirCells(t *testing.T) {
	sh := &shape{series: examplePlan().Series, groups: examplePlan().Groups}
	seen := map[string]bool{}
	for cell := range sh.cells() {
		for _, warmup := range []bool{false, true} {
			tag := sh.tag(cell, warmup)
			if seen[tag] || strings.ContainsAny(tag, " ,\r\n") {
				t.Errorf("tag %q stands for two cells, or breaks the line", tag)
			}
			seen[tag] = true
			back, warm, err := sh.cellOf(tag)
			if err != nil || back != cell || warm != warmup {
				t.Errorf("tag %q is cell %d, %v, %v; want %d, %v", tag, back, warm, err, cell, warmup)
			}
		}
	}
	for _, bad := range []string{"", "kind=run", "kind=group;id=2;time=settle;class=ok", "kind=invocation;id=-1;time=response;class=ok", "kind=run;id=0;time=tea;class=ok", "kind=run;id=0;time=lateness;class=all"} {
		if _, _, err := sh.cellOf(bad); err == nil {
			t.Errorf("tag %q is accepted", bad)
		}
	}
}
