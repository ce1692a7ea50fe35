package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/testdata/need"
)

// long holds that pages that look at a part of a long history only, and may be short for that, give together everything
// that a filter picks, once and in order.
func long(t *testing.T, st store.Store) {
	need.Long(t)
	const alerts, every = 25_000, 1000
	sc, sp := For(t, "north"), newSpool("s1", batch.Routine)
	needle := func(n int) bool { return n%every == every/2 }
	var want []string
	for n := 0; n < alerts; {
		var some []rules.Alert
		for range every {
			some = append(some, alert(n, func(a *rules.Alert) {
				a.ID, a.Last = fmt.Sprintf("alert-%06d", n), Start.Add(time.Duration(n)*time.Second)
				if needle(n) {
					a.Title, a.Proto, a.Severity = "A needle", "dnp3", []rules.Severity{rules.High, rules.Critical}[n/every%2]
					want = append(want, a.ID)
				}
			}))
			n++
		}
		ingest(t, st, sc, sp.seal(t, some...))
	}
	slices.Reverse(want)
	for name, f := range map[string]store.Filter{
		"text": {Text: "NEEDLE"}, "protocol": {Proto: "dnp3"}, "severities": {MinSeverity: rules.High}, "text of a sensor": {Text: "needle", Sensor: "s1"},
		"text, severities": {Text: "needle", MinSeverity: rules.Medium}, "text by time": {Text: "needle", Order: store.ByTime},
		"severities by time": {MinSeverity: rules.High, Order: store.ByTime},
	} {
		for _, limit := range []int{4, 1000} {
			var got []string
			for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
				page, next, err := st.ListAlerts(t.Context(), sc, f, cursor, limit)
				if err != nil || len(page) > limit || pages > alerts/every {
					t.Fatalf("%s: page %d of %d alerts, %v", name, pages, len(page), err)
				}
				for _, a := range page {
					got = append(got, a.ID)
				}
				cursor = next
			}
			same(t, fmt.Sprintf("%s, pages of %d", name, limit), got, want)
		}
	}
}
