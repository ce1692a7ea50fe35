package cmd

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/ship"
	"github.com/roje-ot/roje/sensor/spool"
)

var burst = flag.Int("burst", 24_000, "how many alerts TestBurst has raised at once")

// TestBurst holds that more alerts than the collector can take are absorbed by the spools, as its credit and its word to
// come again say, and that none of them is lost: `go test ./cmd -run TestBurst -burst 3000000 -timeout 2h -v` is the
// figure that the collector is held to.
func TestBurst(t *testing.T) {
	const sensors, run = 12, 100 // more than the collector works on at a time
	each := *burst / sensors
	if testing.Short() {
		each = min(each, 300)
	}
	c := newCentre(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var shipping, raising sync.WaitGroup
	defer shipping.Wait()
	defer cancel()
	var spools [sensors]*spool.Spool
	var most atomic.Int64 // records that waited in one spool
	for i := range spools {
		id, err := c.enrol(c.token(c.address), filepath.Join(t.TempDir(), "enrolment"), nil)
		if err != nil {
			t.Fatal(err)
		}
		sp, err := spool.Open(spool.Config{Dir: t.TempDir(), Budget: 4 << 30})
		if err != nil {
			t.Fatal(err)
		}
		defer sp.Close()
		spools[i] = sp
		client, err := ship.Connect(id, sp, c.clock, quiet())
		if err != nil {
			t.Fatal(err)
		}
		client.Longest = time.Second
		shipping.Go(func() {
			if err := client.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	began := time.Now()
	for i, sp := range spools {
		raising.Go(func() {
			for n := 0; n < each; n += run {
				var items []spool.Item
				for k := n; k < min(n+run, each); k++ {
					a := alertOf(i*each + k)
					a.ID = fmt.Sprintf("burst-%02d-%07d", i, k)
					body, err := json.Marshal(a)
					if err != nil {
						t.Error(err)
						return
					}
					items = append(items, spool.Item{Kind: batch.KindAlert, Lane: batch.LaneOf(a.Severity), At: a.Last, Body: body})
				}
				if err := sp.Append(items...); err != nil {
					t.Error(err)
					return
				}
				stats := sp.Stats()
				most.Store(max(most.Load(), int64(stats.Records())))
			}
		})
	}
	raising.Wait()
	spooled := time.Since(began)
	for i, sp := range spools {
		waiting, since := ^uint64(0), time.Now()
		for waiting > 0 {
			stats := sp.Stats()
			if now := stats.Records(); now < waiting {
				waiting, since = now, time.Now()
			} else if time.Since(since) > 2*time.Minute {
				t.Fatalf("sensor %d: %d records wait, and none has gone for two minutes", i, waiting)
			}
			time.Sleep(5 * time.Millisecond)
		}
		if stats := sp.Stats(); stats.Lost > 0 {
			t.Errorf("sensor %d lost %d records", i, stats.Lost)
		}
	}
	stored := time.Since(began)
	counts, err := c.db.CountAlerts(t.Context(), c.scope, store.Filter{})
	if err != nil || counts.Total != sensors*each {
		t.Errorf("%d alerts are stored, %v; want %d", counts.Total, err, sensors*each)
	}
	t.Logf("%d alerts were spooled in %v and stored in %v (%.0f/s); up to %d waited in one spool, %d requests were told to come again",
		sensors*each, spooled.Round(time.Millisecond), stored.Round(time.Millisecond), float64(sensors*each)/stored.Seconds(), most.Load(), c.handler.Deferred.Load())
}
