package sector

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// FuzzParse holds that whatever an operator's collector says is refused, or is a report with which campaigns can be looked for
// and that reads the same when it is written again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"operator":"north","state":"acts","cut":true,"runs":[{"rule":"r","technique":"T0816","severity":"high","first":"2026-11-21T08:33:00Z","last":"2026-11-21T08:34:00Z","sites":2,"alerts":3,"released":true}]}`))
	f.Add([]byte(`{"operator":"north","state":"released","runs":[{"rule":"r","severity":"critical","first":"2000-01-01T00:00:00Z","last":"2199-12-31T23:59:59.999999999Z","sites":1,"alerts":1099511627776},{"rule":"r","severity":"high","first":"2026-11-21T08:33:00+14:00","last":"2026-11-21T08:33:00+14:00","sites":1,"alerts":1}]}`))
	f.Add([]byte(`{"operator":"north","state":"none","runs":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parse(body, "north")
		if err != nil {
			return
		}
		var all []placed
		for i, one := range r.Runs {
			if one.Rule == "" || one.Sites < 1 || one.Alerts < one.Sites || one.Last.Before(one.First) || one.Severity < Least {
				t.Fatalf("taken: %+v", one)
			}
			all = append(all, placed{one, i % 3})
		}
		finder := Finder{AtLeast: Fewest, Operators: []Source{Operator{}, Operator{}, Operator{}}}
		for _, chain := range chains(all) {
			c, ok := finder.campaign(act{"r", ""}, chain)
			if ok && (len(c.Seen) < Fewest || c.Alerts < c.Sites || c.Last.Before(c.First)) {
				t.Fatalf("campaign %+v", c)
			}
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(text, "north")
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for i := range r.Runs { // instants, not their zones
			for _, at := range []*time.Time{&r.Runs[i].First, &r.Runs[i].Last, &again.Runs[i].First, &again.Runs[i].Last} {
				*at = at.UTC()
			}
		}
		if !reflect.DeepEqual(r, again) {
			t.Fatalf("%+v, written and read again %+v", r, again)
		}
	})
}
