package engine

import (
	"net/netip"

	"github.com/roje-ot/roje/rules"
)

func (c *codec) state(s *state) {
	recent(c, &s.memory, s.Keys, func(_ int32, key *uint64, x *cellState) bool {
		c.hash(key)
		c.cell(x, s.Cap)
		return true
	})
}

func (c *codec) cell(x *cellState, most int) {
	for i := range x.slots {
		number(c, &x.slots[i])
	}
	number(c, &x.first)
	slice(c, &x.values, most, func(v *sighting) { c.hash(&v.value); number(c, &v.at) })
	if number(c, &x.step); x.step < 0 {
		c.fail()
	}
	number(c, &x.started)
	number(c, &x.prior)
	c.float(&x.last)
	c.bool(&x.hasPrior)
	c.bool(&x.hasLast)
	r := &x.rate
	for _, n := range [...]*int64{&r.number, &r.start, &r.count, &r.n, &r.known.Windows} {
		number(c, n)
	}
	for _, f := range [...]*float64{&r.mean, &r.square, &r.spread, &r.most, &r.excess, &r.known.Usual, &r.known.Spread, &r.known.Most, &r.known.Excess} {
		c.float(f)
	}
	c.bool(&r.part)
}

func (c *codec) watch(w *watch) {
	table(c, &w.hosts, w.Keys, func(key *uint64, n *int32) { c.hash(key); number(c, n) })
	slice(c, &w.alive, w.Keys+1, func(at *int64) { number(c, at) })
	for _, n := range w.hosts {
		if n < 0 || int(n) >= len(w.alive) {
			c.fail()
		}
	}
	number(c, &w.next)
	recent(c, &w.memory, w.Keys, func(_ int32, key *uint64, x *waiting) bool {
		c.hash(key)
		c.waiting(x)
		if w.Alive != nil && (x.parent < 0 || int(x.parent) >= len(w.alive)) {
			c.fail()
		}
		return true
	})
}

func (c *codec) waiting(x *waiting) {
	number(c, &x.parent)
	c.bool(&x.armed)
	for _, n := range [...]*int64{&x.due, &x.last, &x.longest, &x.first, &x.n} {
		number(c, n)
	}
	if c.read {
		e, rest, err := c.events.Read(c.b)
		if err != nil {
			c.fail()
			return
		}
		c.b = rest
		x.keep(e)
		return
	}
	e := x.event
	if e.Msg != nil { // cells move when their table grows
		m := x.msg
		m.Points = x.points[:len(m.Points)]
		e.Msg = &m
	}
	c.b = c.events.Append(c.b, &e)
}

// resume goes on at a packet time after a time in which nobody watched. What came regularly is expected from here on, as
// if it had just come; what was waited for after an event may have come unseen.
func (w *watch) resume(at int64) {
	clear(w.alive)
	w.next = never
	for i := range w.cells {
		x := &w.cells[i]
		switch {
		case !w.Silence:
			x.armed = false
		case x.armed:
			x.last, x.due = at, at+max(3*x.longest+slackPause, w.Window)
			w.next = min(w.next, x.due)
		case x.due != never: // else its silence was said, and it is still open
			x.last = 0
		}
	}
}

func (c *codec) fold(f *fold, m *Memory) {
	recent(c, &f.memory, maxFindings, func(i int32, key *uint64, x *finding) bool {
		if c.finding(x, m); c.read && !x.open {
			f.free = append(f.free, i)
		}
		*key = x.key
		return x.open
	})
	table(c, &f.flaps, maxFindings, func(key *uint64, x *flap) {
		c.hash(key)
		number(c, &x.since)
		number(c, &x.times)
	})
}

// finding goes through a finding; m is nil where it is written. One of a rule that is not there any more has no rule.
func (c *codec) finding(x *finding, m *Memory) {
	if c.bool(&x.open); !x.open {
		return
	}
	n := 0
	if x.rule != nil {
		n = x.rule.number
	}
	number(c, &n)
	if c.hash(&x.key); c.read {
		x.rule, x.alert = m.kept[n], &rules.Alert{}
	}
	c.json(x.alert)
	c.text(&x.sentence)
	number(c, &x.emitted)
	number(c, &x.first)
	number(c, &x.last)
	number(c, &x.count)
	frame := func(v *uint64) { number(c, v) }
	slice(c, &x.head, len(x.tail), frame)
	for i := range x.tail {
		frame(&x.tail[i])
	}
	if number(c, &x.tailN); x.tailN < 0 {
		c.fail()
	}
	c.bool(&x.flaps)
	fan := x.many != nil
	if c.bool(&fan); fan {
		table(c, &x.many, maxMany, func(a *netip.Addr, _ *struct{}) { c.addr(a) })
	}
}

func (c *codec) fan(f *fan) {
	recent(c, &f.memory, maxFans, func(_ int32, key *fanKey, x *fanCell) bool {
		number(c, &key.rule)
		c.addr(&key.host)
		c.bool(&key.in)
		slice(c, &x.hosts, fanNamed, func(h *fanHost) { c.addr(&h.addr); number(c, &h.at) })
		number(c, &x.last)
		return true
	})
}

func (c *codec) cases(e *cases) {
	recent(c, &e.memory, maxCases, func(_ int32, host *netip.Addr, x *caseCell) bool {
		c.incident(host, x)
		return true
	})
	table(c, &e.hosts, maxBuckets, func(a *netip.Addr, b **bucket) {
		if c.addr(a); c.read {
			*b = &bucket{}
		}
		c.bucket(*b)
	})
	c.bucket(&e.sensor)
	c.bucket(&e.grave)
	c.meter(&e.meter)
}

func (c *codec) meter(m *meter) {
	number(c, &m.number)
	number(c, &m.incidents)
	number(c, &m.gathered)
	c.text(&m.digest)
	table(c, &m.hosts, maxBuckets, func(a *netip.Addr, n *int) { c.addr(a); number(c, n) })
	table(c, &m.rules, maxMetered, func(rule *string, n *int) { c.text(rule); number(c, n) })
	number(c, &m.before)
	c.bool(&m.known)
}

func (c *codec) incident(host *netip.Addr, x *caseCell) {
	c.addr(host)
	c.text(&x.incident)
	number(c, &x.opened)
	number(c, &x.last)
}

func (c *codec) bucket(b *bucket) {
	c.float(&b.left)
	number(c, &b.at)
	var none netip.Addr
	c.incident(&none, &b.storm)
	c.bool(&b.open)
}
