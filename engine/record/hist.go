package record

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"math"
	"math/bits"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/klauspost/compress/flate"
)

// The range of a Hist, in µs. Three digits make a bucket at most a thousandth
// of its value wide.
const (
	lowestUS  = 1
	MaxUS     = 3_600_000_000 // one hour
	precision = 3
)

// A Hist is a distribution of times in µs: a sparse HdrHistogram from 1 µs to
// 1 h with 3 digits. What took less than 1 µs is recorded as 0. What took more
// than 1 h is recorded as 1 h and counted in OverRange, so that it is in every
// rank and only its size is not known. The zero value is empty and ready to
// use. It is not safe for concurrent use.
type Hist struct {
	packed *hdr.PackedHistogram // nil until something is recorded
	over   int64
	max    int64 // exact, where a bucket would give its upper end
}

// Record adds one value of us µs.
func (h *Hist) Record(us int64) {
	if us > MaxUS {
		us = MaxUS
		h.over++
	}
	// The value is within range, so the only error left is a total past
	// 2^63-1: at a million values a second that takes 292,000 years.
	_ = h.storage().RecordValue(max(0, us))
	h.max = max(h.max, us)
}

func (h *Hist) storage() *hdr.PackedHistogram {
	if h.packed == nil {
		h.packed = hdr.NewPacked(lowestUS, MaxUS, precision)
	}
	return h.packed
}

// Merge adds all values of o, which may be nil, to h.
func (h *Hist) Merge(o *Hist) {
	if o == nil || o.packed == nil {
		return
	}
	h.storage().Merge(o.packed) // of one geometry: nothing is dropped
	h.over += o.over
	h.max = max(h.max, o.max)
}

// Count returns the number of values, those over range included.
func (h *Hist) Count() int64 {
	if h == nil || h.packed == nil {
		return 0
	}
	return h.packed.TotalCount()
}

// OverRange returns how many values were above 1 h.
func (h *Hist) OverRange() int64 {
	if h == nil {
		return 0
	}
	return h.over
}

// Quantile returns the smallest recorded value, in µs, that at least a share q
// of all values does not exceed: the inverse of the empirical distribution
// function, type 1 of Hyndman and Fan, "Sample Quantiles in Statistical
// Packages", 1996. As HdrHistograms do, it gives the upper end of the value's
// bucket, but never more than Max. It is 0 when there are no values; q is taken
// to lie in [0, 1].
func (h *Hist) Quantile(q float64) int64 {
	n := h.Count()
	if n == 0 {
		return 0
	}
	// 0.07*100 is a little more than 7 in floating point, and is to be rank 7.
	rank := int64(math.Ceil(q * float64(n) * (1 - 1e-14)))
	rank = min(max(rank, 1), n)
	var seen, found int64
	for value, count := range h.packed.ForEachBucket {
		seen += count
		if found = value; seen >= rank {
			break
		}
	}
	return min(upper(found), h.max)
}

// Min returns the smallest value in µs, the lower end of its bucket; 0 when
// there are no values.
func (h *Hist) Min() int64 {
	if h.Count() == 0 {
		return 0
	}
	return h.packed.Min()
}

// Max returns the largest value in µs, exactly; 0 when there are no values.
// With values over range it is 1 h, and the truth is more.
func (h *Hist) Max() int64 {
	if h == nil {
		return 0
	}
	return h.max
}

// Mean returns the mean in µs, each value taken as the middle of its bucket;
// 0 when there are no values.
func (h *Hist) Mean() float64 {
	if h.Count() == 0 {
		return 0
	}
	var sum float64
	for value, count := range h.packed.ForEachBucket {
		sum += float64(count) * (float64(value) + float64(min(upper(value), MaxUS))) / 2
	}
	return sum / float64(h.Count())
}

// Buckets calls yield for every bucket that holds values, in ascending order,
// with the upper end of the bucket, at most 1 h, in µs. It has the form of an iter.Seq2.
func (h *Hist) Buckets(yield func(upToUS, count int64) bool) {
	if h.Count() == 0 {
		return
	}
	h.packed.ForEachBucket(func(value, count int64) bool { return yield(upper(value), count) })
}

