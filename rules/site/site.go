package site

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
)

// Overrides is what a site file says. It is not changed once read, save for the counters of its exceptions. A nil
// *Overrides overrides nothing.
type Overrides struct {
	Disabled   []Override
	Severities []Override
	Exceptions []*Exception
	Zones      []Zone // none: the site declares none
}

// A Zone is networks from which control protocols may be spoken, and who says so.
type Zone struct {
	Networks []netip.Prefix
	Override
}

// An Override is one change to one rule, and whose it is.
type Override struct {
	Rule     string
	Severity rules.Severity // of a change of severity
	Reason   string
	Author   string
	Line     int
}

// An Exception keeps a rule from firing where its condition holds, until its time is over.
type Exception struct {
	Override
	Where string    // the condition as it was written
	Until time.Time // the first moment at which it no longer applies, UTC

	cond       lang.Cond
	suppressed atomic.Uint64
}

// Suppressed is how often the rule would have fired without the exception. Any goroutine may ask.
func (x *Exception) Suppressed() uint64 { return x.suppressed.Load() }

// holds tells whether x keeps back what its rule found in env, and counts it.
func (x *Exception) holds(env *lang.Env) bool {
	if env.E.At >= x.Until.UnixNano() || !x.cond(env) {
		return false
	}
	x.suppressed.Add(1)
	return true
}

// Expired returns the exceptions whose time is over at now.
func (o *Overrides) Expired(now time.Time) []*Exception {
	var over []*Exception
	for _, x := range o.all() {
		if !x.Until.After(now) {
			over = append(over, x)
		}
	}
	return over
}

func (o *Overrides) all() []*Exception {
	if o == nil {
		return nil
	}
	return o.Exceptions
}

// Suppressed returns how often each rule with an exception was kept from firing.
func (o *Overrides) Suppressed() map[string]uint64 {
	by := map[string]uint64{}
	for _, x := range o.all() {
		by[x.Rule] += x.Suppressed()
	}
	return by
}

// Over returns what o and then local say: of a rule's severity, the word of local counts. Both are left as they are.
func (o *Overrides) Over(local *Overrides) *Overrides {
	switch {
	case o == nil:
		return local
	case local == nil:
		return o
	}
	return &Overrides{slices.Concat(o.Disabled, local.Disabled), slices.Concat(o.Severities, local.Severities), slices.Concat(o.Exceptions, local.Exceptions), slices.Concat(o.Zones, local.Zones)}
}

// Carry goes on counting where the same exceptions of old stood.
func (o *Overrides) Carry(old *Overrides) {
	for _, x := range o.all() {
		for _, y := range old.all() {
			if x.Rule == y.Rule && x.Where == y.Where {
				x.suppressed.Store(y.Suppressed())
			}
		}
	}
}

// Apply returns the rules as the site wants them; set is left as it is. Exceptions that have expired at now do not apply,
// nor do others once their time is over in packet time. A zero now goes by packet time alone.
func (o *Overrides) Apply(set []*lang.Rule, now time.Time) []*lang.Rule {
	if o == nil {
		return set
	}
	off, weigh, except := map[string]bool{}, map[string]rules.Severity{}, map[string][]*Exception{}
	for _, d := range o.Disabled {
		off[d.Rule] = true
	}
	for _, s := range o.Severities {
		weigh[s.Rule] = s.Severity
	}
	for _, x := range o.Exceptions {
		if now.IsZero() || x.Until.After(now) {
			except[x.Rule] = append(except[x.Rule], x)
		}
	}
	var networks []netip.Prefix
	for _, z := range o.Zones {
		networks = append(networks, z.Networks...)
	}
	var out []*lang.Rule
	for _, r := range set {
		if networks != nil && r.Need&lang.Outside != 0 {
			zoned := *r
			zoned.Zones, r = networks, &zoned
		}
		severity, weighed := weigh[r.ID]
		switch {
		case off[r.ID]:
			continue
		case weighed || except[r.ID] != nil:
			changed := *r
			if weighed {
				changed.Severity = severity
			}
			if list := except[r.ID]; list != nil {
				guard(&changed, list)
			}
			r = &changed
		}
		out = append(out, r)
	}
	return out
}

// guard puts list behind the last condition of r: it is asked of what the rule would fire on, and nothing else, so that
// the rule's state counts as before.
func guard(r *lang.Rule, list []*Exception) {
	last := &r.After
	if r.State == nil {
		last = &r.Before
	}
	fires := *last
	if fires == nil && r.State != nil && r.State.Sequence != nil {
		steps := int64(len(r.State.Sequence))
		fires = func(env *lang.Env) bool { return env.Step == steps }
	}
	*last = func(env *lang.Env) bool {
		if fires != nil && !fires(env) {
			return false
		}
		for _, x := range list {
			if x.holds(env) {
				return false
			}
		}
		return true
	}
}
