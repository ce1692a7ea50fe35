package capture

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	bufferSize = 1 << 18 // more than the longest frame that tcpdump writes, so that nearly all are lent from the buffer
	maxRecord  = 1 << 24 // no writer makes longer frames; a claim of more is damage
)

// A Damage is the place where a capture file stops making sense.
type Damage struct {
	Path   string
	Packet uint64 // packets delivered before it
	Offset int64  // where the broken record starts, in bytes of the (uncompressed) capture
	Reason string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("%s: damaged at byte %d, behind packet %d: %s", d.Path, d.Offset, d.Packet, d.Reason)
}

// A File is a capture file. It implements Source.
type File struct {
	path  string
	close io.Closer
	in    *bufio.Reader
	at    int64 // offset of the next unread byte
	lent  int   // bytes of the buffer that the last packet still occupies
	count uint64
	long  []byte // room for frames longer than the buffer
	read  func(*Packet) error
	ended error

	order  binary.ByteOrder
	pcap   pcapFormat
	ifaces []iface // pcapng
	last   int64   // pcapng: time of the last packet, for those that carry none
}

var _ Source = (*File)(nil)

// Open opens a capture file. What it is, is read from its content; its name does not matter.
func Open(path string) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := NewFile(path, in)
	if err != nil {
		in.Close()
		return nil, err
	}
	f.close = in
	return f, nil
}

// NewFile reads a capture from in; name stands for it in errors. Close does not close in.
func NewFile(name string, in io.Reader) (*File, error) {
	f := &File{path: name, in: bufio.NewReaderSize(in, bufferSize)}
	if head, _ := f.in.Peek(2); len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		unzip, err := gzip.NewReader(f.in)
		if err != nil {
			return nil, fmt.Errorf("%s: not a capture file: gzip: %w", name, err)
		}
		f.in = bufio.NewReaderSize(unzip, bufferSize)
	}
	head, err := f.in.Peek(4)
	if err != nil {
		return nil, f.refuse(len(head), err)
	}
	if binary.BigEndian.Uint32(head) == blockSection {
		err = f.openNG()
	} else {
		err = f.openPcap()
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// refuse says why what was opened is no capture, n being how many bytes there were to look at.
func (f *File) refuse(n int, err error) error {
	switch {
	case !isEnd(err):
		return fmt.Errorf("%s: %w", f.path, err)
	case n == 0:
		return fmt.Errorf("%s: not a capture file: it is empty", f.path)
	}
	return fmt.Errorf("%s: not a capture file: it ends inside its header", f.path)
}

// Next implements Source. After an error it returns the same error again.
func (f *File) Next(p *Packet) error {
	if f.ended != nil {
		return f.ended
	}
	*p = Packet{}
	if err := f.read(p); err != nil {
		f.ended = err
		return err
	}
	f.count++
	p.Frame = f.count
	return nil
}

// Close closes the file.
func (f *File) Close() error {
	f.ended = os.ErrClosed
	if f.close == nil {
		return nil
	}
	return f.close.Close()
}

// take lends the next n bytes, until the next take or skip.
func (f *File) take(n int) ([]byte, error) {
	f.release()
	if n > bufferSize {
		return f.takeLong(n)
	}
	b, err := f.in.Peek(n)
	if len(b) < n {
		f.at += int64(len(b))
		return b, err
	}
	f.lent = n
	f.at += int64(n)
	return b, nil
}

// takeLong grows its buffer as the bytes arrive, so that a claimed length alone costs no memory.
func (f *File) takeLong(n int) ([]byte, error) {
	f.long = f.long[:0]
	for len(f.long) < n {
		part, err := f.take(min(n-len(f.long), bufferSize))
		f.long = append(f.long, part...)
		if err != nil {
			return f.long, err
		}
	}
	return f.long, nil
}

// skip passes over n bytes.
func (f *File) skip(n int64) error {
	f.release()
	for n > 0 {
		done, err := f.in.Discard(int(min(n, 1<<30)))
		f.at += int64(done)
		n -= int64(done)
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *File) release() {
	if f.lent > 0 {
		f.in.Discard(f.lent) //nolint:errcheck // these bytes are in the buffer
		f.lent = 0
	}
}

// damage makes the error for a record that starts at start; err is what reading it said, if that was it.
func (f *File) damage(start int64, err error, format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	if err != nil && !isEnd(err) {
		reason += ": " + err.Error()
	}
	return &Damage{Path: f.path, Packet: f.count, Offset: start, Reason: reason}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
