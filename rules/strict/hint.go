package strict

import (
	"fmt"
	"slices"
	"strings"
)

// Unknown is the error for a word that is none of known: it names what was read, and what was probably meant. what says
// what kind of word it is: "key", "protocol", "severity".
func Unknown(what, word string, known []string) error {
	if near, ok := Nearest(word, known); ok {
		return fmt.Errorf("unknown %s %q; did you mean %q?", what, word, near)
	}
	known = slices.Sorted(slices.Values(known))
	const most = 12
	if len(known) > most {
		known = append(known[:most:most], "...")
	}
	return fmt.Errorf("unknown %s %q; known are %s", what, word, strings.Join(known, ", "))
}

// Nearest returns the known word that word is a slip of: at most a third of its letters differ.
func Nearest(word string, known []string) (string, bool) {
	best, least := "", len(word)/3+2
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best, best != ""
}

// distance is the number of letters to add, drop, change or swap with a neighbour to make b of a.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	before, last, row := rows[0], rows[1], rows[2]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
