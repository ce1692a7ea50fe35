package sealed

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/roje-ot/roje/collector/own"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/proof"
)

// Rule is what the alerts are called by that say that the seals of a sensor's ledger do not hold.
const Rule = "collector-ledger-broken"

const (
	lookEvery = 10 * time.Second
	patience  = 5 * time.Minute // for a seal that comes late, by another way
)

// A Watcher raises an alert for each seal that does not hold, once. One goroutine uses it.
type Watcher struct {
	Store Store
	Scope store.Scope
	Log   *slog.Logger

	newest *place
	due    map[string]bool // sensors with seals that were not looked at since they had time to be complete
}

// A place is that of a record.
type place struct {
	sensor, epoch string
	lane          batch.Lane
	seq           uint64
}

// Run looks until ctx ends.
func (w *Watcher) Run(ctx context.Context, now func() time.Time) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if _, err := w.Look(ctx, now()); err != nil && ctx.Err() == nil {
			w.Log.Error("the seals of the ledgers are not checked", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Look checks the seals of sensors that have sent some since, and says how many alerts are new.
func (w *Watcher) Look(ctx context.Context, now time.Time) (raised int, err error) {
	if err := w.fresh(ctx); err != nil {
		return 0, err
	}
	for sensor := range w.due {
		list, ripe, err := w.ripe(ctx, sensor, now)
		if err != nil {
			return raised, err
		}
		breaks, err := Breaks(ctx, w.Store, w.Scope, sensor, list)
		if err != nil {
			return raised, err
		}
		name := sensor
		if known, err := w.Store.GetSensor(ctx, w.Scope, sensor); err == nil && known.Name != "" {
			name = known.Name
		}
		for _, b := range breaks {
			if b.at >= ripe {
				break
			}
			a := alert(sensor, name, b)
			switch fresh, err := own.Keep(ctx, w.Store, w.Scope, a, now); {
			case err != nil:
				return raised, err
			case fresh:
				raised++
				w.Log.Warn("a ledger is not what was sealed", "sensor", sensor, "alert", a.ID, "err", b.Err)
			}
		}
		if ripe == len(list) {
			delete(w.due, sensor)
		}
	}
	return raised, nil
}

// fresh notes the sensors whose seals have come since the last time; at first, all.
func (w *Watcher) fresh(ctx context.Context) error {
	if w.due == nil {
		w.due = map[string]bool{}
	}
	var newest *place
	for cursor, limit := "", 1; ; limit = 100 {
		records, next, err := w.Store.Records(ctx, w.Scope, batch.KindLedgerSeal, "", cursor, limit)
		if err != nil {
			return err
		}
		for _, r := range records {
			at := place{r.Sensor, r.Epoch, r.Lane, r.Seq}
			if newest == nil {
				newest = &at
			}
			if w.newest != nil && at == *w.newest {
				w.newest = newest
				return nil
			}
			w.due[r.Sensor] = true
		}
		if cursor = next; next == "" {
			break
		}
	}
	w.newest = newest
	return nil
}

// ripe returns the seals of a sensor, and how many are before the first that has not been here for long.
func (w *Watcher) ripe(ctx context.Context, sensor string, now time.Time) (list []proof.LedgerSeal, ripe int, err error) {
	came, err := all(ctx, w.Store, w.Scope, sensor)
	for i := range came {
		list = append(list, came[i].LedgerSeal)
		if ripe == i && now.Sub(came[i].at) >= patience {
			ripe++
		}
	}
	return list, ripe, err
}

// alert says what is wrong with a seal. Its times are those of the seal, so that every collector says the same.
func alert(sensor, name string, b Break) *rules.Alert {
	id := own.ID(Rule, sensor, string(b.Seal.Signature))
	at := b.Seal.At.UTC()
	return &rules.Alert{ID: id, Incident: id, Rule: Rule, Severity: rules.High, Techniques: []string{"T0872"}, First: at, Last: at, Count: 1,
		Title: fmt.Sprintf("The records of control actions at sensor %s are not those that it sealed before: %v; somebody may have removed what was commanded",
			name, b.Err),
		Learned: "seals of one ledger follow each other, by the sensor's keys", Observed: b.Err.Error(),
		Score: rules.Score{Impact: 1, Novelty: 1, Confidence: 0.9}}
}
