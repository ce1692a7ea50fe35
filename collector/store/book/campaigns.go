package book

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

var _ store.Campaigns = Book{}

// Campaigns are the runs of points on a line, one line for each act, that lie no further apart than a span: what a point
// joins does not depend on which came first. A run of one site is kept too, as others may join it, for a while.
const (
	correlateStep = 1000                // alerts of one transaction
	correlateBack = 30 * 24 * time.Hour // how far back a store that has never correlated begins; how long runs of one site are kept
	campaignName  = "campaign-"
)

// An act is what a campaign is of.
type act struct{ rule, technique string }

// A run is a campaign, or what may become one.
type run struct {
	n           int64 // 0: not in the store
	first, last int64
	severity    rules.Severity
	sites       map[string]*visit // by sensor
}

// A visit is what a sensor saw of a run.
type visit struct {
	first, last int64
	alerts      int
}

// take makes r what r and o are together.
func (r *run) take(o *run) {
	r.first, r.last, r.severity = min(r.first, o.first), max(r.last, o.last), max(r.severity, o.severity)
	for sensor, v := range o.sites {
		if w := r.sites[sensor]; w != nil {
			w.first, w.last, w.alerts = min(w.first, v.first), max(w.last, v.last), w.alerts+v.alerts
		} else {
			r.sites[sensor] = v
		}
	}
}

// A found alert is what correlation asks of it.
type found struct {
	act
	arrived, first int64
	sensor         string
	severity       rules.Severity
}

