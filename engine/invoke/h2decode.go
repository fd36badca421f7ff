package invoke

import (
	"hash/maphash"

	"golang.org/x/net/http2/hpack"
)

const (
	// tableSize is the size of the dynamic tables of HPACK, in bytes as
	// RFC 7541, section 4.1 counts them. It is the protocol's own, so that
	// nothing need be said about it.
	tableSize = 4096

	// fieldOverhead is what each header line counts beside its bytes, in tables
	// and in the size of a header list (RFC 7541, section 4.1).
	fieldOverhead = 32

	// keptText is the longest literal of which a copy is kept, in bytes.
	keptText = 256
)

// A fieldKind tells the header lines apart that mean something to us.
type fieldKind uint8

const (
	plainField   fieldKind = iota
	secretField            // set-cookie
	lengthField            // content-length
	statusField            // :status
	pseudoField            // another name with a colon first
	forbiddenOne           // about the connection, which HTTP/2 has no such lines for (RFC 9113, section 8.2.2)
)

// kindOf returns the kind of a header line of that name.
func kindOf(name string) fieldKind {
	switch name {
	case "set-cookie":
		return secretField
	case "content-length":
		return lengthField
	case ":status":
		return statusField
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return forbiddenOne
	}
	if name != "" && name[0] == ':' {
		return pseudoField
	}
	return plainField
}

// An h2field is one header line.
type h2field struct {
	name, value string
	kind        fieldKind
	bad         bool // the name or the value may not stand in HTTP/2
}

func (f *h2field) size() int { return len(f.name) + len(f.value) + fieldOverhead }

// An h2text is a literal as it came, and what it says. Servers send the same
// few again and again, such as their own name and the date.
type h2text struct {
	hash   uint64 // of raw
	missed uint64 // the hash of the last literal that was looked for here in vain
	raw    string
	text   string
	name   bool // text may be a name
	value  bool // and a value
}

// An h2decoder reads header blocks (RFC 7541). Blocks must be read in the order
// in which they come, each to its end, because each may change the table for
// those after it.
type h2decoder struct {
	static *[61]h2field
	// The dynamic table: an entry counts at least fieldOverhead bytes, so that
	// there are never more.
	ring  [tableSize / fieldOverhead]h2field
	next  int // where the next entry goes
	count int
	size  int // bytes in the table
	most  int // and the most that may be

	begun   bool // the block under way has had a field
	scratch h2field
	seed    maphash.Seed
	texts   [64]h2text
}

func newDecoder(static *[61]h2field) *h2decoder {
	return &h2decoder{static: static, most: tableSize, seed: maphash.MakeSeed()}
}

// begin is to be called before each block.
func (d *h2decoder) begin() { d.begun = false }

// field reads the next field of a block, and returns what is left of it. The
// field is nil when what was there is no field; it is good until the next call.
func (d *h2decoder) field(b []byte) (f *h2field, rest []byte, err error) {
	first := b[0]
	if first&0xe0 == 0x20 {
		n, rest, ok := h2int(b, 5)
		if !ok || d.begun || n > tableSize {
			return nil, nil, malformed("a header block changes the size of its table in a wrong way (RFC 7541, section 4.2)")
		}
		d.most = n
		d.evict(0)
		return nil, rest, nil
	}
	d.begun = true
	if first&0x80 != 0 {
		n, rest, ok := h2int(b, 7)
		if f = d.at(n); !ok || f == nil {
			return nil, nil, malformed("a header block refers to an entry that is not in its table (RFC 7541, section 2.3.3)")
		}
		return f, rest, nil
	}
	bits, keep := uint(4), first&0x40 != 0
	if keep {
		bits = 6
	}
	n, rest, ok := h2int(b, bits)
	if !ok {
		return nil, nil, shortBlock()
	}
	f = &d.scratch
	*f = h2field{}
	if n == 0 {
		var name *h2text
		if name, rest, err = d.literal(rest); err != nil {
			return nil, nil, err
		}
		f.name, f.kind, f.bad = name.text, kindOf(name.text), !name.name
	} else {
		known := d.at(n)
		if known == nil {
			return nil, nil, malformed("a header block refers to an entry that is not in its table (RFC 7541, section 2.3.3)")
		}
		f.name, f.kind = known.name, known.kind
		f.bad = known.bad && !validName(known.name)
	}
	value, rest, err := d.literal(rest)
	if err != nil {
		return nil, nil, err
	}
	f.value, f.bad = value.text, f.bad || !value.value
	if keep {
		d.insert(f)
	}
	return f, rest, nil
}

