package ledger

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Verify checks the store at path offline: the chain of its records, and the seals of the store and further ones that
// were kept elsewhere, kept. signers are fingerprints of keys that are the sensor's; none for whichever sealed first. All
// others must have been introduced by the key before. A record that was changed, removed or, once it was sealed, cut off
// at the end is an ErrChain, and so is a seal by another key. It may be called while a Store is open.
func Verify(path string, signers []string, kept ...Seal) (*Verdict, error) {
	n, err := newNotary(signers, kept)
	if err != nil {
		return nil, fmt.Errorf("ledger %s: %w", path, err)
	}
	err = view(path, func(tx *bolt.Tx, records, meta *bolt.Bucket) error {
		if err := eachSeal(tx, n.take); err != nil {
			return err
		}
		if b := meta.Get(keyAnchor); b == nil { // the chain begins with the first record of all
			if err := n.at(0, [sha256.Size]byte{}); err != nil {
				return err
			}
		}
		return walk(records, meta, func(number uint64, hash [sha256.Size]byte, _ []byte) error { return n.record(number, hash) })
	})
	if err != nil {
		return nil, err
	}
	v, err := n.end()
	if err != nil {
		return nil, fmt.Errorf("ledger %s: %w", path, err)
	}
	return v, nil
}

// A line is one of an export: the hash before the first record, with the seals by which the sensor's keys introduced each
// other; a record with its number; or, at the end, the seal.
type line struct {
	Anchor string          `json:"anchor,omitempty"`
	Keys   []Seal          `json:"keys,omitempty"`
	Number uint64          `json:"number,omitempty"`
	Record json.RawMessage `json:"record,omitempty"`
	Seal   *Seal           `json:"seal,omitempty"`
}

// Export writes all records of the store at path to out, chained and sealed with key at the time at, so that the file
// can be verified without the store. former are the keys that the sensor had, as for OpenStore. It checks the store's own
// chain on the way.
func Export(path string, out io.Writer, at time.Time, key ed25519.PrivateKey, former ...ed25519.PrivateKey) error {
	w := bufio.NewWriter(out)
	put := func(l *line) error {
		text, err := json.Marshal(l)
		if err == nil {
			_, err = w.Write(append(text, '\n'))
		}
		return err
	}
	return errors.Join(view(path, func(tx *bolt.Tx, records, meta *bolt.Bucket) error {
		var anchor [sha256.Size]byte
		copy(anchor[:], meta.Get(keyAnchor))
		begin := line{Anchor: hex.EncodeToString(anchor[:])}
		var newest *Seal
		if err := eachSeal(tx, func(s Seal) error {
			if newest = &s; s.Introduced != nil {
				begin.Keys = append(begin.Keys, s)
			}
			return nil
		}); err != nil {
			return err
		}
		if err := put(&begin); err != nil {
			return err
		}
		number, last := uint64(0), anchor
		if err := walk(records, meta, func(n uint64, hash [sha256.Size]byte, text []byte) error {
			number, last = n, hash
			_, err := fmt.Fprintf(w, "{\"number\":%d,\"record\":%s}\n", n, text)
			return err
		}); err != nil {
			return err
		}
		return put(&line{Seal: sealed(key, former, at, number, last, newest)})
	}), w.Flush())
}

// VerifyExport is Verify for what Export wrote.
func VerifyExport(in io.Reader, signers []string, kept ...Seal) (*Verdict, error) {
	n, err := newNotary(signers, kept)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	var hash [sha256.Size]byte
	ended := false
	for count := 0; lines.Scan(); count++ {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrChain, count+1, err)
		}
		switch {
		case ended:
			return nil, fmt.Errorf("%w: line %d comes after the seal", ErrChain, count+1)
		case count == 0:
			b, err := hex.DecodeString(l.Anchor)
			if err != nil || len(b) != len(hash) {
				return nil, fmt.Errorf("%w: it does not begin with an anchor", ErrChain)
			}
			copy(hash[:], b)
			for _, s := range l.Keys {
				if err := n.take(s); err != nil {
					return nil, err
				}
			}
		case l.Seal != nil:
			if err := n.take(*l.Seal); err != nil {
				return nil, err
			}
			if l.Seal.Number != n.verdict.Last {
				return nil, fmt.Errorf("%w: it ends at record %d, and record %d was sealed", ErrChain, n.verdict.Last, l.Seal.Number)
			}
			if err := n.at(l.Seal.Number, hash); err != nil {
				return nil, err
			}
			ended = true
		case n.verdict.Records > 0 && l.Number != n.verdict.Last+1 || l.Number == 0:
			return nil, fmt.Errorf("%w: record %d does not follow record %d", ErrChain, l.Number, n.verdict.Last)
		default:
			hash = link(hash, l.Record)
			if err := n.record(l.Number, hash); err != nil {
				return nil, err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if !ended {
		return nil, fmt.Errorf("%w: it does not end with a seal", ErrChain)
	}
	return n.end()
}

// Seals returns the seals of the store at path, oldest first.
func Seals(path string) (list []Seal, err error) {
	err = view(path, func(tx *bolt.Tx, _, _ *bolt.Bucket) error {
		return eachSeal(tx, func(s Seal) error {
			list = append(list, s)
			return nil
		})
	})
	return list, err
}
