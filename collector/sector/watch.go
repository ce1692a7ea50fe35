package sector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/own"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

// Rule is what the alerts are called by that say that several operators saw the same act.
const Rule = "collector-sector-campaign"

// lookEvery is how often the operators are compared.
const lookEvery = time.Minute

// A Watcher raises an alert in the CERT's own queue for each campaign of the sector, and another one of the same incident for
// each operator that joins it, and tells the operators in it. One goroutine uses it. Any number of collectors may watch for one CERT: what they find has the
// same id.
type Watcher struct {
	Finder *Finder
	Store  interface {
		store.Alerts
		store.Intake
	}
	Scope store.Scope // the CERT's own
	Log   *slog.Logger

	owed []debt // notices that are still to be told
}

// A debt is what an operator is to be told.
type debt struct {
	of int // by place in Finder.Operators
	Notice
}

// owedMost is how many notices are kept for operators that cannot be told.
const owedMost = 1000

// Run looks until ctx ends.
func (w *Watcher) Run(ctx context.Context, now func() time.Time) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if _, err := w.Look(ctx, now()); err != nil && ctx.Err() == nil {
			w.Log.Error("the operators of the sector are not compared", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Look compares the operators and says how many alerts are new. The operators of a new one are told of it; one that cannot be is
// told by a later call.
func (w *Watcher) Look(ctx context.Context, now time.Time) (raised int, err error) {
	p, err := w.Finder.Look(ctx, now)
	if err != nil {
		return 0, err
	}
	w.tell(ctx, now)
	var errs []error // one campaign stands in the way of no other
	for i := range p.Campaigns {
		c := &p.Campaigns[i]
		a, err := w.alert(ctx, c)
		if err != nil || a == nil {
			errs = append(errs, err)
			continue
		}
		fresh, err := own.Keep(ctx, w.Store, w.Scope, a, now)
		errs = append(errs, err)
		if !fresh {
			continue // another collector of the CERT was first, and tells the operators
		}
		raised++
		w.Log.Warn("several operators saw the same act", "alert", a.ID, "rule", c.Rule, "operators", len(c.Seen))
		for k, of := range c.of {
			w.owed = append(w.owed, debt{of, Notice{c.Rule, c.Technique, c.Seen[k].First, c.Seen[k].Last, len(c.Seen) - 1}})
		}
		w.tell(ctx, now)
	}
	return raised, errors.Join(errs...)
}

// tell tells operators what they are to be told. Those that cannot be told stay on the list, the latest of them.
func (w *Watcher) tell(ctx context.Context, now time.Time) {
	w.owed = slices.DeleteFunc(w.owed, func(d debt) bool {
		o := w.Finder.Operators[d.of]
		err := o.Tell(ctx, w.Finder.CERT, d.Notice, now)
		if err != nil && ctx.Err() == nil {
			w.Log.Error("an operator is not told of a campaign that it is in", "operator", o.Name(), "rule", d.Rule, "err", err)
		}
		return err == nil
	})
	if n := len(w.owed) - owedMost; n > 0 {
		w.owed = slices.Delete(w.owed, 0, n)
	}
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// alert is what is to be raised of a campaign, nil if that was raised before. It says how many operators there are, and not
// who: the queue is for more eyes than the page of the sector.
func (w *Watcher) alert(ctx context.Context, c *Concurrence) (*rules.Alert, error) {
	observed := strings.TrimSpace("rule " + c.Rule + " " + c.Technique)
	f := store.Filter{Rule: Rule, Sensor: own.Sensor, Since: c.First.Add(-within), Until: c.Last.Add(within)}
	incident, operators := own.ID(Rule, c.Rule, c.Technique, c.First.UTC().Format(time.RFC3339Nano)), uint64(len(c.Seen))
	for cursor := ""; ; {
		before, next, err := w.Store.ListAlerts(ctx, w.Scope, f, cursor, 1000)
		if err != nil {
			return nil, err
		}
		for _, b := range before {
			if b.Observed != observed {
				continue
			}
			if b.Count >= operators {
				return nil, nil
			}
			incident = b.Incident
		}
		if cursor = next; next == "" {
			break
		}
	}
	techniques := []string{}
	if c.Technique != "" {
		techniques = []string{c.Technique}
	}
	return &rules.Alert{ID: own.ID(Rule, incident, fmt.Sprint(operators)), Incident: incident, Rule: Rule, Severity: c.Severity, Techniques: techniques,
		First: c.First.UTC(), Last: c.Last.UTC(), Count: operators, Observed: observed,
		Title: fmt.Sprintf("%d operators saw the same act, %s, at %d sites or more, from %s to %s; somebody may be going through the sector, and each operator sees no more than its own part",
			operators, words(c.Rule, c.Technique), c.Sites, instant(c.First), instant(c.Last)),
		Score: rules.Score{Impact: 1, Novelty: 1, Confidence: 0.8}}, nil
}
