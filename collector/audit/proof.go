package audit

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// A Proof is what /audit/proof and /audit/growth answer with. Hashes are those of package tlog (RFC 6962 §2.1.1, §2.1.2), the
// lowest first.
type Proof struct {
	Entry  *int64      `json:"entry,omitempty"` // place of Leaf, which Hashes prove to be in the first Size entries
	Leaf   string      `json:"leaf,omitempty"`  // the bytes that are hashed
	From   *int64      `json:"from,omitempty"`  // the first so many entries are those of the first Size
	Size   int64       `json:"size"`
	Root   tlog.Hash   `json:"root"` // of the first Size entries
	Hashes []tlog.Hash `json:"hashes"`
}

// Check holds the proof to the checkpoints that who has it keeps: one of Size entries, and for growth one of From. The
// proof's own Root is not believed. A Checkpoint is as good as the key that ParseCheckpoint was given.
func (p *Proof) Check(kept ...Checkpoint) error {
	of := func(size int64) (c Checkpoint, err error) {
		i := slices.IndexFunc(kept, func(c Checkpoint) bool { return c.Size == size })
		if i < 0 {
			return c, fmt.Errorf("none of the checkpoints is of %d entries, as the proof is: ask for the proof with the size of one that you keep", size)
		}
		return kept[i], nil
	}
	newer, err := of(p.Size)
	switch {
	case err != nil:
		return err
	case p.Entry != nil && p.From == nil:
		return tlog.CheckRecord(p.Hashes, newer.Size, newer.Root, *p.Entry, tlog.RecordHash([]byte(p.Leaf)))
	case p.From != nil && p.Entry == nil:
		older, err := of(*p.From)
		if err != nil {
			return err
		}
		return tlog.CheckTree(p.Hashes, newer.Size, newer.Root, older.Size, older.Root)
	default:
		return errors.New("a proof is of an entry or of growth")
	}
}
