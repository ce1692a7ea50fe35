package engine

import (
	"fmt"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
)

// Test runs the tests inside each rule, each on an engine of its own that knows that rule alone, and returns what failed.
func Test(set []*lang.Rule) []error {
	var failed []error
	for _, r := range set {
		var alerts []*rules.Alert
		g := New([]*lang.Rule{r}, Options{Emit: func(a *rules.Alert) { alerts = append(alerts, a) }})
		for i := range r.Tests {
			t := &r.Tests[i]
			g.begin()
			alerts = alerts[:0]
			t.Each(g.Judge)
			switch {
			case t.Fires && len(alerts) == 0:
				failed = append(failed, &lang.Error{File: r.File, Line: t.Line, Col: t.Col,
					Message: fmt.Sprintf("rule %s: test %q must fire and does not", r.ID, t.Name)})
			case !t.Fires && len(alerts) > 0:
				failed = append(failed, &lang.Error{File: r.File, Line: t.Line, Col: t.Col,
					Message: fmt.Sprintf("rule %s: test %q must stay quiet and says %q", r.ID, t.Name, alerts[0].Title)})
			}
		}
	}
	return failed
}
