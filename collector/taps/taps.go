package taps

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/roje-ot/roje/collector/own"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

const (
	// Rule is what the alerts are called by.
	Rule = "L05-differs-between-taps"

	apart   = 2 * time.Second // between two sights of one action, what is left of a clock's offset included
	aside   = time.Second / 4 // the same, where it is known by how much two sensors differ: jitter
	settled = 2 * time.Minute // after an action both sensors have delivered it, if their links are up
	kept    = 24 * time.Hour  // for so long an action waits for a sensor that delivers late
	most    = 10_000          // actions of one sensor that are kept
	page    = 200             // records read at a time
)

// A Store has what sensors said, and takes what is found.
type Store interface {
	store.Fleet
	store.Intake
}

// A Comparer compares the ledgers of the sensors of one operator. One goroutine uses it. Any number of collectors may
// compare for one store: what they find has the same id.
type Comparer struct {
	Store Store
	Scope store.Scope
	Log   *slog.Logger

	seen map[string]*sight  // by sensor
	lags map[[2]string]*lag // by two of them, in order
}

// A sight is what is known of one sensor's ledger.
type sight struct {
	actions []*action
	last    time.Time      // Received of the newest record read
	known   map[place]bool // records received at last
}

type place struct {
	epoch string
	seq   uint64
}

// Compare reads what came since the last call and stores an alert for each action that two taps saw differently. It says
// how many are new.
func (c *Comparer) Compare(ctx context.Context, now time.Time) (found int, err error) {
	sensors, err := c.Store.Sensors(ctx, c.Scope)
	if err != nil {
		return 0, err
	}
	paths, names := map[string][]string{}, map[string]string{}
	offsets := map[string]time.Duration{}
	for _, s := range sensors {
		var h batch.Health
		if s.Denied != nil || len(s.Health) == 0 || json.Unmarshal(s.Health, &h) != nil {
			continue
		}
		names[s.ID] = cmp.Or(s.Name, s.ID)
		for _, tap := range h.Taps {
			paths[tap] = append(paths[tap], s.ID)
		}
		if h.ClockMS != nil {
			offsets[s.ID] = time.Duration(*h.ClockMS) * time.Millisecond
		}
	}
	watched := map[string]bool{}
	for tap, on := range paths {
		if len(on) < 2 {
			delete(paths, tap)
			continue
		}
		for _, sensor := range on {
			watched[sensor] = true
		}
	}
	for sensor := range watched {
		if err := c.read(ctx, sensor, offsets[sensor], now); err != nil {
			return 0, err
		}
	}
	for sensor := range c.seen {
		if !watched[sensor] {
			delete(c.seen, sensor)
		}
	}
	var alerts []*rules.Alert
	for tap, on := range paths {
		slices.Sort(on)
		for i, a := range on {
			for _, b := range on[i+1:] {
				for _, pair := range differing(c.seen[a].actions, c.seen[b].actions, c.lag(a, b), now) {
					alerts = append(alerts, alert(tap, names, pair[0], pair[1]))
				}
			}
		}
	}
	slices.SortFunc(alerts, func(a, b *rules.Alert) int { return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.ID, b.ID)) })
	return c.keep(ctx, alerts, now)
}

// read takes the records of a sensor's ledger that were received since the last time.
func (c *Comparer) read(ctx context.Context, sensor string, offset time.Duration, now time.Time) error {
	s := c.seen[sensor]
	if s == nil {
		s = &sight{last: now.Add(-kept)}
		if c.seen == nil {
			c.seen = map[string]*sight{}
		}
		c.seen[sensor] = s
	}
	since, known := s.last, s.known
	var fresh []*action
	newest := map[place]bool{}
	for cursor, more := "", true; more; {
		records, next, err := c.Store.Records(ctx, c.Scope, batch.KindLedger, sensor, cursor, page)
		if err != nil {
			return err
		}
		more = next != "" && len(fresh) < most
		cursor = next
		for _, r := range records {
			at := place{r.Epoch, r.Seq}
			if r.Received.Before(since) {
				more = false
				break
			}
			if r.Received.After(s.last) {
				s.last, newest = r.Received, map[place]bool{}
			}
			if r.Received.Equal(s.last) {
				newest[at] = true
			}
			if r.Received.Equal(since) && known[at] {
				continue
			}
			switch a, ok, err := read(r.Body, sensor, offset); {
			case err != nil:
				c.Log.Warn("a ledger record cannot be compared", "sensor", sensor, "err", err)
			case ok:
				fresh = append(fresh, a)
			}
		}
	}
	if len(newest) > 0 {
		if s.last.Equal(since) {
			for at := range known {
				newest[at] = true
			}
		}
		s.known = newest
	}
	s.actions = slices.DeleteFunc(append(s.actions, fresh...), func(a *action) bool { return now.Sub(a.at) > kept })
	slices.SortStableFunc(s.actions, func(a, b *action) int { return a.at.Compare(b.at) })
	if n := len(s.actions) - most; n > 0 {
		s.actions = slices.Delete(s.actions, 0, n)
	}
	return nil
}

