package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// keeping holds that Forget deletes what is old, of that operator, and nothing that is held or released; and that what was
// forgotten does not come back.
func keeping(t *testing.T, st store.Store) {
	north, south, ctx := For(t, "north"), For(t, "south"), t.Context()
	enrol(t, st, north, "s1")
	day := func(n int) time.Time { return Start.AddDate(0, 0, n) }
	sp, vital := newSpool("s1", batch.Routine), newSpool("s1", batch.Vital)
	var sent []store.Batch
	for i := range 8 {
		sent = append(sent, sp.seal(t, alert(i, nil)), vital.sealKind(t, "note", i))
		for _, b := range sent[2*i:] {
			if _, err := st.Ingest(ctx, north, "s1", []store.Batch{b}, day(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := st.Ingest(ctx, south, "s1", []store.Batch{sent[0], sent[1]}, day(0)); err != nil {
		t.Fatal(err)
	}
	brought := sp.seal(t, alert(2, func(a *rules.Alert) { a.Count = 5 })) // an old alert with news of today
	if _, err := st.Ingest(ctx, north, "s1", []store.Batch{brought}, day(8)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := st.SetHeld(ctx, north, "alert-001", true, "ana", Start); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.SetHeld(ctx, south, "alert-001", true, "ana", Start); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("hold of another operator's alert: got %v, want %v", err, store.ErrNotFound)
	}
	if a, err := st.GetAlert(ctx, north, "alert-001"); err != nil || !a.Held {
		t.Errorf("held %t, %v", a.Held, err)
	}
	if acts, err := st.Acts(ctx, north, "alert-001", 9); err != nil || len(acts) != 1 || acts[0].What != "hold" {
		t.Errorf("acts %+v, %v; want one hold", acts, err)
	}
	if _, err := st.Release(ctx, north, "alert-003", store.Green, "ana", Start); err != nil {
		t.Fatal(err)
	}

	forget := func(c store.Cutoff, want store.Forgotten) {
		t.Helper()
		got, err := st.Forget(ctx, north, c)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "forgotten", got, want)
	}
	forget(store.Cutoff{}, store.Forgotten{})
	forget(store.Cutoff{Alerts: day(0), Records: day(0), Envelopes: day(0)}, store.Forgotten{})
	cut := store.Cutoff{Alerts: day(6), Records: day(3), Envelopes: day(2)}
	forget(cut, store.Forgotten{Alerts: 3, Records: 3, Envelopes: 4}) // alerts 0, 4 and 5
	forget(cut, store.Forgotten{})
	same(t, "alerts", all(t, st, north, store.Filter{}, 3), []string{"alert-007", "alert-006", "alert-003", "alert-002", "alert-001"})
	notes, _, err := st.Records(ctx, north, "note", "", "", 100)
	if err != nil || len(notes) != 5 {
		t.Errorf("%d records, %v; want 5", len(notes), err)
	}
	if n, err := st.GetSensor(ctx, north, "s1"); err != nil || n.Alerts != 5 {
		t.Errorf("the sensor has %d alerts, %v; want 5", n.Alerts, err)
	}
	same(t, "alerts of another operator", all(t, st, south, store.Filter{}, 3), []string{"alert-000"})

	for range 2 { // a replay of all of it, long after
		for _, b := range sent {
			got, err := st.Ingest(ctx, north, "s1", []store.Batch{b}, day(40))
			if err != nil || got.New != 0 {
				t.Errorf("replay of %s %d: %d new, %v", b.Lane, b.From, got.New, err)
			}
		}
	}
	same(t, "alerts after a replay", len(all(t, st, north, store.Filter{}, 3)), 5)
	if err := st.SetHeld(ctx, north, "alert-001", false, "ana", Start); err != nil {
		t.Fatal(err)
	}
	forget(cut, store.Forgotten{Alerts: 1})
}