func shortBlock() error { return malformed("a header block breaks off (RFC 7541)") }

// at returns an entry by its index (RFC 7541, section 2.3.3), nil if there is
// none.
func (d *h2decoder) at(index int) *h2field {
	if index >= 1 && index <= len(d.static) {
		return &d.static[index-1]
	}
	if index -= len(d.static); index < 1 || index > d.count {
		return nil
	}
	return &d.ring[(d.next-index+len(d.ring))%len(d.ring)]
}

// insert puts a field into the table (RFC 7541, section 4.4).
func (d *h2decoder) insert(f *h2field) {
	size := f.size()
	d.evict(size)
	if size > d.most {
		return // it empties the table, and is not in it
	}
	d.ring[d.next] = *f
	d.next = (d.next + 1) % len(d.ring)
	d.count++
	d.size += size
}

// evict drops the oldest entries until so many bytes more have room.
func (d *h2decoder) evict(more int) {
	for d.count > 0 && d.size+more > d.most {
		oldest := &d.ring[(d.next-d.count+len(d.ring))%len(d.ring)]
		d.size -= oldest.size()
		d.count--
	}
}

// literal reads a string (RFC 7541, section 5.2). What it returns is good until
// the next call.
func (d *h2decoder) literal(b []byte) (*h2text, []byte, error) {
	if len(b) == 0 {
		return nil, nil, shortBlock()
	}
	huffman := b[0]&0x80 != 0
	n, rest, ok := h2int(b, 7)
	if !ok || n > len(rest) {
		return nil, nil, shortBlock()
	}
	raw, rest := rest[:n], rest[n:]
	hash := maphash.Bytes(d.seed, raw)
	if huffman {
		hash = ^hash
	}
	// A text may be in either of two places, so that two that come in every reply
	// do not drive each other out for having a place in common.
	slot, other := &d.texts[hash%uint64(len(d.texts))], &d.texts[hash>>32%uint64(len(d.texts))]
	for _, at := range [...]*h2text{slot, other} {
		if at.hash == hash && at.raw == string(raw) && at.text != "" {
			return at, rest, nil
		}
	}
	switch {
	case slot.missed == hash:
	case other.missed == hash, slot.missed != 0 && other.missed == 0: // one that nobody wants yet
		slot = other
	}
	made := h2text{hash: hash}
	if huffman {
		var err error
		if made.text, err = hpack.HuffmanDecodeToString(raw); err != nil {
			return nil, nil, malformed("a header block has a string that is not coded as RFC 7541, section 5.2 says")
		}
	} else {
		made.text = string(raw)
	}
	made.name, made.value = validName(made.text), validValue(made.text)
	// What comes once, such as a request's own number, takes no place of what
	// comes again.
	if slot.missed == hash && len(raw) <= keptText {
		made.raw, made.missed = string(raw), hash
		*slot = made
		return slot, rest, nil
	}
	slot.missed = hash
	return &made, rest, nil
}

// h2int reads an integer with a prefix of so many bits (RFC 7541, section 5.1).
// What is larger than any length here can be is refused.
func h2int(b []byte, bits uint) (n int, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	most := 1<<bits - 1
	n, b = int(b[0])&most, b[1:]
	if n < most {
		return n, b, true
	}
	for i, c := range b {
		if i == 4 {
			return 0, nil, false
		}
		n += int(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			return n, b[i+1:], true
		}
	}
	return 0, nil, false
}

// validName reports whether a header may have that name: a token without upper
// case, or with a colon first (RFC 9113, section 8.2.1).
func validName(name string) bool {
	if name != "" && name[0] == ':' {
		name = name[1:]
	}
	for i := range len(name) {
		if c := name[i]; !tokenByte(c) || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return name != ""
}

// validValue reports whether a header may have that value: without control
// characters, and without blanks around it (RFC 9113, section 8.2.1).
func validValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return value == "" || !blank(value[0]) && !blank(value[len(value)-1])
}

func blank(c byte) bool { return c == ' ' || c == '\t' }
