package baseline

import (
	"slices"

	"github.com/roje-ot/roje/protocols"
)

// pointKind is the place in kinds of the kind of an item's points; -1 where it has none.
func (it *Item) pointKind() int {
	return slices.IndexFunc(kinds[:], func(k protocols.Kind) bool { return k.String() == it.Points })
}

// Addresses calls each with the runs of addresses that an item of the kinds points, target and values stands for, both ends
// included, and their kind; other items have none.
func (it *Item) Addresses(each func(kind protocols.Kind, from, to uint32)) {
	kind := it.pointKind()
	switch {
	case kind < 0:
	case it.Addr != nil:
		each(kinds[kind], *it.Addr, *it.Addr)
	default:
		runs, _ := parseRanges(it.Ranges) // what the baseline itself has written
		for _, r := range runs {
			each(kinds[kind], r.lo, r.hi)
		}
	}
}
