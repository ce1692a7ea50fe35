package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/roje-ot/roje/rules/batch/proof"
)

// A Seal says, in the sensor's name, which record was the newest at a time, and with it all before it: Head is the last
// hash of the chain. Somebody who has kept a seal elsewhere sees that a ledger was cut back or written anew, even by one
// who has the key.
type Seal struct {
	At        time.Time `json:"at"`
	Number    uint64    `json:"number"` // of the newest record; 0 before there was one
	Head      string    `json:"head"`   // its hash; hex
	Key       []byte    `json:"key"`    // public, Ed25519; base64
	Signature []byte    `json:"signature"`
}

// sealed is what a seal's signature is for.
const sealed = "roje-ledger-1 "

// signs is the text that is signed.
func (s *Seal) signs() []byte {
	return fmt.Appendf(nil, "%s%s %d %s", sealed, s.At.UTC().Format(time.RFC3339Nano), s.Number, s.Head)
}

func newSeal(key ed25519.PrivateKey, at time.Time, number uint64, head [sha256.Size]byte) *Seal {
	s := &Seal{At: at.UTC(), Number: number, Head: hex.EncodeToString(head[:]), Key: key.Public().(ed25519.PublicKey)}
	s.Signature = ed25519.Sign(key, s.signs())
	return s
}

// Check returns an ErrChain if the seal is not as it was signed.
func (s *Seal) Check() error {
	if len(s.Key) != ed25519.PublicKeySize || !ed25519.Verify(s.Key, s.signs(), s.Signature) {
		return fmt.Errorf("%w: the seal of record %d of %s is not as it was signed", ErrChain, s.Number, s.At.Format(time.RFC3339))
	}
	return nil
}

// Fingerprint names the key that signed.
func (s *Seal) Fingerprint() string { return proof.Fingerprint(s.Key) }

var bucketSeals = []byte("seals") // number of the seal, big endian: the Seal as JSON

// maxSeals is how many seals a store keeps: more than three years of days.
const maxSeals = 1200

// seal signs the head, if the newest seal is not of today or closing asks for one.
func (s *Store) seal(tx *bolt.Tx, closing bool) error {
	if s.key == nil {
		return nil
	}
	seals, err := tx.CreateBucketIfNotExists(bucketSeals)
	if err != nil {
		return err
	}
	number, head := head(tx.Bucket(bucketMeta))
	now := s.now().UTC()
	if _, text := seals.Cursor().Last(); text != nil {
		var last Seal
		if json.Unmarshal(text, &last) == nil {
			today := last.At.Format(time.DateOnly) == now.Format(time.DateOnly)
			if today && (!closing || last.Number == number) {
				return nil
			}
		}
	}
	n, err := seals.NextSequence()
	if err != nil {
		return err
	}
	text, err := json.Marshal(newSeal(s.key, now, number, head))
	if err != nil {
		return err
	}
	if n > maxSeals {
		if err := seals.Delete(be(n - maxSeals)); err != nil {
			return err
		}
	}
	return seals.Put(be(n), text)
}
