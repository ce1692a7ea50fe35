package postgres

import (
	"slices"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/rules/batch"
)

type streamKey struct {
	epoch string
	lane  batch.Lane
}

// A stream is what is known of one, as the batches of the call change it.
type stream struct {
	high    uint64
	head    batch.Hash
	breaks  int
	offset  int64
	gaps    []store.Gap // by From
	was     []store.Gap // as they are in the database
	claimed []claim     // by the envelopes of this call
}

// A claim is the numbers of an envelope, and whose they are.
type claim struct {
	lo, hi uint64
	hash   batch.Hash
}

// seenBefore says whether this very envelope was taken before. Another one that claims the same numbers is an error.
func (st *stream) seenBefore(b *store.Batch, met *claim) (bool, error) {
	claims := st.claimed
	if met != nil {
		claims = append(slices.Clip(claims), *met)
	}
	for _, c := range claims {
		switch {
		case c.lo > b.To || c.hi < b.From:
		case c == claim{b.From, b.To, b.Hash}:
			return true, nil
		default:
			return false, store.ErrForked
		}
	}
	return false, nil
}

// fresh returns what tells new records from known ones: a record is new above the stream's highest and inside a gap. It
// takes the batch's numbers out of the gaps.
func (st *stream) fresh(b *store.Batch) func(seq uint64) bool {
	high, before := st.high, st.gaps
	var left []store.Gap
	for _, g := range before {
		if g.To < b.From || g.From > b.To {
			left = append(left, g)
			continue
		}
		if g.From < b.From {
			left = append(left, store.Gap{Epoch: g.Epoch, Lane: g.Lane, From: g.From, To: b.From - 1})
		}
		if g.To > b.To {
			left = append(left, store.Gap{Epoch: g.Epoch, Lane: g.Lane, From: b.To + 1, To: g.To})
		}
	}
	if b.From > high+1 {
		left = append(left, store.Gap{Epoch: b.Epoch, Lane: b.Lane, From: high + 1, To: b.From - 1})
	}
	st.gaps = left
	return func(seq uint64) bool {
		return seq > high || slices.ContainsFunc(before, func(g store.Gap) bool { return seq >= g.From && seq <= g.To })
	}
}

// advance records the envelope and, if it is the newest, makes it the stream's head.
func (st *stream) advance(b *store.Batch, received int64) {
	st.claimed = append(st.claimed, claim{b.From, b.To, b.Hash})
	if b.To <= st.high {
		return
	}
	if b.Prev != st.head {
		st.breaks++
	}
	st.high, st.head, st.offset = b.To, b.Hash, received-book.Nanos(b.Sealed)
}
