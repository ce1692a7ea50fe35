package ledger

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/roje-ot/roje/rules/batch/proof"
)

// A Verdict is what the verification of a ledger found to be as it was written.
type Verdict struct {
	Records     uint64
	First, Last uint64 // numbers of the oldest and the newest record
	Seals       int
	Newest      Seal     // the newest seal
	Open        uint64   // records after it, which nobody has signed yet
	Keys        []string // fingerprints of the keys that sealed, in turn
}

// A notary checks seals against the chain as it is walked, and their keys against each other.
type notary struct {
	verdict Verdict
	seals   []Seal            // as they were taken, each once
	of      map[uint64][]Seal // those of each record
	taken   map[string]int    // where each is, by its signature
	signers []string          // fingerprints of keys that are known to be the sensor's; none for whichever sealed first
}

func newNotary(signers []string, kept []Seal) (*notary, error) {
	n := &notary{of: map[uint64][]Seal{}, taken: map[string]int{}, signers: signers}
	for _, s := range kept {
		if err := n.take(s); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// take adds a seal. Those that were kept elsewhere come first, and then those of the ledger in their order.
func (n *notary) take(s Seal) error {
	if err := s.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrChain, err)
	}
	if i, again := n.taken[string(s.Signature)]; again {
		n.seals[i].Introduced = cmp.Or(n.seals[i].Introduced, s.Introduced) // who kept it may not have kept that
		return nil
	}
	n.taken[string(s.Signature)] = len(n.seals)
	n.seals = append(n.seals, s)
	n.of[s.Number] = append(n.of[s.Number], s)
	return nil
}

// at holds the seals of a record against its hash.
func (n *notary) at(number uint64, hash [sha256.Size]byte) error {
	for _, s := range n.of[number] {
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

// end says whether what the seals say is all there, and by keys that are the sensor's.
func (n *notary) end() (*Verdict, error) {
	v := &n.verdict
	if v.Seals = len(n.seals); v.Seals == 0 {
		return nil, fmt.Errorf("%w: nobody has sealed it", ErrChain)
	}
	slices.SortStableFunc(n.seals, func(a, b Seal) int { return cmp.Compare(a.Number, b.Number) })
	if v.Newest = n.seals[v.Seals-1]; v.Newest.Number > v.Last {
		return nil, fmt.Errorf("%w: it ends at record %d, and record %d was sealed on %s", ErrChain, v.Last, v.Newest.Number, v.Newest.At.Format(time.RFC3339))
	}
	v.Open = v.Last - v.Newest.Number
	return v, n.accept()
}

// accept goes through the keys that sealed, in turn. One is the sensor's if it is known to be, or if one before it that is
// has introduced it.
func (n *notary) accept() error {
	v := &n.verdict
	now := ""
	for i := range n.seals {
		s := &n.seals[i]
		key, by := s.Fingerprint(), ""
		if s.Introduced != nil {
			by = proof.Fingerprint(s.Introduced.Key)
		}
		known := func(key string) bool { return slices.Contains(n.signers, key) }
		switch {
		case key == now:
			continue
		case known(key), by != "" && (by == now || known(by)), now == "" && len(n.signers) == 0:
		case now == "":
			return fmt.Errorf("%w: record %d is sealed by key %s, which is none of those that should have", ErrChain, s.Number, key)
		default:
			return fmt.Errorf("%w: record %d is sealed by key %s, which the key before it, %s, has not introduced", ErrChain, s.Number, key, now)
		}
		now = key
		v.Keys = append(v.Keys, key)
	}
	return nil
}
