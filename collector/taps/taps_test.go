package taps_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/own"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/postgres"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/collector/taps"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/testdata/need"
)

var start = storetest.Start

// A site is a store with sensors that deliver.
type site struct {
	*testing.T
	store.Store
	scope store.Scope
	next  map[string]uint64
}

// TestStores holds the comparison on either store.
func TestStores(t *testing.T) {
	both := func(t *testing.T, db store.Store, err error) {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		t.Run("compare", func(t *testing.T) { testCompare(t, db) })
		t.Run("late", func(t *testing.T) { testLate(t, db) })
	}
	t.Run("sqlite", func(t *testing.T) {
		db, err := sqlite.Open(t.TempDir())
		both(t, db, err)
	})
	t.Run("postgres", func(t *testing.T) {
		c := need.Postgres(t)
		db, err := postgres.Open(t.Context(), c.URL("roje", c.Database()))
		both(t, db, err)
	})
}

// newSite makes the site of an operator.
func newSite(t *testing.T, db store.Store, operator string) *site {
	return &site{t, db, storetest.For(t, operator), map[string]uint64{}}
}

// sensor enrols a sensor that watches these taps.
func (s *site) sensor(name string, clock time.Duration, watches ...string) {
	s.Helper()
	k := store.Token{ID: "t-" + name, Secret: [32]byte{1}, Who: "ana", Created: start, Expires: start.Add(time.Hour)}
	if err := s.CreateToken(s.Context(), s.scope, k); err != nil {
		s.Fatal(err)
	}
	cert := store.Cert{Sensor: name, Serial: name, Key: "key-" + name, Public: []byte{1}, Issued: start, Expires: start.AddDate(0, 1, 0)}
	if err := s.Enrol(s.Context(), s.scope, k.ID, k.Secret, store.Sensor{ID: name, Name: "site " + name, Enrolled: start}, cert, start); err != nil {
		s.Fatal(err)
	}
	ms := clock.Milliseconds()
	s.deliver(name, batch.Vital, batch.KindHealth, start, batch.Health{At: start, Taps: watches, ClockMS: &ms})
}

func (s *site) deliver(sensor string, lane batch.Lane, kind string, at time.Time, v any) {
	s.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		s.Fatal(err)
	}
	stream := fmt.Sprint(sensor, lane)
	s.next[stream]++
	n := s.next[stream]
	h := batch.Header{Sensor: sensor, Operator: s.scope.Operator(), Epoch: strings.Repeat("ab", 16), Lane: lane, Base: 1, From: n, To: n, First: at, Last: at, Sealed: at}
	b := store.Batch{Header: h, Hash: batch.Hash{byte(n), byte(len(stream)), stream[0]}, Records: []batch.Record{{Seq: n, Kind: kind, Body: body}}}
	if _, err := s.Ingest(s.Context(), s.scope, sensor, []store.Batch{b}, at); err != nil {
		s.Fatal(err)
	}
}

// saw delivers a ledger record: a command of 10.0.0.1 from a port, executed so long after the start by the sensor's clock.
func (s *site) saw(sensor, client string, after time.Duration, addr uint32, value float64) {
	s.Helper()
	s.record(sensor, after, map[string]any{"proto": "iec104", "client": client, "code": 45, "name": "C_SC_NA_1", "executed": start.Add(after)}, addr, value)
}

// sawSelect delivers one of DNP3, selected, executed or both.
func (s *site) sawSelect(sensor string, selected, executed bool, outcome string, addr uint32) {
	s.Helper()
	r := map[string]any{"proto": "dnp3", "client": centre, "code": 4, "name": "OPERATE", "outcome": outcome}
	if executed {
		r["executed"] = start
	}
	if selected {
		r["code"], r["name"], r["selected"] = 3, "SELECT", start.Add(-30*time.Millisecond)
	}
	s.record(sensor, 0, r, addr, 1)
}

func (s *site) record(sensor string, after time.Duration, r map[string]any, addr uint32, value float64) {
	s.Helper()
	for k, v := range map[string]any{"id": fmt.Sprintf("%s-%d", sensor, s.next[sensor+batch.Routine.String()]), "server": "10.0.0.9:2404", "station": uint32(3), "model": "direct",
		"outcome": "confirmed", "point": rules.Point{Kind: "binary_out", Addr: addr, N: 1, Value: &value}, "value": value, "frames": []int{1}} {
		if _, given := r[k]; !given {
			r[k] = v
		}
	}
	s.deliver(sensor, batch.Routine, batch.KindLedger, start.Add(after), r)
}

// many delivers commands that came by both, one every ten seconds, at b so much later.
func (s *site) many(later time.Duration) {
	s.Helper()
	for n := range 6 {
		at := time.Duration(n) * 10 * time.Second
		s.saw("a", centre, at, uint32(n), 1)
		s.saw("b", centre, at+later, uint32(n), 1)
	}
}

func (s *site) compare(c *taps.Comparer, after time.Duration) int {
	s.Helper()
	n, err := c.Compare(s.Context(), start.Add(after))
	if err != nil {
		s.Fatal(err)
	}
	return n
}

const centre = "10.0.0.1:40001"

