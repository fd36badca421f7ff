package invoke

import (
	"cmp"
	"hash/maphash"
	"strconv"
	"strings"

	"volley/engine"

	"golang.org/x/net/http2/hpack"
)

const (
	maxBlocks = 64  // prepared requests whose blocks a connection keeps
	maxLower  = 256 // header names whose lower case a connection keeps
)

// An h2encoder writes header blocks (RFC 7541). A field goes into the table when
// it comes for the second time, so that what differs from one request to the
// next drives out nothing that comes again; those of a prepared request go in at
// once, which makes its block a few bytes.
type h2encoder struct {
	static  *[61]h2field
	entries []h2entry // the oldest first
	size    int       // bytes in the table
	most    int       // and the most that may be
	inserts uint64    // how many there ever were: indexes are counted from the newest
	resized bool      // the next block must tell of a new size
	least   int       // the smallest size since the last block

	seed   maphash.Seed
	seen   [64]uint64 // hashes of fields that came and are not in the table
	lower  map[string]string
	blocks map[*engine.Request]h2block
}

type h2entry struct {
	hash        uint64
	name, value string
}

// An h2block is the block of a prepared request, good as long as nothing goes
// into the table.
type h2block struct {
	block   []byte
	inserts uint64
}

func newEncoder(static *[61]h2field) *h2encoder {
	return &h2encoder{static: static, most: tableSize, least: tableSize, seed: maphash.MakeSeed(),
		lower: map[string]string{}, blocks: map[*engine.Request]h2block{}}
}

// resize obeys the peer's SETTINGS_HEADER_TABLE_SIZE (RFC 7541, section 4.2).
func (e *h2encoder) resize(most int) {
	if most = min(most, tableSize); most == e.most {
		return
	}
	e.most, e.least, e.resized = most, min(e.least, most), true
	e.evict(0)
}

// evict drops the oldest entries until so many bytes more have room.
func (e *h2encoder) evict(more int) {
	n := 0
	for n < len(e.entries) && e.size+more > e.most {
		e.size -= len(e.entries[n].name) + len(e.entries[n].value) + fieldOverhead
		n++
	}
	if n > 0 {
		e.entries = append(e.entries[:0], e.entries[n:]...)
		e.inserts++ // blocks may refer to what is gone
	}
}

// appendRequest appends the header block of q.
func (e *h2encoder) appendRequest(b []byte, q *engine.Request, agent string) ([]byte, error) {
	if q.Shared && !e.resized {
		if kept, ok := e.blocks[q]; ok && kept.inserts == e.inserts {
			return append(b, kept.block...), nil
		}
	}
	pseudo, agent, err := pseudoFields(q, agent)
	if err != nil {
		return b, err // before the other side has to know of anything
	}
	start, before := len(b), e.inserts
	if e.resized {
		if e.least < e.most {
			b = appendInt(b, 0x20, 5, e.least)
		}
		b = appendInt(b, 0x20, 5, e.most)
	}
	told := e.resized
	e.resized, e.least = false, e.most
	b = e.appendFields(b, q, pseudo, agent)
	if q.Shared && !told && e.inserts == before {
		if len(e.blocks) >= maxBlocks {
			clear(e.blocks)
		}
		e.blocks[q] = h2block{append([]byte(nil), b[start:]...), e.inserts}
	}
	return b, nil
}

// pseudoFields returns the values of :method, :scheme, :authority and :path, and
// the agent that is to be added; an error if something of q cannot be sent.
func pseudoFields(q *engine.Request, agent string) ([4]h2entry, string, error) {
	host := q.Host
	for i := range q.Header {
		f := &q.Header[i]
		if err := sendable(f); err != nil {
			return [4]h2entry{}, "", err
		}
		switch name := f.Name; {
		case len(name) == 4 && strings.EqualFold(name, "Host"):
			host = f.Value
		case len(name) == 10 && strings.EqualFold(name, "User-Agent"):
			agent = ""
		}
	}
	path := cmp.Or(q.Path, "/")
	if q.Query != "" {
		path += "?" + q.Query
	}
	all := [4]h2entry{{0, ":method", cmp.Or(q.Verb, "GET")}, {0, ":scheme", q.Scheme}, {0, ":authority", host}, {0, ":path", path}}
	for i := range all {
		if !validValue(all[i].value) {
			return all, "", unsendable(all[i].name)
		}
	}
	return all, agent, nil
}

