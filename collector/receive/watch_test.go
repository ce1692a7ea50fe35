package receive

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// TestMissingIsNamed holds the whole way of a lost envelope: named by its range, seen at the end of a lane too, said
// once, and said to be over when it is carried over by hand.
func TestMissingIsNamed(t *testing.T) {
	g := newRig(t)
	take := func(raw ...[]byte) string {
		t.Helper()
		for _, b := range raw {
			g.r.commit(t.Context(), []job{{raw: b}})
		}
		if err := g.r.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		return g.log.take()
	}
	one, lost, three, tail := g.seal(batch.Urgent, 2, nil), g.seal(batch.Urgent, 3, nil), g.seal(batch.Urgent, 1, nil), g.seal(batch.Urgent, 4, nil)
	if log := take(one); strings.Contains(log, "missing") {
		t.Errorf("nothing is missing, and the log says\n%s", log)
	}
	if log := take(three); !strings.Contains(log, "lane=urgent from=3 to=5") || !strings.Contains(log, "roje-sensor export --lane 1 --from 3 --to 5 --epoch "+epoch) {
		t.Errorf("records 3 to 5 are missing, and the log says\n%s", log)
	}
	if log := take(); log != "" {
		t.Errorf("said again:\n%s", log)
	}
	if log := take(g.health(batch.Range{Epoch: epoch, Lane: batch.Urgent, From: 1, To: 10})); !strings.Contains(log, "from=7 to=10") || strings.Contains(log, "from=3") {
		t.Errorf("the end of the lane is missing, records 7 to 10, and the log says\n%s", log)
	}
	if got := gathered(t, g.r, "roje_receive_missing_records"); got != 7 {
		t.Errorf("the metric says %v records are missing, want 7", got)
	}
	if log := take(lost); strings.Contains(log, "any more") {
		t.Errorf("the end is still missing, and the log says\n%s", log)
	}
	if log := take(tail); !strings.Contains(log, "no records are missing any more") {
		t.Errorf("all came, and the log says\n%s", log)
	}
	later := start.Add(6 * time.Minute)
	g.now.Store(&later)
	if log := take(); !strings.Contains(log, "a sensor is silent") || gathered(t, g.r, "roje_receive_silent") != 1 {
		t.Errorf("nothing came for 6 minutes, and the log says\n%s", log)
	}
	if log := take(g.health()); !strings.Contains(log, "heard again") {
		t.Errorf("it spoke again, and the log says\n%s", log)
	}
}

// TestSilentSinceBefore holds that a receiver that starts anew knows the one-way sensors by their last health.
func TestSilentSinceBefore(t *testing.T) {
	g := newRig(t)
	g.r.commit(t.Context(), []job{{raw: g.health(batch.Range{Epoch: epoch, Lane: batch.Routine, From: 1, To: 5})}})
	later := start.Add(time.Hour)
	g.now.Store(&later)
	g.r = New(g.r.Config)
	if err := g.r.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log := g.log.take(); !strings.Contains(log, "a sensor is silent") || !strings.Contains(log, "lane=routine from=1 to=5") {
		t.Errorf("the log says\n%s", log)
	}
}

func gathered(t *testing.T, c prometheus.Collector, name string) float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestMissing(t *testing.T) {
	a, b := strings.Repeat("a", 32), strings.Repeat("b", 32)
	streams := []store.Stream{{Epoch: a, Lane: 1, High: 10, Gaps: []store.Gap{{Epoch: a, Lane: 1, From: 4, To: 5}}}, {Epoch: b, Lane: 1, High: 3}}
	for _, c := range []struct {
		sent []batch.Range
		want []store.Gap
	}{
		{nil, []store.Gap{{Epoch: a, Lane: 1, From: 4, To: 5}}},
		{[]batch.Range{{Epoch: b, Lane: 1, From: 1, To: 3}}, []store.Gap{{Epoch: a, Lane: 1, From: 4, To: 5}}},
		{[]batch.Range{{Epoch: b, Lane: 1, From: 1, To: 5}}, []store.Gap{{Epoch: a, Lane: 1, From: 4, To: 5}, {Epoch: b, Lane: 1, From: 4, To: 5}}},
		{[]batch.Range{{Epoch: b, Lane: 2, From: 7, To: 9}}, []store.Gap{{Epoch: a, Lane: 1, From: 4, To: 5}, {Epoch: b, Lane: 2, From: 7, To: 9}}},
	} {
		if got := Missing(streams, c.sent); !reflect.DeepEqual(got, c.want) {
			t.Errorf("sent %v: %v, want %v", c.sent, got, c.want)
		}
	}
}
