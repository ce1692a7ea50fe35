package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

func replays(t *testing.T, st store.Store) {
	sc, sp := For(t, "north"), newSpool("s1", batch.Routine)
	a := sp.seal(t, alert(1, nil), alert(2, nil))
	b := sp.seal(t, alert(3, nil))
	same(t, "first receipt", ingest(t, st, sc, a), store.Receipt{Ack: map[batch.Lane]uint64{batch.Routine: 2}, New: 2})
	same(t, "second receipt", ingest(t, st, sc, a, b), store.Receipt{Ack: map[batch.Lane]uint64{batch.Routine: 3}, New: 1})
	before, _, err := st.ListAlerts(t.Context(), sc, store.Filter{}, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		got, err := st.Ingest(t.Context(), sc, "s1", []store.Batch{b, a}, Start.AddDate(0, 1, 0))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "receipt of a replay", got, store.Receipt{Ack: map[batch.Lane]uint64{batch.Routine: 3}})
	}
	after, _, err := st.ListAlerts(t.Context(), sc, store.Filter{}, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "alerts after a replay a month later", after, before)
	streams, err := st.Streams(t.Context(), sc, "s1")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "streams", streams, []store.Stream{{Sensor: "s1", Epoch: sp.epoch, Lane: batch.Routine, High: 3, Head: b.Hash, Offset: time.Hour}})
}

func gaps(t *testing.T, st store.Store) {
	sc, sp := For(t, "north"), newSpool("s1", batch.Urgent)
	var parts []store.Batch
	for i := range 5 {
		parts = append(parts, sp.seal(t, alert(10*i, nil), alert(10*i+1, nil)))
	}
	gap := func(from, to uint64) store.Gap {
		return store.Gap{Epoch: sp.epoch, Lane: batch.Urgent, From: from, To: to}
	}
	for _, step := range []struct {
		part int
		new  int
		ack  uint64
		want []store.Gap
	}{
		{1, 2, 4, []store.Gap{gap(1, 2)}},
		{4, 2, 10, []store.Gap{gap(1, 2), gap(5, 8)}},
		{4, 0, 10, []store.Gap{gap(1, 2), gap(5, 8)}},
		{2, 2, 10, []store.Gap{gap(1, 2), gap(7, 8)}},
		{0, 2, 10, []store.Gap{gap(7, 8)}},
		{3, 2, 10, nil},
		{3, 0, 10, nil},
		{0, 0, 10, nil},
	} {
		got := ingest(t, st, sc, parts[step.part])
		same(t, fmt.Sprintf("receipt of part %d", step.part), got, store.Receipt{Ack: map[batch.Lane]uint64{batch.Urgent: step.ack}, Want: step.want, New: step.new})
	}
	same(t, "alerts", len(all(t, st, sc, store.Filter{}, 100)), 10)
	streams, err := st.Streams(t.Context(), sc, "s1")
	if err != nil || len(streams) != 1 || streams[0].Breaks != 2 {
		t.Errorf("streams %+v, %v; want one with two breaks: part 1 came without part 0, part 4 without part 3", streams, err)
	}

	both := newSpool("s3", batch.Urgent) // a gap that a later batch of the same call fills is no gap, and one is told once
	parts = parts[:0]
	for i := range 4 {
		parts = append(parts, both.seal(t, alert(100+i, nil)))
	}
	same(t, "receipt of a gap and its filling", ingest(t, st, sc, parts[1], parts[0]), store.Receipt{Ack: map[batch.Lane]uint64{batch.Urgent: 2}, New: 2})
	same(t, "receipt of two that follow a gap", ingest(t, st, sc, parts[3], parts[1]), store.Receipt{Ack: map[batch.Lane]uint64{batch.Urgent: 4}, Want: []store.Gap{gap(3, 3)}, New: 1})

	every, err := st.Streams(t.Context(), sc, "")
	if err != nil || len(every) != 2 || every[0].Sensor != "s1" || every[1].Sensor != "s3" || len(every[0].Gaps) != 0 {
		t.Errorf("streams of all sensors %+v, %v", every, err)
	}
	same(t, "gaps of s3", every[1].Gaps, []store.Gap{gap(3, 3)})

	late := newSpool("s2", batch.Urgent) // an epoch that begins at 100: nothing before it is missing
	late.next = 100
	b := late.seal(t, alert(900, nil))
	b.Base = 100
	same(t, "receipt of a later base", ingest(t, st, sc, b), store.Receipt{Ack: map[batch.Lane]uint64{batch.Urgent: 100}, New: 1})
}