// appendFields appends the fields of q (RFC 9113, section 8.3.1): what a method
// gave it, but for what is about the connection, of which HTTP/2 has none.
func (e *h2encoder) appendFields(b []byte, q *engine.Request, pseudo [4]h2entry, agent string) []byte {
	for i := range pseudo {
		b = e.appendField(b, pseudo[i].name, pseudo[i].value, q.Shared)
	}
	if agent != "" {
		b = e.appendField(b, "user-agent", agent, q.Shared)
	}
	for i := range q.Header {
		f := &q.Header[i]
		name := e.lowered(f.Name)
		switch kind := kindOf(name); {
		case kind == forbiddenOne, kind == lengthField, name == "host", name == "te" && !strings.EqualFold(f.Value, "trailers"):
			continue
		}
		b = e.appendField(b, name, strings.Trim(f.Value, " \t"), q.Shared)
	}
	if len(q.Body) > 0 || q.Verb == "POST" || q.Verb == "PUT" || q.Verb == "PATCH" {
		b = e.appendField(b, "content-length", strconv.Itoa(len(q.Body)), q.Shared)
	}
	return b
}

// sendable reports what keeps a header line of the scenario's from being sent.
func sendable(f *engine.Field) error {
	for i := range len(f.Name) {
		if !tokenByte(f.Name[i]) {
			return unsendable(f.Name)
		}
	}
	if f.Name == "" || !validValue(strings.Trim(f.Value, " \t")) {
		return unsendable(f.Name)
	}
	return nil
}

func unsendable(name string) error {
	return &exchangeError{detail: detailOther, message: "the header " + shown(name) + " cannot be sent: it has a character in it that may not be there"}
}

// lowered returns a name in lower case.
func (e *h2encoder) lowered(name string) string {
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' {
			low, ok := e.lower[name]
			if !ok {
				low = strings.ToLower(name)
				if len(e.lower) >= maxLower {
					clear(e.lower)
				}
				e.lower[name] = low
			}
			return low
		}
	}
	return name
}

// appendField appends one field in the shortest way. One that is steady comes
// again.
func (e *h2encoder) appendField(b []byte, name, value string, steady bool) []byte {
	index := 0
	for i := range e.static {
		if e.static[i].name != name {
			continue
		}
		if e.static[i].value == value && value != "" {
			return appendInt(b, 0x80, 7, i+1)
		}
		if index == 0 {
			index = i + 1
		}
	}
	hash := maphash.String(e.seed, name)*31 ^ maphash.String(e.seed, value)
	for i := len(e.entries) - 1; i >= 0; i-- {
		at := &e.entries[i]
		if at.name != name {
			continue
		}
		number := len(e.static) + len(e.entries) - i
		if at.hash == hash && at.value == value {
			return appendInt(b, 0x80, 7, number)
		}
		if index == 0 {
			index = number
		}
	}
	size := len(name) + len(value) + fieldOverhead
	keep := false
	if size <= e.most-e.most/4 { // one that fills the table is not worth the rest of it
		slot := &e.seen[hash%uint64(len(e.seen))]
		keep = steady || *slot == hash
		*slot = hash
	}
	if keep {
		b = appendInt(b, 0x40, 6, index)
	} else {
		b = appendInt(b, 0, 4, index)
	}
	if index == 0 {
		b = appendText(b, name)
	}
	b = appendText(b, value)
	if keep {
		e.evict(size)
		e.entries = append(e.entries, h2entry{hash, strings.Clone(name), strings.Clone(value)})
		e.size += size
		e.inserts++
	}
	return b
}

// appendInt appends an integer with a prefix of so many bits (RFC 7541, section
// 5.1), under the bits of first.
func appendInt(b []byte, first byte, bits uint, n int) []byte {
	most := 1<<bits - 1
	if n < most {
		return append(b, first|byte(n))
	}
	b = append(b, first|byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// appendText appends a string, by Huffman's code where that is shorter.
func appendText(b []byte, s string) []byte {
	if n := int(hpack.HuffmanEncodeLength(s)); n < len(s) {
		return hpack.AppendHuffmanString(appendInt(b, 0x80, 7, n), s)
	}
	return append(appendInt(b, 0, 7, len(s)), s...)
}
