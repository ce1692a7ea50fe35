package baseline

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// run notes one sighting of a run of pending points. Where there are too many runs, further ones have no support.
func (b *Baseline) run(s *spans, lo, hi uint32, at int64) {
	key := span{lo, hi}
	r := s.runs[key]
	if r == nil {
		if len(s.runs) >= maxRuns || b.runs >= maxAllRuns {
			return
		}
		b.runs++
		if s.runs == nil {
			s.runs = map[span]*support{}
		}
		r = &support{}
		s.runs[key] = r
	}
	r.note(at)
}

// steady returns the pending points that were seen often enough, and those that were not.
func (s *spans) steady() (often, rare ranges) {
	for key, r := range s.runs {
		if r.steady() {
			often.add(key.lo, key.hi)
		}
	}
	return often, s.pending.without(often)
}

// runText writes the runs: "0-9 3/2,40 1/1" is addresses 0 to 9 in 3 hours on 2 days, and 40 in one.
func (s *spans) runText() string {
	parts := make([]string, 0, len(s.runs))
	keys := slices.SortedFunc(maps.Keys(s.runs), func(a, b span) int { return cmp.Or(cmp.Compare(a.lo, b.lo), cmp.Compare(a.hi, b.hi)) })
	for _, key := range keys {
		parts = append(parts, fmt.Sprintf("%s %d/%d", ranges{key}, s.runs[key].hours, s.runs[key].days))
	}
	return strings.Join(parts, ",")
}

// parseRuns reads what runText wrote; at is when the last of them was seen.
func parseRuns(text string, at int64) (map[span]*support, error) {
	if text == "" {
		return nil, nil
	}
	runs := map[span]*support{}
	for part := range strings.SplitSeq(text, ",") {
		addrs, seen, _ := strings.Cut(part, " ")
		hours, days, _ := strings.Cut(seen, "/")
		r, err := parseRanges(addrs)
		h, errHours := strconv.ParseUint(hours, 10, 16)
		d, errDays := strconv.ParseUint(days, 10, 16)
		if err != nil || errHours != nil || errDays != nil || len(r) != 1 {
			return nil, fmt.Errorf("%q is not a run of points with its hours and days", part)
		}
		runs[r[0]] = &support{uint16(h), uint16(d), int32(at / anHour)}
	}
	return runs, nil
}
