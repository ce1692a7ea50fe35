package sector

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/store"
)

// read reads of an operator what it lets the CERT compare, back to since.
func (o *Operator) read(ctx context.Context, cert string, since time.Time) (s Standing, runs []run, err error) {
	consents, err := o.Store.Consents(ctx, o.Scope, cert)
	if err != nil || len(consents) == 0 {
		return Standing{State: None}, nil, err
	}
	s.State = string(store.CompareReleased)
	if slices.ContainsFunc(consents, func(c store.Consent) bool { return c.Compare == store.CompareActs }) {
		s.State = string(store.CompareActs)
	}
	released, cut, err := o.released(ctx, consents, since)
	s.Cut = cut
	if err != nil || s.State == string(store.CompareReleased) {
		return s, released, err
	}
	if runs, cut, err = o.acts(ctx, since); err != nil {
		return s, nil, err
	}
	s.Cut = s.Cut || cut
	for i := range runs {
		r := &runs[i]
		r.named = slices.ContainsFunc(released, func(one run) bool {
			return one.act == r.act && !one.last.Before(r.first) && !one.first.After(r.last)
		})
	}
	return s, runs, nil
}

// acts are the runs of all that the operator's own correlation has counted, the latest; cut says that there are others.
func (o *Operator) acts(ctx context.Context, since time.Time) (runs []run, cut bool, err error) {
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
				runs = append(runs, run{act: act{c.Rule, c.Technique}, first: c.First, last: c.Last, severity: c.Severity, sites: c.Sites, alerts: c.Alerts})
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
func (o *Operator) released(ctx context.Context, consents []store.Consent, since time.Time) (runs []run, cut bool, err error) {
	type sight struct {
		store.Alert
		act
	}
	seen := map[string]bool{} // by the id that the operator knows
	lines := map[act][]sight{}
	for _, c := range consents {
		err := share.EachSeen(ctx, o.Store, o.Scope, share.Recipient{Name: c.Account, Ceiling: c.Ceiling}, since, func(as store.Released, id string) error {
			if len(seen) == runsMost {
				return errEnough
			}
			if a := as.Alert; !as.Revoked && !seen[id] && a.Severity >= Least && !a.First.Before(since) {
				seen[id] = true
				k := act{a.Rule, store.Technique(&a.Alert)}
				lines[k] = append(lines[k], sight{a, k})
			}
			return nil
		})
		if cut = cut || errors.Is(err, errEnough); err != nil && !cut {
			return nil, false, err
		}
	}
	for k, line := range lines {
		alone := make([]run, len(line))
		for i, a := range line {
			alone[i] = run{act: k, first: a.First, last: a.First, severity: a.Severity, of: i}
		}
		for _, chain := range chains(alone) {
			r := run{act: k, first: chain[0].first, named: true, alerts: len(chain)}
			sites := map[string]bool{}
			for _, one := range chain {
				r.last, r.severity = one.first, max(r.severity, one.severity)
				sites[line[one.of].Sensor] = true
			}
			r.sites = len(sites)
			runs = append(runs, r)
		}
	}
	return runs, cut, nil
}