// testCompare: what is an alert, and what is not.
func testCompare(t *testing.T, db store.Store) {
	for i, c := range []struct {
		name string
		play func(*site)
		want int
	}{
		{"the same at both", func(s *site) { s.saw("a", centre, 0, 7, 1); s.saw("b", centre, 0, 7, 1) }, 0},
		{"another value", func(s *site) { s.saw("a", centre, 0, 7, 1); s.saw("b", centre, 300*time.Millisecond, 7, 0) }, 1},
		{"another point", func(s *site) { s.saw("a", centre, 0, 7, 1); s.saw("b", centre, 0, 8, 1) }, 1},
		{"one tap lost it", func(s *site) { s.saw("a", centre, 0, 7, 1) }, 0},
		{"another session", func(s *site) { s.saw("a", centre, 0, 7, 1); s.saw("b", "10.0.0.1:40002", 0, 7, 0) }, 0},
		{"another time", func(s *site) { s.saw("a", centre, 0, 7, 1); s.saw("b", centre, 10*time.Second, 7, 0) }, 0},
		{"two in a row, and one tap lost one", func(s *site) {
			s.saw("a", centre, 0, 7, 1)
			s.saw("a", centre, time.Second, 7, 0)
			s.saw("b", centre, time.Second, 7, 0)
		}, 0},
		{"the second of two in a row", func(s *site) {
			s.saw("a", centre, 0, 7, 1)
			s.saw("a", centre, time.Second, 8, 1)
			s.saw("b", centre, 0, 7, 1)
			s.saw("b", centre, time.Second, 8, 0)
		}, 1},
		{"a select that one tap lost", func(s *site) {
			s.sawSelect("a", true, true, "confirmed", 7)
			s.sawSelect("b", false, true, "confirmed", 7)
		}, 0},
		{"an execute that one tap lost", func(s *site) {
			s.sawSelect("a", true, false, "unknown_gap", 7)
			s.sawSelect("b", false, true, "confirmed", 7)
		}, 0},
		{"another select, and one tap lost it", func(s *site) {
			s.sawSelect("a", true, true, "mismatch", 7)
			s.sawSelect("b", false, true, "confirmed", 8)
		}, 0},
		{"another select at one tap", func(s *site) {
			s.sawSelect("a", true, true, "confirmed", 7)
			s.sawSelect("b", true, true, "mismatch", 8)
		}, 1},
		{"another execute, and no select", func(s *site) {
			s.sawSelect("a", false, true, "confirmed", 7)
			s.sawSelect("b", false, true, "confirmed", 8)
		}, 1},
		{"two of many, and each tap lost another", func(s *site) {
			s.many(0)
			s.saw("a", centre, 80*time.Second, 7, 1)
			s.saw("b", centre, 81*time.Second, 7, 0)
		}, 0},
		{"a changed one of many", func(s *site) {
			s.many(0)
			s.saw("a", centre, 80*time.Second, 7, 1)
			s.saw("b", centre, 80*time.Second+100*time.Millisecond, 7, 0)
		}, 1},
		{"a changed one of many, and the clocks differ", func(s *site) {
			s.many(1500 * time.Millisecond)
			s.saw("a", centre, 80*time.Second, 7, 1)
			s.saw("b", centre, 81500*time.Millisecond, 7, 0)
		}, 1},
		{"a sensor that watches another path", func(s *site) { s.saw("a", centre, 0, 7, 1); s.saw("c", centre, 0, 7, 0) }, 0},
		{"a sensor that names no path", func(s *site) { s.saw("a", centre, 0, 7, 1); s.saw("d", centre, 0, 7, 0) }, 0},
		{"a clock that is a minute late", func(s *site) { s.saw("a", centre, time.Minute, 7, 1); s.saw("late", centre, 0, 7, 0) }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, db, fmt.Sprintf("site-%d", i))
			s.sensor("a", 0, "line-1")
			s.sensor("b", 0, "line-1", "line-2")
			s.sensor("c", 0, "line-3")
			s.sensor("d", 0)
			s.sensor("late", time.Minute, "line-1")
			c.play(s)
			one := &taps.Comparer{Store: s, Scope: s.scope, Log: slog.New(slog.DiscardHandler)}
			if n := s.compare(one, 90*time.Second); n != 0 && c.name != "a clock that is a minute late" {
				t.Errorf("%d found before both can have delivered", n)
			}
			if n := s.compare(one, 10*time.Minute); n != c.want {
				t.Errorf("%d found, want %d", n, c.want)
			}
			again := &taps.Comparer{Store: s, Scope: s.scope, Log: slog.New(slog.DiscardHandler)}
			if n := s.compare(one, 11*time.Minute) + s.compare(again, 12*time.Minute); n != 0 {
				t.Errorf("found again, %d times", n)
			}
			list, _, err := s.ListAlerts(t.Context(), s.scope, store.Filter{Rule: taps.Rule}, "", 10)
			if err != nil || len(list) != c.want {
				t.Fatalf("%d alerts, %v; want %d", len(list), err, c.want)
			}
			for _, a := range list {
				if a.Severity != rules.Critical || a.Techniques[0] != "T0831" || a.Client != "10.0.0.1" || a.Sensor != own.Sensor {
					t.Errorf("alert %+v", a.Alert)
				}
				for _, word := range []string{"line-1", "sensor site a saw ", " of address 7", "in the same session"} {
					if c.name != "the second of two in a row" && !strings.Contains(a.Title, word) {
						t.Errorf("%q does not say %q", a.Title, word)
					}
				}
			}
		})
	}
}

// testLate: a sensor whose line was down for hours is compared when it delivers.
func testLate(t *testing.T, db store.Store) {
	s := newSite(t, db, "north")
	s.sensor("a", 0, "line-1")
	s.sensor("b", 0, "line-1")
	c := &taps.Comparer{Store: s, Scope: s.scope, Log: slog.New(slog.DiscardHandler)}
	s.saw("a", centre, 0, 7, 1)
	if n := s.compare(c, 5*time.Hour); n != 0 {
		t.Errorf("%d found while one has not delivered", n)
	}
	s.saw("b", centre, 0, 7, 0)
	if n := s.compare(c, 5*time.Hour+time.Minute); n != 1 {
		t.Errorf("%d found, want 1", n)
	}
}
