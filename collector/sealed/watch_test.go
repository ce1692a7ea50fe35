package sealed

import (
	"crypto/sha256"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/own"
	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/proof"
)

// TestWatcher holds that each break raises one alert, whoever looks and however often, after the time that a late seal has,
// and that a key that was changed is no break.
func TestWatcher(t *testing.T) {
	db, scope := specimen.Store(t)
	spools := map[string]*specimen.Spool{}
	for _, sensor := range []string{"good", "bad", "new"} {
		spools[sensor] = &specimen.Spool{Sensor: sensor}
		spools[sensor].Enrol(t, db, scope, day, sensor+" site")
		certify(t, db, scope, sensor, 5, 7)
	}
	say := func(sensor string, s *proof.LedgerSeal) *proof.LedgerSeal {
		spools[sensor].Say(t, db, scope, s.At, batch.KindLedgerSeal, s)
		return s
	}
	watchers := []*Watcher{{Store: db, Scope: scope, Log: slog.New(slog.DiscardHandler)}, {Store: db, Scope: scope, Log: slog.New(slog.DiscardHandler)}}
	look := func(days int, after time.Duration) (raised int) {
		t.Helper()
		for range 2 {
			for _, w := range watchers {
				n, err := w.Look(t.Context(), day.AddDate(0, 0, days).Add(after))
				if err != nil {
					t.Fatal(err)
				}
				raised += n
			}
		}
		return raised
	}
	first := map[string]*proof.LedgerSeal{}
	for _, sensor := range []string{"good", "bad"} {
		first[sensor] = say(sensor, seal(0, 10, 0, nil))
	}
	if n := look(0, time.Hour); n != 0 {
		t.Fatalf("%d alerts about nothing", n)
	}
	renewed := proof.SealLedger(keyOf(7), day.AddDate(0, 0, 1), 20, [32]byte{}, first["good"])
	say("good", renewed)
	cut := say("bad", seal(1, 5, 0, nil))
	if n := look(1, time.Minute); n != 0 {
		t.Fatalf("%d alerts before a late seal has had its time", n)
	}
	if n := look(1, patience); n != 1 {
		t.Fatalf("%d alerts about one break", n)
	}
	if n := look(1, time.Hour); n != 0 {
		t.Fatalf("%d alerts about what was said", n)
	}
	say("bad", seal(2, 6, 0, cut)) // it goes on as if nothing had been
	if n := look(2, time.Hour); n != 0 {
		t.Fatalf("%d alerts about what goes on after a break", n)
	}
	say("bad", proof.SealLedger(keyOf(6), day.AddDate(0, 0, 3), 7, sha256.Sum256([]byte{7}), cut))
	if n := look(3, time.Hour); n != 1 {
		t.Fatalf("%d alerts about a foreign key", n)
	}
	// A sensor that ran before it was enrolled: what introduces its key comes later than the seal by the key before.
	unenrolled := say("new", proof.SealLedger(keyOf(8), day.AddDate(0, 0, 4), 5, [32]byte{}, nil))
	enrolled := proof.SealLedger(keyOf(5), unenrolled.At.Add(time.Minute), 5, [32]byte{}, unenrolled)
	enrolled.Introduce(keyOf(8))
	say("new", enrolled)
	for _, after := range []time.Duration{patience, time.Hour} {
		if n := look(4, after); n != 0 {
			t.Fatalf("%d alerts about a sensor that ran before it was enrolled", n)
		}
	}
	again := &Watcher{Store: db, Scope: scope, Log: slog.New(slog.DiscardHandler)} // after a restart
	if n, err := again.Look(t.Context(), day.AddDate(0, 0, 9)); n != 0 || err != nil {
		t.Errorf("%d alerts again after a restart: %v", n, err)
	}
	alerts, _, err := db.ListAlerts(t.Context(), scope, store.Filter{}, "", 10)
	if err != nil || len(alerts) != 2 {
		t.Fatalf("%d alerts, %v", len(alerts), err)
	}
	for _, a := range alerts {
		if a.Sensor != own.Sensor || a.Rule != Rule || !strings.Contains(a.Title, "sensor bad site") {
			t.Errorf("%s of %s: %s", a.Rule, a.Sensor, a.Title)
		}
	}
}
