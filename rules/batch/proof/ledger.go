package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// A LedgerSeal says, in a sensor's name, which record of its ledger was the newest at a time, and with it all before it:
// Head is the last hash of the chain of records. Each names the seal before it, so that one who has them all sees that a
// ledger was cut back or written anew, even by one who has the key.
type LedgerSeal struct {
	At        time.Time `json:"at"`
	Number    uint64    `json:"number"`           // of the newest record; 0 before there was one
	Head      string    `json:"head"`             // its hash; hex
	Before    string    `json:"before,omitempty"` // SHA-256 of the signature of the seal before it, hex, or FirstSeal; "" of sensors that did not say
	Key       []byte    `json:"key"`              // public, Ed25519; base64
	Signature []byte    `json:"signature"`

	Introduced *Introduction `json:"introduced,omitempty"` // of the first seal by a new key: what the key before says of it
}

// An Introduction says that a sensor goes on with another key: the key that it had before signs the first seal by the new
// one, too. Whoever knows the old key can tell the new one from that of a stranger.
type Introduction struct {
	Key       []byte `json:"key"` // public, Ed25519; of the one before
	Signature []byte `json:"signature"`
}

// FirstSeal stands for the seal before the first of a ledger.
const FirstSeal = "none"

// What a seal's signature is for, without and with the seal before it.
const (
	signedSeal  = "roje-ledger-1 "
	signedAfter = "roje-ledger-2 "
	signedHeir  = "roje-ledger-heir-1 "
)

// signs is the text that is signed.
func (s *LedgerSeal) signs() []byte {
	at := s.At.UTC().Format(time.RFC3339Nano)
	if s.Before == "" {
		return fmt.Appendf(nil, "%s%s %d %s", signedSeal, at, s.Number, s.Head)
	}
	return fmt.Appendf(nil, "%s%s %d %s %s", signedAfter, at, s.Number, s.Head, s.Before)
}

// SealLedger seals the newest record and its hash with key. before is the newest seal so far, nil for none.
func SealLedger(key ed25519.PrivateKey, at time.Time, number uint64, head [sha256.Size]byte, before *LedgerSeal) *LedgerSeal {
	s := &LedgerSeal{At: at.UTC(), Number: number, Head: hex.EncodeToString(head[:]), Before: FirstSeal, Key: key.Public().(ed25519.PublicKey)}
	if before != nil {
		s.Before = before.hash()
	}
	s.Signature = ed25519.Sign(key, s.signs())
	return s
}

// Introduce has the key before, by, say that the seal's key is the sensor's next.
func (s *LedgerSeal) Introduce(by ed25519.PrivateKey) {
	s.Introduced = &Introduction{Key: by.Public().(ed25519.PublicKey), Signature: ed25519.Sign(by, s.introduces())}
}

// introduces is the text that the key before signs.
func (s *LedgerSeal) introduces() []byte {
	return fmt.Appendf(nil, "%s%x %s", signedHeir, s.Key, s.signs())
}

func (s *LedgerSeal) hash() string {
	sum := sha256.Sum256(s.Signature)
	return hex.EncodeToString(sum[:])
}

// Check returns an ErrFalse if the seal, or what introduces its key, is not as it was signed.
func (s *LedgerSeal) Check() error {
	if !signed(s.Key, s.signs(), s.Signature) {
		return fmt.Errorf("%w: the seal of record %d of %s", ErrFalse, s.Number, s.At.Format(time.RFC3339))
	}
	if i := s.Introduced; i != nil && !signed(i.Key, s.introduces(), i.Signature) {
		return fmt.Errorf("%w: the introduction of key %s at the seal of record %d of %s", ErrFalse, s.Fingerprint(), s.Number, s.At.Format(time.RFC3339))
	}
	return nil
}

func signed(key, text, signature []byte) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, text, signature)
}

// Fingerprint names the key that signed.
func (s *LedgerSeal) Fingerprint() string { return Fingerprint(s.Key) }

// Follows returns an ErrFalse if s cannot be the seal of the same ledger after before: records that before sealed are gone,
// or others, or a seal between them is.
func (s *LedgerSeal) Follows(before *LedgerSeal) error {
	at, was := s.At.Format(time.RFC3339), before.At.Format(time.RFC3339)
	switch {
	case s.Number < before.Number:
		return fmt.Errorf("%w: on %s the ledger ended at record %d, and record %d was sealed on %s", ErrFalse, at, s.Number, before.Number, was)
	case s.Number == before.Number && s.Head != before.Head:
		return fmt.Errorf("%w: record %d of %s is not the one that was sealed on %s", ErrFalse, s.Number, at, was)
	case s.Before == FirstSeal:
		return fmt.Errorf("%w: on %s the ledger began anew, and record %d was sealed on %s", ErrFalse, at, before.Number, was)
	case s.Before != "" && s.Before != before.hash():
		return fmt.Errorf("%w: the seal of %s does not follow that of %s: one between them did not arrive, or the ledger was cut back and went on", ErrFalse, at, was)
	}
	return nil
}
