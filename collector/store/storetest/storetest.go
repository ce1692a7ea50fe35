// Package storetest is the suite that every implementation of store.Store passes: what the collector relies on.
package storetest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// Start is the time at which the suite's stories begin.
var Start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// Run runs the suite. open gives an empty store each time; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"scope", scope},
		{"replays change nothing", replays},
		{"gaps are kept and filled", gaps},
		{"an alert is brought up to date", updates},
		{"a forked spool is refused whole", forks},
		{"two sensors, one alert id", sameID},
		{"known and new alerts in one batch", mixed},
		{"records of other kinds", records},
		{"pages", pages},
		{"filters", filters},
		{"status and acts", status},
		{"releases", releases},
		{"tokens", tokens},
		{"joins", joins},
		{"deny list", denied},
		{"users", users},
		{"consents", consents},
		{"sessions", sessions},
		{"changes", changes},
		{"audit log", audit},
		{"masked releases", masked},
		{"keeping", keeping},
		{"evidence", evidence},
		{"packs", packs},
		{"campaigns", campaigns},
		{"cases", cases},
		{"letters", letters},
		{"released groups", groups},
		{"concurrent intake", concurrent},
		{"a long history", long},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			c.test(t, s)
		})
	}
}

// For is the scope of an operator, which must be a valid name.
func For(t testing.TB, operator string) store.Scope {
	t.Helper()
	s, err := store.For(operator)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// An alert the suite tells its stories with; n sets it apart.
func alert(n int, more func(*rules.Alert)) rules.Alert {
	a := rules.Alert{
		ID: fmt.Sprintf("alert-%03d", n), Rule: "modbus-write", Title: fmt.Sprintf("Host %d wrote a register", n), Severity: rules.Medium,
		First: Start.Add(time.Duration(n) * time.Second), Last: Start.Add(time.Duration(n) * time.Second), Count: 1,
		Client: fmt.Sprintf("10.0.0.%d:40000", n%250), Server: "10.0.1.1:502", Proto: "modbus",
	}
	if more != nil {
		more(&a)
	}
	return a
}

// A spool seals batches in order, as a sensor does.
type spool struct {
	sensor, epoch string
	lane          batch.Lane
	next          uint64
	prev          batch.Hash
}

func newSpool(sensor string, lane batch.Lane) *spool {
	return &spool{sensor: sensor, epoch: "000102030405060708090a0b0c0d0e0f", lane: lane, next: 1}
}

// seal makes the next batch, of alerts.
func (s *spool) seal(t testing.TB, alerts ...rules.Alert) store.Batch {
	t.Helper()
	bodies := make([]any, len(alerts))
	for i := range alerts {
		bodies[i] = &alerts[i]
	}
	return s.sealKind(t, batch.KindAlert, bodies...)
}

func (s *spool) sealKind(t testing.TB, kind string, bodies ...any) store.Batch {
	t.Helper()
	b := store.Batch{Header: batch.Header{Sensor: s.sensor, Epoch: s.epoch, Lane: s.lane, Base: 1, From: s.next, To: s.next + uint64(len(bodies)) - 1, Prev: s.prev, Sealed: Start}}
	for i, body := range bodies {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		b.Records = append(b.Records, batch.Record{Seq: s.next + uint64(i), Kind: kind, Body: text})
		b.Hash[i%32] += byte(len(text))
	}
	b.Hash[31], b.Hash[30] = byte(s.next), byte(s.next>>8) // stands for the hash of the bytes
	s.next, s.prev = b.To+1, b.Hash
	return b
}

func ingest(t testing.TB, st store.Store, sc store.Scope, b ...store.Batch) store.Receipt {
	t.Helper()
	got, err := st.Ingest(t.Context(), sc, b[0].Sensor, b, Start.Add(time.Hour))
	if err != nil {
		t.Fatalf("ingest %d to %d: %v", b[0].From, b[0].To, err)
	}
	return got
}

// all lists everything a filter picks, in pages of limit.
func all(t testing.TB, st store.Store, sc store.Scope, f store.Filter, limit int) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		page, next, err := st.ListAlerts(t.Context(), sc, f, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page {
			ids = append(ids, a.ID)
		}
		if next == "" {
			return ids
		}
		if len(page) != limit {
			t.Fatalf("a page of %d where %d were asked for and more follow", len(page), limit)
		}
		cursor = next
	}
}

func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}
