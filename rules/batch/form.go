package batch

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
)

// A Form is the shape of a signed file: what it begins with, and how long its parts may be. The magic and the version
// are signed too, so that a signature of one form is none of another.
//
//	magic  version  n  header  m  payload  signature
//	4      1        4  n       4  m        64        bytes; n and m big-endian
type Form struct {
	Magic      string // four letters
	Version    byte
	MaxHeader  int
	MaxPayload int
}

func (f Form) prefix() int { return len(f.Magic) + 1 + 4 }

// Sign joins the parts and appends the signature of all that is before it.
func (f Form) Sign(head, payload []byte, key ed25519.PrivateKey) []byte {
	b := make([]byte, 0, f.prefix()+len(head)+4+len(payload)+ed25519.SignatureSize)
	b = append(append(b, f.Magic...), f.Version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(head)))
	b = append(b, head...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = append(b, payload...)
	return append(b, ed25519.Sign(key, b)...)
}

// Cut finds the parts of the signed file at the start of b, and its length. It trusts nothing: call Verify with b[:n].
func (f Form) Cut(b []byte) (head, payload []byte, n int, err error) {
	if len(b) < f.prefix() {
		return nil, nil, 0, errors.New("cut short")
	}
	if string(b[:len(f.Magic)]) != f.Magic {
		return nil, nil, 0, fmt.Errorf("does not begin with %s", f.Magic)
	}
	if v := b[len(f.Magic)]; v != f.Version {
		return nil, nil, 0, fmt.Errorf("%w: %d; this program reads version %d", ErrVersion, v, f.Version)
	}
	head, n, err = field(b, f.prefix()-4, f.MaxHeader)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("header: %w", err)
	}
	payload, n, err = field(b, n, f.MaxPayload)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("payload: %w", err)
	}
	if len(b)-n < ed25519.SignatureSize {
		return nil, nil, 0, errors.New("signature: cut short")
	}
	return head, payload, n + ed25519.SignatureSize, nil
}

// field reads a length of four bytes at from and what it counts; end is the offset after it.
func field(b []byte, from, most int) (part []byte, end int, err error) {
	if len(b)-from < 4 {
		return nil, 0, errors.New("cut short")
	}
	n := binary.BigEndian.Uint32(b[from:])
	if n > uint32(most) {
		return nil, 0, fmt.Errorf("%d bytes are more than %d", n, most)
	}
	from += 4
	if len(b)-from < int(n) {
		return nil, 0, errors.New("cut short")
	}
	return b[from : from+int(n)], from + int(n), nil
}

// Verify tells whether pub's key signed b, which ends with the signature.
func (f Form) Verify(b []byte, pub ed25519.PublicKey) bool {
	signed := len(b) - ed25519.SignatureSize
	return signed >= 0 && len(pub) == ed25519.PublicKeySize && ed25519.Verify(pub, b[:signed], b[signed:])
}