func updates(t *testing.T, st store.Store) {
	sc, sp := For(t, "north"), newSpool("s1", batch.Routine)
	count := func(n uint64, level rules.Severity) rules.Alert {
		return alert(1, func(a *rules.Alert) {
			a.Count, a.Severity, a.Last = n, level, Start.Add(time.Duration(n)*time.Minute)
		})
	}
	ingest(t, st, sc, sp.seal(t, count(1, rules.Medium)))
	if err := st.SetStatus(t.Context(), sc, "alert-001", store.Acked, "ana", Start); err != nil {
		t.Fatal(err)
	}
	ingest(t, st, sc, sp.seal(t, count(7, rules.High), count(3, rules.Medium))) // the second is older news
	got, err := st.GetAlert(t.Context(), sc, "alert-001")
	if err != nil {
		t.Fatal(err)
	}
	if got.Count != 7 || got.Severity != rules.High || got.Status != store.Acked || !got.Last.Equal(Start.Add(7*time.Minute)) {
		t.Errorf("got count %d, %s, %s, last %s; want 7, high, ack, 08:07", got.Count, got.Severity, got.Status, got.Last)
	}
	same(t, "alerts", all(t, st, sc, store.Filter{}, 10), []string{"alert-001"})
	same(t, "high alerts", all(t, st, sc, store.Filter{MinSeverity: rules.High}, 10), []string{"alert-001"})
}

func forks(t *testing.T, st store.Store) {
	sc, sp := For(t, "north"), newSpool("s1", batch.Routine)
	ingest(t, st, sc, sp.seal(t, alert(1, nil), alert(2, nil)))
	other := newSpool("s1", batch.Routine) // the same epoch from a restored backup
	good := newSpool("s1", batch.Urgent).seal(t, alert(8, nil))
	for _, b := range []store.Batch{other.seal(t, alert(3, nil)), other.seal(t, alert(4, nil), alert(5, nil))} {
		if _, err := st.Ingest(t.Context(), sc, "s1", []store.Batch{good, b}, Start); !errors.Is(err, store.ErrForked) {
			t.Errorf("records %d to %d of a fork: got %v, want %v", b.From, b.To, err, store.ErrForked)
		}
	}
	same(t, "alerts", all(t, st, sc, store.Filter{}, 10), []string{"alert-002", "alert-001"})
}

func sameID(t *testing.T, st store.Store) {
	sc := For(t, "north")
	ingest(t, st, sc, newSpool("s1", batch.Routine).seal(t, alert(1, nil)))
	two := newSpool("s2", batch.Routine)
	ingest(t, st, sc, two.seal(t, alert(1, nil)))
	ingest(t, st, sc, two.seal(t, alert(1, func(a *rules.Alert) { a.Count = 5 })))
	same(t, "alerts", all(t, st, sc, store.Filter{}, 10), []string{"alert-001@s2", "alert-001"})
	got, err := st.GetAlert(t.Context(), sc, "alert-001@s2")
	if err != nil || got.Sensor != "s2" || got.Count != 5 || got.ID != "alert-001@s2" {
		t.Errorf("got %s of %s, count %d, %v; want alert-001@s2 of s2, count 5", got.ID, got.Sensor, got.Count, err)
	}
}

