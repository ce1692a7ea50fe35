package cmd

import (
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/taps"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/testdata/need"
)

// TestTapsLost has two taps see 1,000 random control transactions of the lab per protocol, as they were. One of them loses
// frames, and then the other, too: the comparison tells of no difference where one tap loses one frame in twenty, and of
// nearly none where both lose one in a hundred: two that are sent at once, of which each tap has lost another. One that is
// changed on its way is told.
func TestTapsLost(t *testing.T) {
	need.Long(t)
	for _, proto := range []struct {
		name string
		play func(seed uint64) *staged
	}{{"modbus", playModbus}, {"dnp3", playDNP3}, {"iec104", playIEC104}} {
		p := proto.play(20261121)
		for _, c := range []struct {
			near, far float64 // what each loses
			most      int
		}{{0, 0.05, 0}, {0.01, 0.01, 1}} {
			if n := differ(t, p.watch(c.near, 1), p.watch(c.far, 2)); n > c.most {
				t.Errorf("%s, the taps lose %g and %g of the frames: %d actions differ, want at most %d", proto.name, c.near, c.far, n, c.most)
			}
		}
		for _, loss := range []float64{0, 0.05} { // one of them is changed on its way
			near, far := p.watch(0, 1), p.watch(loss, 2)
			near[0].Point.Addr += 1000
			if n := differ(t, near, far); n != 1 {
				t.Errorf("%s: %d actions differ where one is changed and one tap loses %g of the frames", proto.name, n, loss)
			}
		}
	}
}

// differ compares the ledgers of two sensors at a collector, and says how many actions it finds to differ.
func differ(t *testing.T, ledgers ...[]*ledger.Record) int {
	t.Helper()
	db, scope := specimen.Store(t)
	var last time.Time
	for i, records := range ledgers {
		var bodies []any
		for _, r := range records {
			bodies = append(bodies, r)
			if r.Executed != nil && r.Executed.After(last) {
				last = *r.Executed
			}
		}
		if len(records) < transactions/2 {
			t.Fatalf("%d records", len(records))
		}
		spool := &specimen.Spool{Sensor: string(rune('a' + i))}
		spool.Enrol(t, db, scope, last, spool.Sensor)
		spool.Say(t, db, scope, last, batch.KindLedger, bodies...)
		spool.Say(t, db, scope, last, batch.KindHealth, batch.Health{At: last, Taps: []string{"line"}})
	}
	n, err := (&taps.Comparer{Store: db, Scope: scope, Log: quiet()}).Compare(t.Context(), last.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
