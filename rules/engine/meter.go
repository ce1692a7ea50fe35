package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/roje-ot/roje/rules"
)

// A Budget is how many incidents may begin in a day, UTC, in packet time. People look at a few a day and no more: once as
// many have begun, further ones of low severity and less are gathered into one, the digest of the day. What is of medium
// severity and more begins an incident all the same.
type Budget struct {
	Day  int // incidents in a day; 0: 10
	Host int // and of them for one host; 0: 3
}

const (
	dayBudget     = 10
	hostDayBudget = 3
	day           = 24 * 3600 * 1e9
	maxMetered    = 1024 // rules that are told apart
)

// complete fills in what is not set.
func (b Budget) complete() Budget {
	return Budget{cmp.Or(b.Day, dayBudget), cmp.Or(b.Host, hostDayBudget)}
}

// A Day is how many incidents began in a day.
type Day struct {
	Begin     time.Time // midnight, UTC
	Incidents int
	Budget    int
	Gathered  int    // alerts that are in the digest
	Digest    string // its incident; empty while there is none
	Noisy     []Noisy
}

// A Noisy is a rule, or whatever else raises alerts, and how many incidents of a day began with it.
type Noisy struct {
	Rule      string
	Incidents int
}

// maxNoisy is how many of them are named.
const maxNoisy = 3

// A meter counts the incidents of a day.
type meter struct {
	budget    Budget
	number    int64 // of the day since 1970
	incidents int
	gathered  int
	digest    string
	hosts     map[netip.Addr]int
	rules     map[string]int
	before    int // incidents of the day before
	known     bool
	all       Totals
}

// Totals are counted since the engine was made.
type Totals struct{ Incidents, Gathered uint64 }

func newMeter(b Budget) meter {
	return meter{budget: b, hosts: map[netip.Addr]int{}, rules: map[string]int{}}
}

// turn begins a new day where at is one. A little time that runs back is of the day that is; far back it is another story.
func (m *meter) turn(at int64) {
	number := at / day
	if at < 0 || number == m.number || number == m.number-1 {
		return
	}
	next := newMeter(m.budget)
	next.number, next.all = number, m.all
	if number == m.number+1 {
		next.before, next.known = m.incidents, true
	}
	*m = next
}

// over says whether the budget of the day, or of one of these hosts, is used up.
func (m *meter) over(hosts []netip.Addr) bool {
	return m.incidents >= m.budget.Day || slices.ContainsFunc(hosts, func(h netip.Addr) bool { return m.hosts[h] >= m.budget.Host })
}

// gathers says whether a would begin an incident that the day has no room for, and puts it into the digest if so.
func (m *meter) gathers(a *rules.Alert, at int64, hosts []netip.Addr) bool {
	if m.turn(at); a.Severity > rules.Low || !m.over(hosts) {
		return false
	}
	if m.digest == "" {
		m.digest = "d" + a.ID
		m.begin(a, nil)
	}
	m.gathered++
	m.all.Gathered++
	return true
}

// begin counts an incident that begins with a between these hosts.
func (m *meter) begin(a *rules.Alert, hosts []netip.Addr) {
	m.incidents++
	m.all.Incidents++
	if len(m.rules) < maxMetered || m.rules[a.Rule] > 0 {
		m.rules[a.Rule]++
	}
	for i, h := range hosts {
		if !h.IsValid() || slices.Contains(hosts[:i], h) {
			continue
		}
		if len(m.hosts) < maxBuckets || m.hosts[h] > 0 {
			m.hosts[h]++
		}
	}
}

// Today returns how many incidents have begun on the day that it is, and on the day before; known says whether any began then.
func (g *Engine) Today() (today Day, before int, known bool) {
	m := &g.cases.meter
	if g.ticked > 0 {
		m.turn(g.ticked)
	}
	today = Day{Begin: time.Unix(0, m.number*day).UTC(), Incidents: m.incidents, Budget: m.budget.Day, Gathered: m.gathered, Digest: m.digest}
	for rule, n := range m.rules {
		today.Noisy = append(today.Noisy, Noisy{rule, n})
	}
	slices.SortFunc(today.Noisy, func(a, b Noisy) int {
		return cmp.Or(b.Incidents-a.Incidents, cmp.Compare(a.Rule, b.Rule))
	})
	today.Noisy = today.Noisy[:min(len(today.Noisy), maxNoisy)]
	return today, m.before, m.known
}

// Totals returns how many incidents have begun, and how many alerts are in digests.
func (g *Engine) Totals() Totals { return g.cases.meter.all }