// differing returns the pairs of actions of one session that came by both taps at the same time and do not ask for the same.
// What came by both alike is set aside first, so that of many actions in a row each finds its own; and of what is left, two
// that are further apart than the others were are two actions, of which each tap lost one.
func differing(a, b []*action, l *lag, now time.Time) (pairs [][2]*action) {
	sessions := map[string][]*action{}
	for _, x := range b {
		if !x.told {
			sessions[x.session()] = append(sessions[x.session()], x)
		}
	}
	for _, alike := range []bool{true, false} {
		for _, x := range a {
			if x.told || !alike && now.Sub(x.at) < settled {
				continue
			}
			y := nearest(x, sessions[x.session()], alike, l)
			if y == nil {
				continue
			}
			x.told, y.told = true, true
			if alike {
				l.note(y.at.Sub(x.at))
			} else {
				pairs = append(pairs, [2]*action{x, y})
			}
		}
	}
	return pairs
}

// nearest is the action that came closest to a in time, of those that ask for the same or of the others.
func nearest(a *action, list []*action, alike bool, l *lag) (best *action) {
	usual, known := l.usual()
	within := apart
	if known && !alike {
		within = aside
	}
	distance := func(b *action) time.Duration { return (b.at.Sub(a.at) - usual).Abs() }
	for _, b := range list {
		if !b.told && distance(b) <= within && a.same(b) == alike && (best == nil || distance(b) < distance(best)) {
			best = b
		}
	}
	return best
}

// alert says what two taps saw. names are what people call the sensors.
func alert(tap string, names map[string]string, a, b *action) *rules.Alert {
	id := own.ID(Rule, a.sensor, a.ID, b.sensor, b.ID)
	one, other := names[a.sensor], names[b.sensor]
	first, last := a.at.UTC(), b.at.UTC()
	if last.Before(first) {
		first, last = last, first
	}
	client, server := host(a.Client), host(a.Server)
	code := a.Code
	out := &rules.Alert{ID: id, Incident: id, Rule: Rule, Severity: rules.Critical, Techniques: []string{"T0831"}, First: first, Last: last, Count: 1,
		Client: client, Server: server, Station: a.Station, Proto: a.Proto, Code: &code, Name: a.Name, Points: a.Points,
		Learned: fmt.Sprintf("%s: %s", one, a.what()), Observed: fmt.Sprintf("%s: %s; ledger records %s and %s", other, b.what(), a.ID, b.ID),
		Score: rules.Score{Impact: 1, Novelty: 1, Confidence: 0.9}}
	if len(out.Points) == 0 && a.Point != nil {
		out.Points = []rules.Point{*a.Point}
	}
	station := ""
	if a.Station != nil {
		station = fmt.Sprintf(" station %d", *a.Station)
	}
	out.Title = fmt.Sprintf("%s sent %s%s at %s: on the path %s sensor %s saw %s, and sensor %s saw %s in the same session; somebody between the two taps changes commands",
		client, server, station, first.Format("2006-01-02 15:04:05"), tap, one, a.what(), other, b.what())
	return out
}

func host(endpoint string) string {
	if a, err := netip.ParseAddrPort(endpoint); err == nil {
		return a.Addr().String()
	}
	return endpoint
}

// keep stores alerts in a stream of the collector's own, one batch each, named by the alert: what is stored twice is the
// same. It says how many are new.
func (c *Comparer) keep(ctx context.Context, alerts []*rules.Alert, now time.Time) (fresh int, err error) {
	for _, a := range alerts {
		isNew, err := own.Keep(ctx, c.Store, c.Scope, a, now)
		if err != nil {
			return fresh, err
		}
		if isNew {
			fresh++
			c.Log.Warn("two taps saw different commands", "alert", a.ID, "client", a.Client, "server", a.Server)
		}
	}
	return fresh, nil
}
