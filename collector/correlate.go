package collector

import (
	"context"
	"log/slog"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// correlateEvery is how often alerts are looked at that have come since.
const correlateEvery = 10 * time.Second

// correlate finds campaigns until ctx ends. Every collector of a store may do it: each alert is looked at once.
func correlate(ctx context.Context, db store.Campaigns, scope store.Scope, now func() time.Time, log *slog.Logger) error {
	tick := time.NewTicker(correlateEvery)
	defer tick.Stop()
	for {
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