// mixed holds that a batch in which new alerts are among known ones, the same one comes more than once, and some have ids
// that another sensor was the first to use, comes out as one by one would.
func mixed(t *testing.T, st store.Store) {
	sc := For(t, "north")
	for _, id := range []string{"s1", "s2"} {
		enrol(t, st, sc, id)
	}
	counted := func(n int, count uint64) rules.Alert {
		return alert(n, func(a *rules.Alert) { a.Count = count })
	}
	ingest(t, st, sc, newSpool("s2", batch.Routine).seal(t, counted(5, 1), counted(25, 1)))
	sp := newSpool("s1", batch.Routine)
	ingest(t, st, sc, sp.seal(t, counted(30, 4), counted(31, 4)))
	news, stop := st.Subscribe(sc)
	var sent []rules.Alert
	var want []string // changes
	for n := range 60 {
		sent = append(sent, counted(n, 2))
		switch n {
		case 5, 25:
			want = append(want, fmt.Sprintf("new alert-%03d@s1", n))
		case 30:
			sent[len(sent)-1].Count = 9
			want = append(want, "updated alert-030")
		case 31: // older news
		default:
			want = append(want, fmt.Sprintf("new alert-%03d", n))
		}
		if n%20 == 7 {
			sent = append(sent, counted(n, 3))
			want = append(want, fmt.Sprintf("updated alert-%03d", n))
		}
	}
	got := ingest(t, st, sc, sp.seal(t, sent...))
	same(t, "receipt", got, store.Receipt{Ack: map[batch.Lane]uint64{batch.Routine: 2 + uint64(len(sent))}, New: len(sent)})
	stop()
	var told []string
	for c := range news {
		told = append(told, c.What+" "+c.ID)
	}
	slices.Sort(told)
	slices.Sort(want)
	same(t, "changes", told, want)
	same(t, "number of alerts", len(all(t, st, sc, store.Filter{}, 100)), 2+60)
	for id, count := range map[string]uint64{"alert-005": 1, "alert-005@s1": 2, "alert-025@s1": 2, "alert-030": 9, "alert-031": 4, "alert-007": 3, "alert-047": 3, "alert-059": 2} {
		if a, err := st.GetAlert(t.Context(), sc, id); err != nil || a.Count != count {
			t.Errorf("%s: count %d, %v; want %d", id, a.Count, err, count)
		}
	}
	sensors, err := st.Sensors(t.Context(), sc)
	if err != nil || len(sensors) != 2 || sensors[0].Alerts != 60 || sensors[1].Alerts != 2 {
		t.Errorf("sensors %+v, %v; want 60 alerts of s1, 2 of s2", sensors, err)
	}
}

func records(t *testing.T, st store.Store) {
	sc, sp := For(t, "north"), newSpool("s1", batch.Vital)
	enrol(t, st, sc, "s1")
	ingest(t, st, sc, sp.sealKind(t, batch.KindHealth, batch.Health{At: Start, Version: "1"}, batch.Health{At: Start.Add(time.Minute), Version: "2"}))
	loss := batch.Loss{Epoch: sp.epoch, Lane: batch.Routine, From: 3, To: 9, Count: 7}
	ingest(t, st, sc, sp.sealKind(t, batch.KindLoss, loss))
	ingest(t, st, sc, sp.sealKind(t, "of the future", 1, 2, 3))
	ingest(t, st, sc, sp.sealKind(t, batch.KindAlert, map[string]any{"id": "x", "severity": "fatal"}))

	sensors, err := st.Sensors(t.Context(), sc)
	if err != nil || len(sensors) != 1 {
		t.Fatalf("sensors %+v, %v", sensors, err)
	}
	var health batch.Health
	if err := json.Unmarshal(sensors[0].Health, &health); err != nil || health.Version != "2" || sensors[0].Lost != 7 || sensors[0].Seen == nil {
		t.Errorf("sensor %+v with health %+v, %v; want version 2, 7 lost, and seen", sensors[0], health, err)
	}
	var bodies []string
	for cursor := ""; ; {
		page, next, err := st.Records(t.Context(), sc, "of the future", "s1", cursor, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			bodies = append(bodies, fmt.Sprintf("%d: %s", r.Seq, r.Body))
		}
		if cursor = next; next == "" {
			break
		}
	}
	same(t, "records of a kind nobody knows", bodies, []string{"6: 3", "5: 2", "4: 1"})
	bad, _, err := st.Records(t.Context(), sc, batch.KindAlert, "", "", 10)
	if err != nil || len(bad) != 1 || bad[0].Fault == "" {
		t.Errorf("unreadable alerts %+v, %v; want one, with its fault", bad, err)
	}
}

func concurrent(t *testing.T, st store.Store) {
	sc := For(t, "north")
	const sensors, batches = 8, 10
	var wg sync.WaitGroup
	for i := range sensors {
		wg.Go(func() {
			sp := newSpool(fmt.Sprintf("s%d", i), batch.Routine)
			for j := range batches {
				b := sp.seal(t, alert(i*batches+j, nil))
				for range 2 { // delivered twice
					if _, err := st.Ingest(t.Context(), sc, sp.sensor, []store.Batch{b}, Start); err != nil {
						t.Errorf("%s: %v", sp.sensor, err)
					}
				}
			}
		})
	}
	wg.Wait()
	ids := all(t, st, sc, store.Filter{}, 7)
	seen := map[string]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	if len(ids) != sensors*batches || len(seen) != len(ids) {
		t.Errorf("%d alerts, %d different; want %d", len(ids), len(seen), sensors*batches)
	}
}
