package attack

import (
	"cmp"
	"slices"
	"strings"

	"github.com/roje-ot/roje/rules"
)

// A weight is how much a finding says of what an incident is.
type weight int

const (
	who     weight = iota // only that somebody is there who was not before: most attacks begin with that
	deed                  // one message that does harm, or is wrong
	pattern               // many messages that are one thing, of which single ones look like deeds
	tool                  // the trace of a known tool
)

// weights are those of the catalogue's detections, by the first part of a rule's id; all others are deeds.
var weights = map[string]weight{
	"A01": who, "A02": who, "A03": who, "A05": who, "A07": who, "A09": who, "R01": who,
	"R02": pattern, "R03": pattern, "R04": pattern, "R05": pattern, "R07": pattern, "R08": pattern, "R09": pattern, "R10": pattern,
	"R11": pattern, "R12": pattern, "C03": pattern, "C04": pattern, "P04": pattern, "P11": pattern, "P14": pattern,
	"B03": pattern, "B05": pattern, "L01": pattern,
	"C05": tool, "C06": tool, "C08": tool, "C09": tool,
}

// Order returns the techniques of an incident's alerts, that which says most of what the incident is first: a pattern
// before the single messages that it is made of, these before the finding that a stranger sent them; then by severity,
// then by time.
func Order(alerts []*rules.Alert) []string {
	sorted := slices.SortedStableFunc(slices.Values(alerts), func(x, y *rules.Alert) int {
		return cmp.Or(cmp.Compare(weigh(y), weigh(x)), cmp.Compare(y.Severity, x.Severity), x.First.Compare(y.First))
	})
	var ids []string
	for _, a := range sorted {
		for _, id := range a.Techniques {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

func weigh(a *rules.Alert) weight {
	detection, _, _ := strings.Cut(a.Rule, "-")
	if w, ok := weights[detection]; ok {
		return w
	}
	return deed
}
