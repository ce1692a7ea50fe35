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

	"github.com/roje-ot/roje/rules/batch/proof"
)

// A Verdict is what the verification of a ledger found to be as it was written.
type Verdict struct {
	Records     uint64
	First, Last uint64 // numbers of the oldest and the newest record
	Seals       int
	Newest      Seal   // the newest seal; all are by its key
	Open        uint64 // records after it, which nobody has signed yet
}

// notary checks seals against the chain as it is walked.
type notary struct {
	verdict Verdict
	seals   map[uint64][]Seal // those of each record
	signer  string            // fingerprint that all must have; "" for any one
}

// take adds a seal.
func (n *notary) take(s Seal) error {
	if err := s.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrChain, err)
	}
	if n.signer == "" {
		n.signer = s.Fingerprint()
	}
	if s.Fingerprint() != n.signer {
		return fmt.Errorf("%w: record %d is sealed by key %s, not by %s", ErrChain, s.Number, s.Fingerprint(), n.signer)
	}
	n.seals[s.Number] = append(n.seals[s.Number], s)
	if n.verdict.Seals++; !s.At.Before(n.verdict.Newest.At) {
		n.verdict.Newest = s
	}
	return nil
}

// at holds the seals of a record against its hash.
func (n *notary) at(number uint64, hash [sha256.Size]byte) error {
	for _, s := range n.seals[number] {
		if s.Head != hex.EncodeToString(hash[:]) {
			return fmt.Errorf("%w: record %d is not the one that was sealed on %s", ErrChain, number, s.At.Format(time.RFC3339))
		}
	}
	return nil
}

// record takes one record of the walk.
func (n *notary) record(number uint64, hash [sha256.Size]byte) error {
	v := &n.verdict
	if v.Records++; v.Records == 1 {
		v.First = number
	}
	v.Last = number
	return n.at(number, hash)
}

// end says whether what the seals say is all there.
func (n *notary) end() (*Verdict, error) {
	v := &n.verdict
	if v.Seals == 0 {
		return nil, fmt.Errorf("%w: nobody has sealed it", ErrChain)
	}
	for number, list := range n.seals {
		if number > v.Last {
			return nil, fmt.Errorf("%w: it ends at record %d, and record %d was sealed on %s", ErrChain, v.Last, number, list[0].At.Format(time.RFC3339))
		}
	}
	v.Open = v.Last - min(v.Newest.Number, v.Last)
	return v, nil
}

// Verify checks the store at path offline: the chain of its records, and the seals of the store and further ones that
// were kept elsewhere. signer is the fingerprint of the key that must have sealed; "" for any one key. A record that was
// changed, removed or, once it was sealed, cut off at the end is an ErrChain. It may be called while a Store is open.
func Verify(path, signer string, further ...Seal) (*Verdict, error) {
	n := &notary{seals: map[uint64][]Seal{}, signer: signer}
	for _, s := range further {
		if err := n.take(s); err != nil {
			return nil, fmt.Errorf("ledger %s: %w", path, err)
		}
	}
	err := view(path, func(tx *bolt.Tx, records, meta *bolt.Bucket) error {
		if seals := tx.Bucket(bucketSeals); seals != nil {
			if err := seals.ForEach(func(k, text []byte) error {
				var s Seal
				if err := json.Unmarshal(text, &s); err != nil {
					return fmt.Errorf("%w: seal %x: %w", ErrChain, k, err)
				}
				return n.take(s)
			}); err != nil {
				return err
			}
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

// A line is one of an export: the hash before the first record, a record with its number, or, at the end, the seal.
type line struct {
	Anchor string          `json:"anchor,omitempty"`
	Number uint64          `json:"number,omitempty"`
	Record json.RawMessage `json:"record,omitempty"`
	Seal   *Seal           `json:"seal,omitempty"`
}

// Export writes all records of the store at path to out, chained and sealed with key at the time at, so that the file
// can be verified without the store. It checks the store's own chain on the way.
func Export(path string, out io.Writer, key ed25519.PrivateKey, at time.Time) error {
	w := bufio.NewWriter(out)
	put := func(l *line) error {
		text, err := json.Marshal(l)
		if err == nil {
			_, err = w.Write(append(text, '\n'))
		}
		return err
	}
	return errors.Join(view(path, func(_ *bolt.Tx, records, meta *bolt.Bucket) error {
		var anchor [sha256.Size]byte
		copy(anchor[:], meta.Get(keyAnchor))
		if err := put(&line{Anchor: hex.EncodeToString(anchor[:])}); err != nil {
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
		return put(&line{Seal: proof.SealLedger(key, at, number, last, nil)})
	}), w.Flush())
}

// VerifyExport is Verify for what Export wrote.
func VerifyExport(in io.Reader, signer string, further ...Seal) (*Verdict, error) {
	n := &notary{seals: map[uint64][]Seal{}, signer: signer}
	for _, s := range further {
		if err := n.take(s); err != nil {
			return nil, err
		}
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
		seals := tx.Bucket(bucketSeals)
		if seals == nil {
			return nil
		}
		return seals.ForEach(func(_, text []byte) error {
			var s Seal
			err := json.Unmarshal(text, &s)
			list = append(list, s)
			return err
		})
	})
	return list, err
}