// clone returns a copy that shares nothing with h.
func (h *Hist) clone() *Hist {
	c := &Hist{}
	c.Merge(h)
	return c
}

// shift is the power of two that buckets at value v are wide, with 2048 buckets
// of width 1 and 1024 for every doubling above: what 3 digits make of HDR.
func shift(v int64) int { return max(0, bits.Len64(uint64(v))-11) }

// upper returns the upper end of v's bucket, never above MaxUS.
func upper(v int64) int64 { return min(v|(1<<shift(v)-1), MaxUS) }

// index returns the place of v's bucket in HdrHistogram's flat array of counts.
func index(v int64) int64 { s := shift(v); return int64(s)<<10 + v>>s }

// The cookies and the header of HdrHistogram's V2 encoding.
const (
	cookieV2           = 0x1c849303 | 0x10
	cookieV2Compressed = 0x1c849304 | 0x10
	headerV2           = 40
)

// An encoder writes histograms in HdrHistogram's V2 compressed encoding, in
// base64. The library's own allocates a compressor of about a megabyte for
// every histogram, which a load generator feels; this one compresses without
// keeping anything, and is held to the library's reader by tests.
type encoder struct {
	raw    []byte
	packed bytes.Buffer
}

// encode appends h's encoding to to.
func (e *encoder) encode(to []byte, h *Hist) []byte {
	e.raw = append(e.raw[:0], make([]byte, headerV2)...)
	next := int64(0)
	for value, count := range h.storage().ForEachBucket {
		at := index(value)
		switch zeros := at - next; {
		case zeros == 1:
			e.raw = binary.AppendVarint(e.raw, 0)
		case zeros > 1:
			e.raw = binary.AppendVarint(e.raw, -zeros)
		}
		// Varints are ZigZag LEB128, which V2 differs from above 2^55 only.
		e.raw = binary.AppendVarint(e.raw, count)
		next = at + 1
	}
	big := binary.BigEndian
	big.PutUint32(e.raw[0:], cookieV2)
	big.PutUint32(e.raw[4:], uint32(len(e.raw)-headerV2))
	big.PutUint32(e.raw[12:], precision)
	big.PutUint64(e.raw[16:], lowestUS)
	big.PutUint64(e.raw[24:], MaxUS)
	big.PutUint64(e.raw[32:], math.Float64bits(1))

	e.packed.Reset()
	e.packed.Write(make([]byte, 8))
	e.packed.Write([]byte{0x78, 0x01})                      // zlib (RFC 1950), around a deflate that keeps nothing
	_ = flate.StatelessDeflate(&e.packed, e.raw, true, nil) // into memory: cannot fail
	out := big.AppendUint32(e.packed.Bytes(), adler32.Checksum(e.raw))
	big.PutUint32(out[0:], cookieV2Compressed)
	big.PutUint32(out[4:], uint32(len(out)-8))
	return base64.StdEncoding.AppendEncode(to, out)
}

// decode reads what encode, or any other HdrHistogram of the same range and
// precision, has written. How many values were over range is not in it, nor is
// the exact maximum, which must lie in the last bucket that has values.
func decode(text []byte, maxUS int64) (*Hist, error) {
	p, err := hdr.DecodePacked(text)
	if err != nil {
		return nil, err
	}
	if p.LowestTrackableValue() != lowestUS || p.HighestTrackableValue() != MaxUS || p.SignificantFigures() != precision {
		return nil, fmt.Errorf("histogram of %d to %d with %d digits, not of %d to %d µs with %d",
			p.LowestTrackableValue(), p.HighestTrackableValue(), p.SignificantFigures(), lowestUS, int64(MaxUS), precision)
	}
	if p.TotalCount() > 0 && index(max(0, maxUS)) != index(p.Max()) {
		return nil, fmt.Errorf("maximum of %d µs, which does not lie in the last bucket, that up to %d", maxUS, p.Max())
	}
	return &Hist{packed: p, max: maxUS}, nil
}
