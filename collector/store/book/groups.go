package book

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// PreviewGroup implements store.Releases.
func (b Book) PreviewGroup(ctx context.Context, s store.Scope, kind, ref string) (store.Group, error) {
	g, err := group(ctx, s, b.Reader(s), kind, ref)
	if err != nil {
		return store.Group{}, fmt.Errorf("%s %.80q: %w", kind, ref, err)
	}
	return *g, nil
}

// ReleaseGroup implements store.Releases.
func (b Book) ReleaseGroup(ctx context.Context, s store.Scope, kind, ref string, tlp store.TLP, masked bool, who string, at time.Time) (store.Released, error) {
	if _, err := store.ParseTLP(string(tlp)); err != nil {
		return store.Released{}, err
	}
	return b.publish(ctx, s, cmp.Or(kind, "none"), ref, tlp, masked, who, at)
}

// RetractGroup implements store.Releases.
func (b Book) RetractGroup(ctx context.Context, s store.Scope, kind, ref, who string, at time.Time) (store.Released, error) {
	return b.publish(ctx, s, cmp.Or(kind, "none"), ref, "", false, who, at)
}

// group makes what leaves of a campaign or a case: only what its released alerts say.
func group(ctx context.Context, s store.Scope, r Reader, kind, ref string) (*store.Group, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	g := &store.Group{Kind: kind, Ref: ref}
	var alerts []store.Alert
	var err error
	switch kind {
	case store.ItemCampaign:
		var c store.Campaign
		if c, err = campaign(ctx, s, r, ref); err == nil {
			g.Ref, g.Rule, g.Technique = c.ID, c.Rule, c.Technique
			alerts, err = releasedOf(ctx, s, r, &c)
		}
	case store.ItemCase:
		var c store.Case
		if c, err = oneCase(ctx, s, r, ref); err == nil {
			g.Title, g.State, g.Verdict = c.Title, c.State, c.Verdict
			alerts, err = releasedIn(ctx, s, r, &c)
		}
	default:
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	if len(alerts) == 0 {
		return nil, store.ErrNothing
	}
	slices.SortFunc(alerts, func(a, b store.Alert) int { return cmp.Or(a.First.Compare(b.First), strings.Compare(a.ID, b.ID)) })
	alerts = slices.CompactFunc(alerts, func(a, b store.Alert) bool { return a.ID == b.ID })
	sensors := map[string]bool{}
	g.First = alerts[0].First
	for i := range alerts {
		a := &alerts[i]
		sensors[a.Sensor] = true
		g.Alerts, g.Severity = append(g.Alerts, a.ID), max(g.Severity, a.Severity)
		if a.Last.After(g.Last) {
			g.Last = a.Last
		}
	}
	g.Sites = len(sensors)
	return g, nil
}

func (t work) group(s store.Scope, kind, ref string) (*store.Group, error) {
	return group(context.Background(), s, t, kind, ref)
}

// groupMost is how many alerts leave as one group at most.
const groupMost = 1000

const releasedAlerts = `SELECT ` + alertColumns + ` FROM alerts WHERE operator = ? AND released IS NOT NULL AND `

// releasedOf are the alerts of a campaign that are released now.
func releasedOf(ctx context.Context, s store.Scope, r Reader, c *store.Campaign) ([]store.Alert, error) {
	alerts, err := List(ctx, r, releasedAlerts+`rule = ? AND severity >= ? AND first >= ? AND first <= ? ORDER BY arrived LIMIT ?`,
		[]any{s.Operator(), c.Rule, int(store.Usual.Least), Nanos(c.First), Nanos(c.Last), groupMost}, scanAlert)
	return slices.DeleteFunc(alerts, func(a store.Alert) bool { return store.Technique(&a.Alert) != c.Technique }), err
}

// releasedIn are the alerts of a case, of its incidents and of its campaigns that are released now.
func releasedIn(ctx context.Context, s store.Scope, r Reader, c *store.Case) (all []store.Alert, err error) {
	for _, item := range c.Items {
		var some []store.Alert
		switch item.Kind {
		case store.ItemAlert:
			some, err = List(ctx, r, releasedAlerts+`id = ?`, []any{s.Operator(), item.Ref}, scanAlert)
		case store.ItemIncident:
			some, err = List(ctx, r, releasedAlerts+`incident = ? AND incident != '' ORDER BY arrived LIMIT ?`, []any{s.Operator(), item.Ref, groupMost}, scanAlert)
		case store.ItemCampaign:
			var of store.Campaign
			if of, err = campaign(ctx, s, r, item.Ref); err == nil {
				some, err = releasedOf(ctx, s, r, &of)
			} else if errors.Is(err, store.ErrNotFound) {
				err = nil // it is forgotten
			}
		}
		if err != nil {
			return nil, err
		}
		if all = append(all, some...); len(all) >= groupMost {
			return all[:groupMost], nil
		}
	}
	return all, nil
}
