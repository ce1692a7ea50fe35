package sector

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

const (
	// Window is how far back is looked.
	Window = 7 * 24 * time.Hour
	// Least is the severity below which an act counts for nothing: with many operators, lesser ones coincide every day.
	Least = rules.High
	// AtLeast is how many operators make a campaign, unless somebody says otherwise. One alone is never shown.
	AtLeast, Fewest = 3, 2
	// Most is how many operators are compared at most.
	Most = 64

	within   = time.Hour // between two alerts of a campaign, at most, as store.Usual has it
	runsMost = 10_000    // of one operator that are read, the latest
	runsPage = 1000
	shown    = 200 // campaigns of a picture
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

// An Operator is one that may be compared, if it consents.
type Operator struct {
	Scope store.Scope
	Store Store
}

// A Finder finds campaigns of the sector. Any goroutine may use it.
type Finder struct {
	CERT      string // the name by which operators consent: that of the CERT's own operator
	Operators []Operator
	AtLeast   int
	Logger    *slog.Logger
}

// A Picture is what a CERT sees of the sector now.
type Picture struct {
	Campaigns []Concurrence `json:"campaigns"` // the latest first
	Operators []Standing    `json:"operators"` // as they are configured
	Older     bool          `json:"older"`     // there are more campaigns than are told
}

// A Concurrence is a campaign of the sector: the same act at several operators, a chain of alerts of which each came within an hour of another one.
type Concurrence struct {
	Rule      string         `json:"rule"`
	Technique string         `json:"technique,omitempty"`
	Severity  rules.Severity `json:"severity"` // of the worst alert
	First     time.Time      `json:"first"`
	Last      time.Time      `json:"last"` // of the last alert's beginning
	Sites     int            `json:"sites"`
	Alerts    int            `json:"alerts"`
	Seen      []Seen         `json:"seen"` // by operator, who was first first

	of []int // the operators of Seen, by place in Finder.Operators
}

// A Seen is what one operator has of a campaign.
type Seen struct {
	Operator string    `json:"operator,omitempty"` // "" unless it has released an alert of it
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Sites    int       `json:"sites"` // at least
	Alerts   int       `json:"alerts"`
}

// The states of an operator beside what it consents to.
const (
	None   = "none"   // it has not consented, and nothing is read
	Unread = "unread" // it could not be read
)

// A Standing is how an operator takes part.
type Standing struct {
	Operator string `json:"operator"`
	State    string `json:"state"`         // released, acts, none, unread
	Cut      bool   `json:"cut,omitempty"` // it has more than is read: what is older is not compared
}

// act is what a campaign is of.
type act struct{ rule, technique string }

// A run is alerts of one act at one operator, of which each came within an hour of another one.
type run struct {
	act
	first, last   time.Time
	severity      rules.Severity
	sites, alerts int
	named         bool // an alert of it was released to the CERT
	of            int  // whose it is, by place in a list
}

// Look reads every operator that consents and says what they have together. An operator that cannot be read is said to be;
// an error is that ctx has ended.
func (f *Finder) Look(ctx context.Context, now time.Time) (Picture, error) {
	p := Picture{Campaigns: []Concurrence{}, Operators: []Standing{}}
	lines := map[act][]run{}
	for i, o := range f.Operators {
		standing, runs, err := o.read(ctx, f.CERT, now.Add(-Window))
		if ctx.Err() != nil {
			return Picture{}, ctx.Err()
		}
		if err != nil {
			f.Logger.Error("an operator is not compared", "operator", o.Scope.Operator(), "err", err)
			standing, runs = Standing{State: Unread}, nil
		}
		standing.Operator = o.Scope.Operator()
		p.Operators = append(p.Operators, standing)
		for _, r := range runs {
			r.of = i
			lines[r.act] = append(lines[r.act], r)
		}
	}
	for k, runs := range lines {
		for _, chain := range chains(runs) {
			if c, ok := f.campaign(k, chain); ok {
				p.Campaigns = append(p.Campaigns, c)
			}
		}
	}
	slices.SortFunc(p.Campaigns, func(a, b Concurrence) int {
		return cmp.Or(b.Last.Compare(a.Last), strings.Compare(a.Rule, b.Rule), strings.Compare(a.Technique, b.Technique))
	})
	if len(p.Campaigns) > shown {
		p.Campaigns, p.Older = p.Campaigns[:shown], true
	}
	return p, nil
}

// chains puts runs together that lie within an hour of each other.
func chains(runs []run) (all [][]run) {
	slices.SortStableFunc(runs, func(a, b run) int { return a.first.Compare(b.first) })
	var last time.Time
	for _, r := range runs {
		if n := len(all); n > 0 && !r.first.After(last.Add(within)) {
			all[n-1] = append(all[n-1], r)
		} else {
			all, last = append(all, []run{r}), r.last
		}
		if r.last.After(last) {
			last = r.last
		}
	}
	return all
}

// campaign is what a chain is if enough operators are in it.
func (f *Finder) campaign(k act, chain []run) (c Concurrence, ok bool) {
	c = Concurrence{Rule: k.rule, Technique: k.technique, First: chain[0].first, Last: chain[0].last}
	for _, r := range chain {
		i := slices.Index(c.of, r.of)
		if i < 0 {
			i, c.of = len(c.of), append(c.of, r.of)
			c.Seen = append(c.Seen, Seen{First: r.first, Last: r.last})
		}
		s := &c.Seen[i]
		if r.named {
			s.Operator = f.Operators[r.of].Scope.Operator()
		}
		if r.last.After(s.Last) {
			s.Last = r.last
		}
		if r.last.After(c.Last) {
			c.Last = r.last
		}
		c.Severity = max(c.Severity, r.severity)
		c.Sites += max(0, r.sites-s.Sites) // two runs of one operator may be of the same sites
		s.Sites, s.Alerts, c.Alerts = max(s.Sites, r.sites), s.Alerts+r.alerts, c.Alerts+r.alerts
	}
	return c, len(c.Seen) >= max(f.AtLeast, Fewest)
}
