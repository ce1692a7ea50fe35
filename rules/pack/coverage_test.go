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

// detections is the catalogue: how many detections each group has.
var detections = []struct {
	group string
	n     int
}{{"R", 14}, {"A", 12}, {"C", 19}, {"D", 10}, {"P", 14}, {"L", 5}, {"B", 7}, {"V", 10}}

// missing are the detections without a rule, and what they would need. The list is reviewed: a rule for one of them
// takes it off.
var missing = map[string]string{
	"L05": "needs two sensors on two taps of one session",
}

// TestCoverage holds that each detection of the catalogue has a rule, or stands in the reviewed list with what it needs.
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
	all, covered := 0, 0
	for _, d := range detections {
		for i := 1; i <= d.n; i++ {
			id := fmt.Sprintf("%s%02d", d.group, i)
			all++
			slugs, reason := have[id], missing[id]
			switch {
			case len(slugs) == 0 && reason == "":
				t.Errorf("%s: no rule, and nobody says why", id)
			case len(slugs) > 0 && reason != "":
				t.Errorf("%s has %q; take it off the list of missing ones", id, slugs)
			case len(slugs) > 0:
				covered++
			}
			delete(have, id)
			t.Logf("%s %s%s", id, strings.Join(slugs, ", "), reason)
		}
	}
	if len(have) > 0 {
		t.Errorf("rules for detections that are not in the catalogue: %q", slices.Sorted(maps.Keys(have)))
	}
	if all != 91 {
		t.Errorf("%d detections, the catalogue has 91", all)
	}
	t.Logf("%d of %d detections have a rule, %d rules", covered, all, len(set))
}
