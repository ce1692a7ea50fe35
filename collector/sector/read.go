package sector

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/store"
)

// A Store is where an operator is kept.
type Store interface {
	share.Releases
	store.Campaigns
	store.Audit
	store.Alerts
	store.Letters
	Consents(ctx context.Context, s store.Scope, cert string) ([]store.Consent, error)
}

// An Operator is one whose store is at hand.
type Operator struct {
	Scope store.Scope
	Store Store
}

var _ Source = Operator{}

// Name implements Source.
func (o Operator) Name() string { return o.Scope.Operator() }

// Read implements Source.
func (o Operator) Read(ctx context.Context, cert string, since time.Time) (Report, error) {
	consents, err := o.Store.Consents(ctx, o.Scope, cert)
	if err != nil {
		return Report{}, err
	}
	return o.report(ctx, consents, since)
}

// report is what an operator lets those compare that have a consent.
func (o Operator) report(ctx context.Context, consents []store.Consent, since time.Time) (r Report, err error) {
	r = Report{Operator: o.Name(), State: None, Runs: []Run{}}
	if len(consents) == 0 {
		return r, nil
	}
	r.State = string(store.CompareReleased)
	if slices.ContainsFunc(consents, func(c store.Consent) bool { return c.Compare == store.CompareActs }) {
		r.State = string(store.CompareActs)
	}
	released, cut, err := o.released(ctx, consents, since)
	if err != nil || r.State == string(store.CompareReleased) {
		r.Runs, r.Cut = append(r.Runs, released...), cut
		return r, err
	}
	acts, more, err := o.acts(ctx, since)
	r.Cut = cut || more
	for _, one := range acts {
		one.Released = slices.ContainsFunc(released, func(some Run) bool {
			return some.act() == one.act() && !some.Last.Before(one.First) && !some.First.After(one.Last)
		})
		r.Runs = append(r.Runs, one)
	}
	return r, err
}

// acts are the runs of all that the operator's own correlation has counted, the latest; cut says that there are others.
func (o Operator) acts(ctx context.Context, since time.Time) (runs []Run, cut bool, err error) {
	for cursor := ""; ; {
		page, next, err := o.Store.ListCampaigns(ctx, o.Scope, 1, cursor, runsPage)
		if err != nil {
			return nil, false, err
		}
		for _, c := range page {
			if c.Last.Before(since) { // they come by it
				return runs, false, nil
			}
			if c.Severity >= Least {
				runs = append(runs, Run{Rule: c.Rule, Technique: c.Technique, First: c.First, Last: c.Last, Severity: c.Severity, Sites: c.Sites, Alerts: c.Alerts})
			}
		}
		if next == "" || len(runs) >= runsMost {
			return runs, next != "", nil
		}
		cursor = next
	}
}

// errEnough ends the reading of releases.
var errEnough = errors.New("enough")

// released are the runs of the alerts that the CERT's accounts are shown; cut says that there are others.
func (o Operator) released(ctx context.Context, consents []store.Consent, since time.Time) (runs []Run, cut bool, err error) {
	seen := map[string]bool{} // by the id that the operator knows
	lines := map[act][]store.Alert{}
	for _, c := range consents {
		err := share.EachSeen(ctx, o.Store, o.Scope, share.Recipient{Name: c.Account, Ceiling: c.Ceiling}, since, func(as store.Released, id string) error {
			if len(seen) == runsMost {
				return errEnough
			}
			if a := as.Alert; !as.Revoked && !seen[id] && a.Severity >= Least && !a.First.Before(since) {
				seen[id] = true
				k := act{a.Rule, store.Technique(&a.Alert)}
				lines[k] = append(lines[k], a)
			}
			return nil
		})
		if cut = cut || errors.Is(err, errEnough); err != nil && !cut {
			return nil, false, err
		}
	}
	for k, line := range lines {
		alone := make([]placed, len(line))
		for i, a := range line {
			alone[i] = placed{Run{First: a.First, Last: a.First, Severity: a.Severity}, i}
		}
		for _, chain := range chains(alone) {
			r := Run{Rule: k.rule, Technique: k.technique, First: chain[0].First, Alerts: len(chain), Released: true}
			sites := map[string]bool{}
			for _, one := range chain {
				r.Last, r.Severity = one.First, max(r.Severity, one.Severity)
				sites[line[one.of].Sensor] = true
			}
			r.Sites = len(sites)
			runs = append(runs, r)
		}
	}
	return runs, cut, nil
}
