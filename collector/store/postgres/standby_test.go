package postgres

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/testdata/need"
)

// TestStandby has two collectors take alerts from six sensors while the primary is killed and its synchronous standby
// promoted: they go on by themselves, each alert that was acknowledged is there, and each is there once.
func TestStandby(t *testing.T) {
	primary := need.Postgres(t, "synchronous_standby_names = 'second'", "synchronous_commit = local", "wal_level = replica")
	name := primary.Database()
	standby := primary.Standby("second")
	sc := storetest.For(t, "north")
	var dbs [2]*DB
	for i := range dbs {
		db, err := Open(t.Context(), primary.URL("roje", name, standby))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		dbs[i] = db
	}
	const sensors, batches, size = 6, 60, 4
	var acked atomic.Int64 // batches, of all sensors
	var failed atomic.Int64
	killed, promoted := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for s := range sensors {
		wg.Go(func() {
			sent := deliver(fmt.Sprint("s", s), batches, size)
			for i, b := range sent {
				for try := 0; ; try++ { // as a sensor does: until it is acknowledged, by whichever collector
					got, err := dbs[(s+i+try)%2].Ingest(t.Context(), sc, b.Sensor, []store.Batch{b}, storetest.Start)
					if err == nil {
						if got.Ack[batch.Routine] != b.To {
							t.Errorf("%s %d: receipt %+v", b.Sensor, b.From, got)
						}
						break
					}
					failed.Add(1)
					if t.Context().Err() != nil {
						return
					}
					<-promoted // there is nobody to ask until then
				}
				if acked.Add(1) == sensors*batches/3 {
					close(killed)
				}
			}
		})
	}
	<-killed
	primary.Kill()
	standby.SQL("postgres", "ALTER SYSTEM SET synchronous_standby_names = ''")
	standby.Promote()
	standby.SQL("postgres", "SELECT pg_reload_conf()")
	close(promoted)
	wg.Wait()

	var ids []string
	for cursor := ""; ; {
		page, next, err := dbs[0].ListAlerts(t.Context(), sc, store.Filter{}, cursor, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page {
			ids = append(ids, a.ID)
		}
		if cursor = next; next == "" {
			break
		}
	}
	slices.Sort(ids)
	if n := len(slices.Compact(slices.Clone(ids))); n != len(ids) || n != sensors*batches*size {
		t.Errorf("%d alerts, %d different; want %d", len(ids), n, sensors*batches*size)
	}
	if failed.Load() == 0 {
		t.Error("no delivery failed: the primary was not in use when it was killed")
	}
	for s := range sensors {
		streams, err := dbs[1].Streams(t.Context(), sc, fmt.Sprint("s", s))
		if err != nil || len(streams) != 1 || streams[0].Breaks != 0 || len(streams[0].Gaps) != 0 || streams[0].High != batches*size {
			t.Errorf("s%d: streams %+v, %v; want one whole chain", s, streams, err)
		}
	}
	t.Logf("%d deliveries failed and were repeated", failed.Load())
}
