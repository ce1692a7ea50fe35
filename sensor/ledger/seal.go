package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/roje-ot/roje/rules/batch/proof"
)

// A Seal says, in the sensor's name, which record was the newest at a time. Somebody who has kept a seal elsewhere sees
// that a ledger was cut back or written anew.
type Seal = proof.LedgerSeal

var bucketSeals = []byte("seals") // number of the seal, big endian: the Seal as JSON

// maxSeals is how many seals a store keeps: more than three years of days.
const maxSeals = 1200

// seal signs the head, if the newest seal is not of today or by another key, or closing asks for one.
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
	last := new(Seal)
	if _, text := seals.Cursor().Last(); text == nil || json.Unmarshal(text, last) != nil {
		last = nil // a broken one is no reason not to keep records; the next one shows that it is gone
	}
	if last != nil {
		today := last.At.Format(time.DateOnly) == now.Format(time.DateOnly)
		if today && isOf(s.key, last.Key) && (!closing || last.Number == number) {
			return nil
		}
	}
	n, err := seals.NextSequence()
	if err != nil {
		return err
	}
	next := sealed(s.key, s.former, now, number, head, last)
	if last != nil && !isOf(s.key, last.Key) && next.Introduced == nil {
		s.stranger = last.Fingerprint()
	}
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if n > maxSeals {
		if err := seals.Delete(be(n - maxSeals)); err != nil {
			return err
		}
	}
	s.sealed.Store(true)
	return seals.Put(be(n), text)
}

// Stranger is the fingerprint of the key that sealed before the store was opened, if that could not introduce the one that
// seals now: whoever verifies the ledger must know both. "" where all is well.
func (s *Store) Stranger() string { return s.stranger }

// eachSeal calls each with the seals of a store, oldest first. One that is not to be read is an ErrChain.
func eachSeal(tx *bolt.Tx, each func(Seal) error) error {
	seals := tx.Bucket(bucketSeals)
	if seals == nil {
		return nil
	}
	return seals.ForEach(func(k, text []byte) error {
		var s Seal
		if err := json.Unmarshal(text, &s); err != nil {
			return fmt.Errorf("%w: seal %x: %w", ErrChain, k, err)
		}
		return each(s)
	})
}

// sealed is a seal by key after the one before. Where that was by another key which is among the former ones, it is
// introduced.
func sealed(key ed25519.PrivateKey, former []ed25519.PrivateKey, at time.Time, number uint64, head [sha256.Size]byte, before *Seal) *Seal {
	seal := proof.SealLedger(key, at, number, head, before)
	if before != nil && !isOf(key, before.Key) {
		for _, old := range former {
			if isOf(old, before.Key) {
				seal.Introduce(old)
				break
			}
		}
	}
	return seal
}

func isOf(key ed25519.PrivateKey, public []byte) bool {
	return bytes.Equal(key.Public().(ed25519.PublicKey), public)
}

var keyHanded = []byte("handed") // of the bucket of meta: number of the newest seal that somebody else has

// HandOver gives the seals that nobody else has yet, oldest first, to put, which returns when they are safe. It may be
// called at any time before Close, by one goroutine at a time; while nothing is sealed it does not touch the disk.
func (s *Store) HandOver(put func([]Seal) error) error {
	if !s.sealed.Swap(false) {
		return nil
	}
	err := s.handOver(put)
	if err != nil {
		s.sealed.Store(true) // again the next time
	}
	return err
}

func (s *Store) handOver(put func([]Seal) error) error {
	var list []Seal
	newest := uint64(0)
	if err := view(s.path, func(tx *bolt.Tx, _, meta *bolt.Bucket) error {
		seals := tx.Bucket(bucketSeals)
		if seals == nil {
			return nil
		}
		if b := meta.Get(keyHanded); len(b) == 8 {
			newest = binary.BigEndian.Uint64(b)
		}
		c := seals.Cursor()
		for k, text := c.Seek(be(newest + 1)); k != nil; k, text = c.Next() {
			var one Seal
			if err := json.Unmarshal(text, &one); err != nil {
				return fmt.Errorf("seal %x: %w", k, err)
			}
			list, newest = append(list, one), binary.BigEndian.Uint64(k)
		}
		return nil
	}); err != nil || len(list) == 0 {
		return err
	}
	if err := put(list); err != nil {
		return err
	}
	return s.update(func(_ *bolt.Tx, _, meta *bolt.Bucket) error { return meta.Put(keyHanded, be(newest)) })
}
