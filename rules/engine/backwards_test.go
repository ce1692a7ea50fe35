package engine

import "testing"

// TestTimeRunsBack plays a later capture before an earlier one: they are two stories.
func TestTimeRunsBack(t *testing.T) {
	set := load(t, "when: {code: 5}", `when: {code: 1}
  state: {by: [client], window: 60s, distinct: station}
  where: distinct >= 3 or count >= 4`)
	r := start(set)
	const day = 86400 * second
	r.send(10*day, "10.0.0.1", "10.0.0.2", 5, 1)
	r.send(day, "10.0.0.1", "10.0.0.2", 5, 1)
	if len(r.alerts) != 2 || r.alerts[0].Incident == r.alerts[1].Incident {
		t.Fatalf("%d alerts; want two, of two incidents", len(r.alerts))
	}
	if a := r.alerts[1]; a.First.After(a.Last) || !a.First.Equal(a.Last) {
		t.Errorf("from %v to %v", a.First, a.Last)
	}
	for i, at := range []int64{10 * day, 10*day + 1, day, day + 1, 2, 3} {
		r.send(at, "10.0.0.3", "10.0.0.4", 1, uint32(i%2+at2(i)))
	}
	if len(r.alerts) != 2 {
		t.Errorf("state was carried from one time to another: %s", r.alerts[2].Title)
	}
	// A few packets out of order within a window still count together.
	for i, at := range []int64{5 * day, 5*day - 2*second, 5*day + second} {
		r.send(at, "10.0.0.5", "10.0.0.6", 1, uint32(i))
	}
	if len(r.alerts) != 3 {
		t.Errorf("%d alerts, want 3", len(r.alerts))
	}
}

// at2 gives each pair of events stations of its own.
func at2(i int) int { return i / 2 * 2 }
