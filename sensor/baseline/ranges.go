package baseline

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// maxRanges is how many ranges a set keeps apart; a station that needs more is not enumerable, and its nearest ranges merge.
const maxRanges = 1024

// A span is the addresses lo to hi.
type span struct{ lo, hi uint32 }

// ranges is a set of addresses as merged spans, sorted.
type ranges []span

// has tells whether all of lo to hi is in the set.
func (r ranges) has(lo, hi uint32) bool {
	i := sort.Search(len(r), func(i int) bool { return r[i].hi >= lo })
	return i < len(r) && r[i].lo <= lo && hi <= r[i].hi
}

// add puts lo to hi into the set and tells whether that changed it.
func (r *ranges) add(lo, hi uint32) bool {
	if r.has(lo, hi) {
		return false
	}
	s := *r
	// i is the first span that touches or lies above; j the first that lies above without touching.
	i := sort.Search(len(s), func(i int) bool { return uint64(s[i].hi)+1 >= uint64(lo) })
	j := sort.Search(len(s), func(j int) bool { return uint64(s[j].lo) > uint64(hi)+1 })
	if i < j {
		lo, hi = min(lo, s[i].lo), max(hi, s[j-1].hi)
	}
	s = slices.Replace(s, i, j, span{lo, hi})
	if len(s) > maxRanges {
		s = s.closeNarrowest()
	}
	*r = s
	return true
}

// without returns the addresses of r that are not in other.
func (r ranges) without(other ranges) (left ranges) {
	for _, p := range r {
		next := uint64(p.lo) // the first address that is not decided
		for _, o := range other {
			if uint64(o.hi) < next || o.lo > p.hi {
				continue
			}
			if uint64(o.lo) > next {
				left.add(uint32(next), o.lo-1)
			}
			next = uint64(o.hi) + 1
		}
		if next <= uint64(p.hi) {
			left.add(uint32(next), p.hi)
		}
	}
	return left
}

// closeNarrowest merges the two spans with the least gap between them.
func (r ranges) closeNarrowest() ranges {
	best := 0
	for i := range len(r) - 1 {
		if r[i+1].lo-r[i].hi < r[best+1].lo-r[best].hi {
			best = i
		}
	}
	r[best].hi = r[best+1].hi
	return slices.Delete(r, best+1, best+2)
}

func (r ranges) String() string {
	parts := make([]string, len(r))
	for i, s := range r {
		parts[i] = strconv.FormatUint(uint64(s.lo), 10)
		if s.hi != s.lo {
			parts[i] += "-" + strconv.FormatUint(uint64(s.hi), 10)
		}
	}
	return strings.Join(parts, ",")
}

// parseRanges reads what String wrote.
func parseRanges(s string) (ranges, error) {
	var r ranges
	if s == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		from, to, two := strings.Cut(part, "-")
		lo, err := strconv.ParseUint(from, 10, 32)
		hi := lo
		if two && err == nil {
			hi, err = strconv.ParseUint(to, 10, 32)
		}
		if err != nil || hi < lo {
			return nil, fmt.Errorf("%q is not a range of addresses", part)
		}
		r.add(uint32(lo), uint32(hi))
	}
	return r, nil
}
