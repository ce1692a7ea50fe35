package evidence

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/roje-ot/roje/rules/batch/headers"
	"github.com/roje-ot/roje/sensor/capture"
)

// Redact writes to out a variant of the evidence in path that names nobody: every MAC and IP address that any header
// names is replaced by a pseudonym, wherever in a frame its bytes or its text stand, checksums are repaired, and the
// title and the names of points are left out. Equal addresses have equal pseudonyms within the file, and none beyond it.
func Redact(path, out string, key ed25519.PrivateKey) error {
	if _, err := Verify(path); err != nil {
		return err
	}
	frames, err := load(path)
	if err != nil {
		return err
	}
	if err := pseudonyms(frames); err != nil {
		return fmt.Errorf("evidence %s: %w", path, err)
	}
	r := read(frames, nil) // a name of a point would say whose it is
	r.mask()
	file := seal(encode("Evidence with pseudonyms for addresses", frames, r.said), key)
	if err := os.WriteFile(out, file, 0o640); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	return nil
}

// load reads the frames of a capture file.
func load(path string) ([]Frame, error) {
	f, err := capture.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var frames []Frame
	var p capture.Packet
	for {
		switch err := f.Next(&p); {
		case errors.Is(err, io.EOF):
			return frames, nil
		case err != nil:
			return nil, fmt.Errorf("evidence: %w", err)
		}
		frames = append(frames, Frame{At: p.At, Link: uint16(p.Link), Orig: p.OrigLen, Data: bytes.Clone(p.Data)})
	}
}

// pseudonyms replaces the addresses in frames.
func pseudonyms(frames []Frame) error {
	next := uint32(0)
	return headers.Disguise(len(frames), func(i int) (uint16, []byte) { return frames[i].Link, frames[i].Data }, func(a []byte, _ int) []byte {
		next++
		return pseudonym(len(a), next)
	})
}

// pseudonym is the n-th that is size bytes long: a locally administered MAC, an address for benchmarks (RFC 2544) or
// for documentation (RFC 3849).
func pseudonym(size int, n uint32) []byte {
	switch size {
	case 4:
		return []byte{198, 18 + byte(n>>16&1), byte(n >> 8), byte(n)}
	case 16:
		return []byte{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	}
	return []byte{0x02, 0x52, 0x4a, byte(n >> 16), byte(n >> 8), byte(n)}
}
