package collector

import (
	"context"
	"log/slog"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/taps"
)

// correlateEvery is how often alerts are looked at that have come since.
const correlateEvery = 10 * time.Second

// correlate finds campaigns, and what two taps of one path saw differently, until ctx ends. Every collector of a store may
// do it: each alert is looked at once, and what is found between taps is found once.
func correlate(ctx context.Context, db interface {
	store.Campaigns
	taps.Store
}, scope store.Scope, now func() time.Time, log *slog.Logger) error {
	tick := time.NewTicker(correlateEvery)
	defer tick.Stop()
	between := taps.Comparer{Store: db, Scope: scope, Log: log}
	for {
		if _, err := between.Compare(ctx, now()); err != nil && ctx.Err() == nil {
			log.Error("the ledgers of taps are not compared", "err", err)
		}
		for {
			n, err := db.Correlate(ctx, scope, store.Usual, now())
			if err != nil && ctx.Err() == nil {
				log.Error("campaigns are not looked for", "err", err)
			}
			if err != nil || n == 0 || ctx.Err() != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
