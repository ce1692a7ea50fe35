package suricata

import (
	"fmt"
	"strconv"
	"strings"
)

// A span is the whole numbers from lo to hi, or those that are not.
type span struct {
	lo, hi int64
	not    bool
}

// number reads a condition on a whole number from 0 to most: N, =N, !N, <N, <=N, >N, >=N, and the ranges A<>B and A-B, which
// leave out their ends.
func number(what, text string, most int64) (span, error) {
	s := span{lo: 0, hi: most}
	word := strings.TrimSpace(text)
	read := func(word string) (int64, error) {
		n, err := strconv.ParseInt(strings.TrimSpace(word), 0, 64)
		if err != nil || n < 0 || n > most {
			return 0, leave(fmt.Sprintf("write a whole number from 0 to %d, or a comparison: 10, >10, <10, 10<>20", most), "%s %q", what, text)
		}
		return n, nil
	}
	if rest, ok := strings.CutPrefix(word, "!"); ok {
		s.not = true
		word = strings.TrimPrefix(strings.TrimSpace(rest), "=")
	}
	for _, mark := range []string{"<>", "-"} {
		if a, b, ok := strings.Cut(word, mark); ok {
			lo, err := read(a)
			if err != nil {
				return s, err
			}
			hi, err := read(b)
			if err != nil {
				return s, err
			}
			s.lo, s.hi = lo+1, hi-1
			return s, s.check(what, text, most)
		}
	}
	low, high := int64(0), int64(0) // how far the number itself is out
	is := ""
	for _, mark := range []string{"<=", ">=", "<", ">", "="} {
		if rest, ok := strings.CutPrefix(word, mark); ok {
			word, is = rest, mark
			break
		}
	}
	n, err := read(word)
	if err != nil {
		return s, err
	}
	switch is {
	case "<":
		high = -1
		fallthrough
	case "<=":
		s.hi = n + high
	case ">":
		low = 1
		fallthrough
	case ">=":
		s.lo = n + low
	default:
		s.lo, s.hi = n, n
	}
	return s, s.check(what, text, most)
}

// check refuses what no number can fulfil.
func (s span) check(what, text string, most int64) error {
	if s.lo > s.hi && !s.not || s.not && s.lo <= 0 && s.hi >= most {
		return leave("a range leaves out its ends", "no number fulfils %s %q", what, text)
	}
	return nil
}

// shift moves the numbers by by.
func (s span) shift(by int64) span { return span{s.lo + by, s.hi + by, s.not} }

// has tells whether n fulfils s.
func (s span) has(n int64) bool { return (s.lo <= n && n <= s.hi) != s.not }

// pick returns a number of those from 0 to most that fulfil s, the more ordinary the better.
func (s span) pick(most int64) (int64, bool) {
	for _, n := range []int64{1, 2, 10, 100, s.lo, s.hi, s.lo - 1, s.hi + 1} {
		if n >= 0 && n <= most && s.has(n) {
			return n, true
		}
	}
	return 0, false
}

// where says in the rule language that word fulfils s, of the numbers from 0 to most.
func (s span) where(word string, most int64) string {
	switch {
	case s.lo == s.hi && s.not:
		return fmt.Sprintf("%s != %d", word, s.lo)
	case s.lo == s.hi:
		return fmt.Sprintf("%s == %d", word, s.lo)
	case s.not:
		return fmt.Sprintf("(%s < %d or %s > %d)", word, s.lo, word, s.hi)
	case s.lo <= 0 && s.hi >= most:
		return fmt.Sprintf("%s >= 0", word)
	case s.lo <= 0:
		return fmt.Sprintf("%s <= %d", word, s.hi)
	case s.hi >= most:
		return fmt.Sprintf("%s >= %d", word, s.lo)
	}
	return fmt.Sprintf("%s in %d..%d", word, s.lo, s.hi)
}

// overlaps says that one of the n numbers from first on fulfils s; first and n are words or numbers.
func (s span) overlaps(first, n string) string {
	last := first + " + " + n + " - 1"
	if n == "1" {
		last = first
	}
	if s.not { // all but those in between
		return fmt.Sprintf("(%s < %d or %s > %d)", first, s.lo, last, s.hi)
	}
	return fmt.Sprintf("(%s <= %d and %s >= %d)", first, s.hi, last, s.lo)
}
