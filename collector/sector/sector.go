package sector

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

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
	readers  = 8   // operators that are read at a time
)

// A Source is an operator that may be compared, if it consents. Any goroutine may use it.
type Source interface {
	Name() string
	// Read reads what the operator lets a CERT compare, back to since.
	Read(ctx context.Context, cert string, since time.Time) (Report, error)
	// Tell tells the operator that its part of a campaign was compared.
	Tell(ctx context.Context, cert string, n Notice, now time.Time) error
}

// A Report is what an operator lets a CERT compare. It is what travels from an operator's collector to a CERT's too: fields are
// added, never changed.
type Report struct {
	Operator string `json:"operator"`
	State    string `json:"state"`         // released, acts, none
	Cut      bool   `json:"cut,omitempty"` // there are more runs
	Runs     []Run  `json:"runs"`
}

// A Run is alerts of one act at one operator, of which each came within an hour of another one.
type Run struct {
	Rule      string         `json:"rule"`
	Technique string         `json:"technique,omitempty"`
	Severity  rules.Severity `json:"severity"` // of the worst
	First     time.Time      `json:"first"`    // when the first of them began, and the last
	Last      time.Time      `json:"last"`
	Sites     int            `json:"sites"`
	Alerts    int            `json:"alerts"`
	Released  bool           `json:"released,omitempty"` // one of them was, to the CERT
}

// A Notice is what an operator is told of a campaign that it is in. It travels too.
type Notice struct {
	Rule      string    `json:"rule"`
	Technique string    `json:"technique,omitempty"`
	First     time.Time `json:"first"` // of the operator's own part
	Last      time.Time `json:"last"`
	Others    int       `json:"others"` // operators
}

// A Finder finds campaigns of the sector. Any goroutine may use it.
type Finder struct {
	CERT      string // the name by which operators consent: that of the CERT's own operator
	Operators []Source
	AtLeast   int
	Logger    *slog.Logger

	mu     sync.Mutex
	unread map[int]bool // operators that could not be read the last time, by place
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

func (r *Run) act() act { return act{r.Rule, r.Technique} }

// A placed run is one of a list of operators, or of alerts, by place.
type placed struct {
	Run
	of int
}

// Look reads every operator that consents and says what they have together. An operator that cannot be read is said to be;
// an error is that ctx has ended.
func (f *Finder) Look(ctx context.Context, now time.Time) (Picture, error) {
	p := Picture{Campaigns: []Concurrence{}, Operators: []Standing{}}
	lines := map[act][]placed{}
	reports, errs := make([]Report, len(f.Operators)), make([]error, len(f.Operators))
	var group errgroup.Group
	group.SetLimit(readers)
	for i, o := range f.Operators {
		group.Go(func() error {
			reports[i], errs[i] = o.Read(ctx, f.CERT, now.Add(-Window))
			return nil
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return Picture{}, ctx.Err()
	}
	for i, r := range reports {
		f.note(i, errs[i])
		if errs[i] != nil {
			r = Report{State: Unread}
		}
		p.Operators = append(p.Operators, Standing{f.Operators[i].Name(), r.State, r.Cut})
		for _, one := range r.Runs {
			lines[one.act()] = append(lines[one.act()], placed{one, i})
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

// note says in the log that an operator cannot be read, or can be again, once.
func (f *Finder) note(i int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch was := f.unread[i]; {
	case err != nil && !was:
		if f.unread == nil {
			f.unread = map[int]bool{}
		}
		f.unread[i] = true
		f.Logger.Error("an operator is not compared", "operator", f.Operators[i].Name(), "err", err)
	case err == nil && was:
		delete(f.unread, i)
		f.Logger.Info("an operator is compared again", "operator", f.Operators[i].Name())
	}
}

// chains puts runs together that lie within an hour of each other.
func chains(runs []placed) (all [][]placed) {
	slices.SortStableFunc(runs, func(a, b placed) int { return a.First.Compare(b.First) })
	var last time.Time
	for _, r := range runs {
		if n := len(all); n > 0 && !r.First.After(last.Add(within)) {
			all[n-1] = append(all[n-1], r)
		} else {
			all, last = append(all, []placed{r}), r.Last
		}
		if r.Last.After(last) {
			last = r.Last
		}
	}
	return all
}

// campaign is what a chain is if enough operators are in it.
func (f *Finder) campaign(k act, chain []placed) (c Concurrence, ok bool) {
	c = Concurrence{Rule: k.rule, Technique: k.technique, First: chain[0].First, Last: chain[0].Last}
	for _, r := range chain {
		i := slices.Index(c.of, r.of)
		if i < 0 {
			i, c.of = len(c.of), append(c.of, r.of)
			c.Seen = append(c.Seen, Seen{First: r.First, Last: r.Last})
		}
		s := &c.Seen[i]
		if r.Released {
			s.Operator = f.Operators[r.of].Name()
		}
		if r.Last.After(s.Last) {
			s.Last = r.Last
		}
		if r.Last.After(c.Last) {
			c.Last = r.Last
		}
		c.Severity = max(c.Severity, r.Severity)
		c.Sites += max(0, r.Sites-s.Sites) // two runs of one operator may be of the same sites
		s.Sites, s.Alerts, c.Alerts = max(s.Sites, r.Sites), s.Alerts+r.Alerts, c.Alerts+r.Alerts
	}
	return c, len(c.Seen) >= max(f.AtLeast, Fewest)
}