// Correlate implements store.Campaigns.
func (b Book) Correlate(ctx context.Context, s store.Scope, c store.Correlation, at time.Time) (int, error) {
	if err := s.Check(); err != nil {
		return 0, err
	}
	if more, err := b.unlooked(ctx, s, b.Reader(s), at, 1); err != nil || len(more) == 0 {
		return 0, err
	}
	looked := 0
	err := b.change(ctx, s, func(t work) error {
		if _, err := t.Count(s.Operator(), "correlating", 0); err != nil { // one at a time
			return err
		}
		alerts, err := b.unlooked(ctx, s, t, at, correlateStep)
		if looked = len(alerts); err != nil || looked == 0 {
			return err
		}
		lines := map[act][]*run{}
		for _, a := range alerts {
			if a.severity >= c.Least {
				lines[a.act] = append(lines[a.act], &run{first: a.first, last: a.first, severity: a.severity, sites: map[string]*visit{a.sensor: {a.first, a.first, 1}}})
			}
		}
		for _, k := range slices.SortedFunc(maps.Keys(lines), func(a, b act) int {
			return cmp.Or(strings.Compare(a.rule, b.rule), strings.Compare(a.technique, b.technique))
		}) {
			for _, r := range joined(lines[k], int64(c.Within)) {
				if err := t.merge(s, k, r, c, at); err != nil {
					return err
				}
			}
		}
		if err := t.forgetRuns(s, at.Add(-correlateBack)); err != nil {
			return err
		}
		_, err = t.Count(s.Operator(), "correlated", alerts[looked-1].arrived)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("correlate: %w", err)
	}
	return looked, nil
}

// unlooked are the next alerts that were not looked at.
func (b Book) unlooked(ctx context.Context, s store.Scope, r Reader, at time.Time, limit int) ([]found, error) {
	after, err := One(ctx, r, `SELECT value FROM counters WHERE operator = ? AND name = 'correlated'`, []any{s.Operator()}, func(scan scan) (n int64, err error) { err = scan(&n); return n, err })
	if errors.Is(err, store.ErrNotFound) {
		after, err = Nanos(at.Add(-correlateBack)), nil
	}
	if err != nil {
		return nil, err
	}
	return List(ctx, r, `SELECT arrived, sensor, rule, severity, first, body FROM alerts WHERE operator = ? AND arrived > ? ORDER BY arrived LIMIT ?`, []any{s.Operator(), after, limit},
		func(scan scan) (f found, err error) {
			var body []byte
			if err = scan(&f.arrived, &f.sensor, &f.rule, &f.severity, &f.first, &body); err != nil {
				return f, err
			}
			var a rules.Alert
			if err = json.Unmarshal(body, &a); err != nil {
				return f, fmt.Errorf("alert: %w", err)
			}
			f.technique = store.Technique(&a)
			return f, nil
		})
}

// joined puts runs together that lie within a span of each other.
func joined(runs []*run, within int64) (out []*run) {
	slices.SortFunc(runs, func(a, b *run) int { return cmp.Compare(a.first, b.first) })
	for _, r := range runs {
		if n := len(out); n > 0 && r.first <= out[n-1].last+within {
			out[n-1].take(r)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// merge puts r to the runs of the store that it touches, which become one: the oldest of those that are campaigns already,
// or else the oldest.
func (t work) merge(s store.Scope, k act, r *run, c store.Correlation, at time.Time) error {
	old, err := t.touched(s, k, r.first-int64(c.Within), r.last+int64(c.Within))
	if err != nil {
		return err
	}
	slices.SortStableFunc(old, func(a, b *run) int {
		return cmp.Compare(rank(len(a.sites) >= c.Sites), rank(len(b.sites) >= c.Sites))
	})
	if len(old) == 0 {
		if r.n, err = t.Count(s.Operator(), "campaign", 0); err != nil {
			return err
		}
		old = []*run{{n: r.n, first: r.first, last: r.last, sites: map[string]*visit{}}}
	}
	whole := old[0]
	for _, o := range append(old[1:], r) {
		whole.take(o)
	}
	for _, o := range old[1:] {
		if _, err := t.Exec(`UPDATE campaigns SET into_n = ?, sites = 0, updated = ? WHERE operator = ? AND (n = ? OR into_n = ?)`, whole.n, Nanos(at), s.Operator(), o.n, o.n); err != nil {
			return err
		}
		if _, err := t.Exec(`DELETE FROM campaign_sites WHERE operator = ? AND campaign = ?`, s.Operator(), o.n); err != nil {
			return err
		}
	}
	return t.write(s, k, whole, at)
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// touched are the runs of an act that reach into a time, with their sites, the oldest first.
func (t work) touched(s store.Scope, k act, from, to int64) ([]*run, error) {
	runs, err := List(context.Background(), t, `SELECT n, first, last, severity FROM campaigns WHERE operator = ? AND rule = ? AND technique = ? AND last >= ? AND first <= ? AND into_n = 0 ORDER BY n`,
		[]any{s.Operator(), k.rule, k.technique, from, to}, func(scan scan) (*run, error) {
			r := &run{sites: map[string]*visit{}}
			return r, scan(&r.n, &r.first, &r.last, &r.severity)
		})
	for _, r := range runs {
		if err == nil {
			_, err = List(context.Background(), t, `SELECT sensor, first, last, alerts FROM campaign_sites WHERE operator = ? AND campaign = ?`, []any{s.Operator(), r.n}, func(scan scan) (_ struct{}, err error) {
				var sensor string
				v := new(visit)
				err = scan(&sensor, &v.first, &v.last, &v.alerts)
				r.sites[sensor] = v
				return struct{}{}, err
			})
		}
	}
	return runs, err
}

// write puts a run into the store, in the place of what was there under its number.
func (t work) write(s store.Scope, k act, r *run, at time.Time) error {
	alerts := 0
	for sensor, v := range r.sites {
		alerts += v.alerts
		if _, err := t.Exec(`INSERT INTO campaign_sites (operator, campaign, sensor, first, last, alerts) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (operator, campaign, sensor) DO UPDATE SET first = excluded.first, last = excluded.last, alerts = excluded.alerts`,
			s.Operator(), r.n, sensor, v.first, v.last, v.alerts); err != nil {
			return err
		}
	}
	_, err := t.Exec(`INSERT INTO campaigns (operator, n, rule, technique, severity, first, last, sites, alerts, updated, into_n) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
		ON CONFLICT (operator, n) DO UPDATE SET severity = excluded.severity, first = excluded.first, last = excluded.last, sites = excluded.sites, alerts = excluded.alerts, updated = excluded.updated`,
		s.Operator(), r.n, k.rule, k.technique, int(r.severity), r.first, r.last, len(r.sites), alerts, Nanos(at))
	return err
}

// forgetRuns deletes the runs of one site, and what was found to be part of another, that have seen nothing new since a time.
func (t work) forgetRuns(s store.Scope, before time.Time) error {
	for _, sites := range []int{0, 1} {
		if _, err := t.Exec(`DELETE FROM campaign_sites WHERE operator = ? AND campaign IN (SELECT n FROM campaigns WHERE operator = ? AND sites = ? AND updated < ?)`,
			s.Operator(), s.Operator(), sites, Nanos(before)); err != nil {
			return err
		}
		if _, err := t.Exec(`DELETE FROM campaigns WHERE operator = ? AND sites = ? AND updated < ?`, s.Operator(), sites, Nanos(before)); err != nil {
			return err
		}
	}
	return nil
}

const campaignColumns = `n, rule, technique, severity, first, last, sites, alerts, updated`

// A numbered campaign is one with its number.
type numberedCampaign struct {
	store.Campaign
	n, last int64
}

func scanCampaign(scan scan) (c numberedCampaign, err error) {
	var first, updated int64
	err = scan(&c.n, &c.Rule, &c.Technique, &c.Severity, &first, &c.last, &c.Sites, &c.Alerts, &updated)
	c.ID = campaignName + strconv.FormatInt(c.n, 10)
	c.First, c.Last, c.Updated = FromNanos(first), FromNanos(c.last), FromNanos(updated)
	return c, err
}

// ListCampaigns implements store.Campaigns.
func (b Book) ListCampaigns(ctx context.Context, s store.Scope, sites int, cursor string, limit int) ([]store.Campaign, string, error) {
	w, err := scopedWhere(s)
	if err == nil {
		err = checkLimit(limit)
	}
	if err != nil {
		return nil, "", err
	}
	w.and("sites >= ?", max(sites, 1))
	if cursor != "" {
		at, err := ParseCursor("c", cursor, 2)
		if err != nil {
			return nil, "", err
		}
		w.and("(last < ? OR last = ? AND n < ?)", at[0], at[0], at[1])
	}
	rows, err := List(ctx, b.Reader(s), `SELECT `+campaignColumns+` FROM campaigns `+w.String()+` ORDER BY last DESC, n DESC LIMIT ?`, w.with(limit+1), scanCampaign)
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(rows) > limit {
		rows = rows[:limit]
		next = MakeCursor("c", rows[limit-1].last, rows[limit-1].n)
	}
	all := make([]store.Campaign, len(rows))
	for i, r := range rows {
		all[i] = r.Campaign
	}
	return all, next, nil
}

// GetCampaign implements store.Campaigns.
func (b Book) GetCampaign(ctx context.Context, s store.Scope, id string) (store.Campaign, error) {
	if err := s.Check(); err != nil {
		return store.Campaign{}, err
	}
	return campaign(ctx, s, b.Reader(s), id)
}

func campaign(ctx context.Context, s store.Scope, r Reader, id string) (store.Campaign, error) {
	none := fmt.Errorf("campaign %.80q: %w", id, store.ErrNotFound)
	n, err := number(campaignName, id)
	if err != nil {
		return store.Campaign{}, none
	}
	c, err := One(ctx, r, `SELECT `+campaignColumns+` FROM campaigns WHERE operator = ? AND n = coalesce((SELECT CASE into_n WHEN 0 THEN n ELSE into_n END FROM campaigns WHERE operator = ? AND n = ?), 0)`,
		[]any{s.Operator(), s.Operator(), n}, scanCampaign)
	if errors.Is(err, store.ErrNotFound) {
		return c.Campaign, none
	}
	if err != nil {
		return c.Campaign, err
	}
	c.Seen, err = List(ctx, r, `SELECT sensor, coalesce((SELECT name FROM sensors s WHERE s.operator = campaign_sites.operator AND s.id = campaign_sites.sensor), ''), first, last, alerts
		FROM campaign_sites WHERE operator = ? AND campaign = ? ORDER BY first, sensor`, []any{s.Operator(), c.n}, func(scan scan) (v store.CampaignSite, err error) {
		var first, last int64
		err = scan(&v.Sensor, &v.Name, &first, &last, &v.Alerts)
		v.First, v.Last = FromNanos(first), FromNanos(last)
		return v, err
	})
	return c.Campaign, err
}

// number reads the number at the end of a name.
func number(name, id string) (int64, error) {
	digits, ok := strings.CutPrefix(id, name)
	if !ok {
		return 0, store.ErrNotFound
	}
	return strconv.ParseInt(digits, 10, 64)
}
