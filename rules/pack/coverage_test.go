package pack_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules/pack"
)

// TestCoverage holds that each detection of the catalogue has a rule, or says what finds it instead, and that there is no
// rule of any other.
func TestCoverage(t *testing.T) {
	set, err := pack.Rules(catalog.All)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string][]string{}
	for _, r := range set {
		id, slug, _ := strings.Cut(r.ID, "-")
		have[id] = append(have[id], slug)
	}
	covered, groups := 0, map[byte]int{}
	for _, d := range pack.Catalogue {
		groups[d.ID[0]]++
		if want := fmt.Sprintf("%c%02d", d.ID[0], groups[d.ID[0]]); d.ID != want || d.Name == "" {
			t.Errorf("%s %q stands where %s should", d.ID, d.Name, want)
		}
		slugs := have[d.ID]
		switch {
		case len(slugs) == 0 && d.Elsewhere == "":
			t.Errorf("%s: no rule, and nobody says what finds it", d.ID)
		case len(slugs) > 0 && d.Elsewhere != "":
			t.Errorf("%s has %q, and is said to be found elsewhere", d.ID, slugs)
		case len(slugs) > 0:
			covered++
		}
		delete(have, d.ID)
	}
	if len(have) > 0 {
		t.Errorf("rules for detections that are not in the catalogue: %q", slices.Sorted(maps.Keys(have)))
	}
	if want := map[byte]int{'R': 14, 'A': 12, 'C': 19, 'D': 10, 'P': 14, 'L': 5, 'B': 7, 'V': 10}; !maps.Equal(groups, want) {
		t.Errorf("detections by group: %v, want %v", groups, want)
	}
	t.Logf("%d of %d detections have a rule, %d rules", covered, len(pack.Catalogue), len(set))
}
