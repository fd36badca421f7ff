package dataset

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	packedGzip = "gzip"
	packedZstd = "zstd"

	bufferBytes = 64 << 10
	maxWindow   = 128 << 20 // of zstd: what zstd --long uses; more is refused
)

// A stream is a source that is being read from its beginning.
type stream struct {
	decoder decoder
	skipped int64    // bytes before those that the decoder sees: a byte order mark
	file    *os.File // if it is read from a file that has a size
	close   []func() error
}

// Close closes the stream, in the reverse order of its opening.
func (s *stream) Close() error {
	var err error
	for _, v := range slices.Backward(s.close) {
		err = cmp.Or(err, v())
	}
	s.close = nil
	return err
}

// open opens a source. Where keep is set, what is read of it is also written to the spool.
func (r *Reader) open(src *source, keep bool) (_ *stream, err error) {
	st := &stream{}
	defer func() {
		if err != nil {
			err = cmp.Or(err, st.Close())
		}
	}()
	var plain io.Reader
	switch {
	case src.spooled:
		plain = io.NewSectionReader(r.spool.file, src.base, src.length)
	case src.stdin:
		plain, err = unpack(src, r.spec.Stdin, st)
	default:
		var f *os.File
		if f, err = os.Open(src.path); err != nil {
			return nil, err
		}
		st.close = append(st.close, f.Close)
		if !src.once {
			st.file = f
		}
		info, statErr := f.Stat()
		if statErr != nil {
			return nil, statErr
		}
		if err := src.changed(info); err != nil {
			return nil, err
		}
		plain, err = unpack(src, f, st)
	}
	if err != nil {
		return nil, err
	}
	if keep {
		if plain, err = r.keep(src, plain); err != nil {
			return nil, err
		}
	}
	st.decoder, st.skipped, err = r.decode(src, plain)
	return st, err
}

// keep makes what is read of a source go to the spool, from where it is read the next time.
func (r *Reader) keep(src *source, plain io.Reader) (io.Reader, error) {
	if r.spool == nil {
		sp, err := newSpool(r.spec.TempDir, r.spec.MaxSpoolBytes)
		if err != nil {
			return nil, err
		}
		r.spool = sp
	}
	src.spooled, src.base = true, r.spool.bytes
	return &tee{from: plain, to: r.spool, src: src}, nil
}

// A tee copies to the spool what is read.
type tee struct {
	from io.Reader
	to   *spool
	src  *source
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	if n > 0 {
		if _, werr := t.to.Write(p[:n]); werr != nil {
			return 0, werr
		}
		t.src.length += int64(n)
	}
	return n, err
}

// unpack returns the plain bytes of a file. Its first bytes tell whether it is compressed.
func unpack(src *source, from io.Reader, st *stream) (io.Reader, error) {
	in := bufio.NewReaderSize(from, bufferBytes)
	magic, err := in.Peek(4)
	if err != nil && !ended(err) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}): // RFC 1952, section 2.3.1
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, damaged(packedGzip, err)
		}
		st.close = append(st.close, z.Close)
		return &unpacker{z, packedGzip}, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878, section 3.1.1
		// One thread, and so no goroutines: rows are asked for more slowly than they are unpacked.
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, damaged(packedZstd, err)
		}
		st.close = append(st.close, func() error { z.Close(); return nil })
		return &unpacker{z, packedZstd}, nil
	case bytes.Equal(magic, []byte("PAR1")):
		return nil, parquetError(src.name)
	case src.packed != "":
		what := fmt.Sprintf("it begins with %q", magic)
		if len(magic) == 0 {
			what = "it is empty"
		}
		return nil, &Error{Problem: fmt.Sprintf("this is not a file of %s: %s", src.packed, what)}
	}
	return in, nil
}

// An unpacker gives the errors of a decompressor a sentence.
type unpacker struct {
	from   io.Reader
	packed string
}

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	if err != nil && !ended(err) {
		err = damaged(u.packed, err)
	}
	return n, err
}

func damaged(packed string, err error) error {
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &Error{Problem: fmt.Sprintf("the %s file ends too early", packed), Fix: "copy it again, it was cut off", Err: err}
	}
	return &Error{Problem: fmt.Sprintf("the %s file is damaged: %v", packed, err), Err: err}
}

// decode returns the decoder of a source's plain bytes, and how many bytes of them it does not see.
func (r *Reader) decode(src *source, plain io.Reader) (decoder, int64, error) {
	in := bufio.NewReaderSize(plain, bufferBytes)
	head, err := in.Peek(3)
	if err != nil && !ended(err) {
		return nil, 0, err
	}
	var skipped int64
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		n, _ := in.Discard(3)
		skipped = int64(n)
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return nil, 0, &Error{Problem: "the text is in UTF-16", Fix: "save it in UTF-8, such as with iconv -f UTF-16 -t UTF-8"}
	}
	if src.format == "" {
		if src.format, err = sniff(in); err != nil {
			return nil, 0, err
		}
	}
	d, err := newDecoder(src.format, in, r.spec.MaxRowBytes, &r.header, src.name)
	return d, skipped, err
}

// ended reports whether err is the good end of a source. Only io.EOF itself is: an error that wraps it, such as one of a
// decompressor, is no end, and to take it for one would lose rows.
func ended(err error) bool {
	return err == io.EOF //nolint:errorlint // see above
}

// sniff tells the format by the first bytes: { begins jsonl, [ begins json, and else it is tsv if the first line has a
// tab, and csv if not.
func sniff(in *bufio.Reader) (string, error) {
	// A line is waited for, not a full buffer: the one who writes may be slow.
	head, err := in.Peek(1)
	for err == nil && !bytes.Contains(bytes.TrimLeft(head, " \t\r\n"), []byte("\n")) && len(head) < bufferBytes {
		head, err = in.Peek(min(max(in.Buffered(), len(head)+1), bufferBytes))
	}
	if err != nil && !ended(err) {
		return "", err
	}
	text := bytes.TrimLeft(head, " \t\r\n")
	first, _, _ := bytes.Cut(text, []byte("\n"))
	switch {
	case bytes.HasPrefix(text, []byte("{")):
		return formatJSONL, nil
	case bytes.HasPrefix(text, []byte("[")):
		return formatJSON, nil
	case bytes.IndexByte(first, '\t') >= 0:
		return formatTSV, nil
	}
	return formatCSV, nil
}

// A spool is a temporary file.
type spool struct {
	file  *os.File
	bytes int64
	limit int64
}

func newSpool(dir string, limit int64) (*spool, error) {
	f, err := os.CreateTemp(dir, "volley-rows-*")
	if err != nil {
		return nil, &Error{Problem: "make a temporary copy: " + err.Error(), Err: err}
	}
	return &spool{file: f, limit: limit}, nil
}

func (s *spool) Write(p []byte) (int, error) {
	if int64(len(p)) > s.limit-s.bytes {
		return 0, &Error{Problem: fmt.Sprintf("the temporary copy has more than %d bytes", s.limit), Fix: "put the rows into a plain file"}
	}
	n, err := s.file.Write(p)
	s.bytes += int64(n)
	if err != nil {
		return n, &Error{Problem: "write a temporary copy: " + err.Error(), Err: err}
	}
	return n, nil
}

// Close closes the file and removes it.
func (s *spool) Close() error {
	return cmp.Or(s.file.Close(), os.Remove(s.file.Name()))
}
