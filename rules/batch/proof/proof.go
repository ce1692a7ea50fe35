// Package proof is what a sensor signs besides its envelopes, so that others can check it offline: captures with the
// frames of an alert, and statements of what was watched on a day. Whose a key is must be known otherwise.
package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// ErrFalse says that something is not what a sensor signed, or contradicts itself.
var ErrFalse = errors.New("not as it was signed")

// A Seal is what something that was signed says of itself.
type Seal struct {
	SHA256 string            // of the whole, as it is
	Key    ed25519.PublicKey // that signed it; whose it is must be known otherwise
}

// Fingerprint names the key that signed.
func (s *Seal) Fingerprint() string { return Fingerprint(s.Key) }

// Fingerprint names a key that signs: the SHA-256 of its 32 bytes, hex.
func Fingerprint(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:])
}
