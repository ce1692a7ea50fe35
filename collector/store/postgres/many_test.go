package postgres

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/testdata/need"
)

// deliver makes n batches of a sensor, of size alerts each.
func deliver(sensor string, n, size int) (all []store.Batch) {
	var prev batch.Hash
	for i := range n {
		from := uint64(i*size + 1)
		b := store.Batch{Header: batch.Header{Sensor: sensor, Epoch: strings.Repeat("0a", 16), Lane: batch.Routine, Base: 1, From: from, To: from + uint64(size) - 1, Prev: prev}}
		b.Hash = batch.Hash{31: byte(from), 30: byte(from >> 8), 29: byte(from >> 16)}
		prev = b.Hash
		for j := range uint64(size) {
			b.Records = append(b.Records, storetest.Plain(sensor, from+j))
		}
		all = append(all, b)
	}
	return all
}

// TestManyCollectors has three collectors take the same sensors' batches at the same time: each alert is there once, with
// an arrival of its own, and every collector's readers hear of all of them.
func TestManyCollectors(t *testing.T) {
	c := need.Postgres(t)
	name := c.Database()
	sc := storetest.For(t, "north")
	var dbs [3]*DB
	var news [3]<-chan store.Change
	for i := range dbs {
		dbs[i] = open(t, c, name)
		defer dbs[i].Close()
		changes, cancel := dbs[i].Subscribe(sc)
		defer cancel()
		news[i] = changes
	}
	const sensors, batches, size = 4, 8, 5
	var wg sync.WaitGroup
	for i := range dbs {
		for s := range sensors {
			wg.Go(func() {
				sent := deliver(fmt.Sprint("s", s), batches, size)
				for at := range sent {
					for _, b := range []store.Batch{sent[at], sent[max(0, at-1)]} {
						if _, err := dbs[i].Ingest(t.Context(), sc, b.Sensor, []store.Batch{b}, storetest.Start); err != nil {
							t.Errorf("collector %d, %s %d: %v", i, b.Sensor, b.From, err)
						}
					}
				}
			})
		}
	}
	wg.Wait()
	const all = sensors * batches * size
	page, _, err := dbs[0].ListAlerts(t.Context(), sc, store.Filter{}, "", 1000)
	if err != nil || len(page) != all {
		t.Errorf("%d alerts, %v; want %d", len(page), err, all)
	}
	for i := range news {
		heard := map[string]bool{}
		for len(heard) < all {
			n := <-news[i]
			if n.What != "new" || heard[n.ID] || n.Missed {
				t.Fatalf("collector %d heard %+v", i, n)
			}
			heard[n.ID] = true
		}
	}
}

// TestALostListenerIsTold holds that readers learn that they may have missed changes when the connection that brings them
// was lost, and hear of later ones.
func TestALostListenerIsTold(t *testing.T) {
	c := need.Postgres(t)
	name := c.Database()
	sc := storetest.For(t, "north")
	one, two := open(t, c, name), open(t, c, name)
	defer one.Close()
	defer two.Close()
	changes, cancel := two.Subscribe(sc)
	defer cancel()
	sent := deliver("s1", 2, 1)
	if _, err := one.Ingest(t.Context(), sc, "s1", sent[:1], storetest.Start); err != nil {
		t.Fatal(err)
	}
	if n := <-changes; n.ID != "s1-00000001" || n.Missed {
		t.Errorf("heard %+v", n)
	}
	const listeners = "FROM pg_stat_activity WHERE query = 'LISTEN roje' AND state = 'idle'"
	old := c.SQL(name, "SELECT string_agg(pid::text, ',') "+listeners)
	c.SQL(name, "SELECT pg_terminate_backend(pid) "+listeners)
	for c.SQL(name, "SELECT count(*) "+listeners+" AND pid NOT IN ("+old+")") != "2" { // they come back by themselves
		if t.Context().Err() != nil {
			t.Fatal("no listener came back")
		}
	}
	if _, err := one.Ingest(t.Context(), sc, "s1", sent[1:2], storetest.Start); err != nil {
		t.Fatal(err)
	}
	if n := <-changes; n.ID != "s1-00000002" || !n.Missed {
		t.Errorf("heard %+v, want the second alert, and that some may have been missed", n)
	}
}

// TestAwkwardText holds that what PostgreSQL cannot keep in a text does not keep an alert out.
func TestAwkwardText(t *testing.T) {
	c := need.Postgres(t)
	db := open(t, c, c.Database())
	defer db.Close()
	sc := storetest.For(t, "north")
	b := deliver("s1", 1, 2)[0]
	b.Records[0].Body = []byte(`{"id":"a\u0000b","rule":"r\u0000","title":"\u0000\ud800 \\N \t","severity":"low","first":"2026-03-01T08:00:00Z","last":"2026-03-01T08:00:00Z","count":18446744073709551615}`)
	b.Records[1].Kind, b.Records[1].Body = "odd\x00\xff", []byte("\x00\xff")
	got, err := db.Ingest(t.Context(), sc, "s1", []store.Batch{b}, storetest.Start)
	if err != nil || got.New != 2 {
		t.Fatalf("receipt %+v, %v", got, err)
	}
	if a, err := db.GetAlert(t.Context(), sc, "a\x00b"); err != nil || a.ID != "a\uFFFDb" {
		t.Errorf("alert %q, %v", a.ID, err)
	}
	if records, _, err := db.Records(t.Context(), sc, "odd\x00\xff", "", "", 9); err != nil || len(records) != 1 || string(records[0].Body) != "\x00\xff" {
		t.Errorf("records %+v, %v", records, err)
	}
	if _, err := db.GetAlert(t.Context(), sc, "'; DROP TABLE alerts; --"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want %v", err, store.ErrNotFound)
	}
}

// TestOpenErrors holds that an error names what is wrong, and no password.
func TestOpenErrors(t *testing.T) {
	c := need.Postgres(t)
	name := c.Database()
	open(t, c, name).Close()
	c.SQL(name, "UPDATE roje_schema SET version = 999")
	for _, v := range []struct{ url, says string }{
		{c.URL("roje", name), "newer roje-collector"},
		{c.URL("roje", "nowhere"), `"nowhere" does not exist`},
		{"postgres://roje:s3cret@127.0.0.1:1/x?connect_timeout=2", "127.0.0.1:1"},
		{"postgres://roje:s3cret@host:port/x", "port"},
	} {
		if _, err := Open(t.Context(), v.url); err == nil || !strings.Contains(err.Error(), v.says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v, want it to say %q and no password", v.url, err, v.says)
		}
	}
}
