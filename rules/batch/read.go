package batch

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Read takes the bytes of the next envelope from a stream of them, as Decode wants them. At the end of the stream it
// returns io.EOF, and io.ErrUnexpectedEOF where an envelope is cut short. After any error the stream has lost its
// place: what follows cannot be read. The bytes are the caller's.
func Read(r io.Reader) ([]byte, error) {
	b := make([]byte, prefix, 4<<10)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	if string(b[:len(magic)]) != magic {
		return nil, errors.New("envelope: does not begin with ROJB")
	}
	if v := b[len(magic)]; v != Version {
		return nil, fmt.Errorf("envelope: %w: %d; this program reads version %d", ErrVersion, v, Version)
	}
	b, err := more(r, b, prefix-4, MaxHeader, 4)
	if err == nil {
		b, err = more(r, b, len(b)-4, MaxPayload, ed25519.SignatureSize)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// more reads the part whose length is at from, and extra bytes after it. It takes memory as bytes come, not as the
// length claims.
func more(r io.Reader, b []byte, from, most, extra int) ([]byte, error) {
	n := binary.BigEndian.Uint32(b[from:])
	if n > uint32(most) {
		return nil, fmt.Errorf("envelope: %d bytes are more than %d", n, most)
	}
	for left := int(n) + extra; left > 0; {
		step := min(left, 64<<10)
		at := len(b)
		b = append(b, make([]byte, step)...)
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return nil, err
		}
		left -= step
	}
	return b, nil
}
