package engine

import (
	"net/netip"

	"github.com/roje-ot/roje/rules"
)

func (c *codec) state(s *state) {
	c.recent(&s.lru, s.Keys, func(i int32) {
		if c.read {
			s.cells = append(s.cells, cellState{})
			s.lru.push(i)
		}
		x := &s.cells[i]
		c.cell(x, s.Cap)
		if c.read {
			s.index[x.key] = i
		}
	})
}

func (c *codec) cell(x *cellState, most int) {
	c.hash(&x.key)
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
	c.recent(&w.lru, w.Keys, func(i int32) {
		if c.read {
			w.cells = append(w.cells, waiting{})
			w.lru.push(i)
		}
		x := &w.cells[i]
		c.waiting(x)
		if c.read {
			w.index[x.key] = i
		}
		if w.Alive != nil && (x.parent < 0 || int(x.parent) >= len(w.alive)) {
			c.fail()
		}
	})
}

func (c *codec) waiting(x *waiting) {
	c.hash(&x.key)
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
	c.recent(&f.lru, maxFindings, func(i int32) {
		if c.read {
			f.table = append(f.table, finding{})
			f.lru.push(i)
		}
		x := &f.table[i]
		if c.finding(x, m); c.read && x.open {
			f.index[x.key] = i
		} else if c.read {
			f.free = append(f.free, i)
		}
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
	c.recent(&f.lru, maxFans, func(i int32) {
		if c.read {
			f.table = append(f.table, fanCell{})
			f.lru.push(i)
		}
		x := &f.table[i]
		number(c, &x.key.rule)
		c.addr(&x.key.host)
		c.bool(&x.key.in)
		slice(c, &x.hosts, fanNamed, func(h *fanHost) { c.addr(&h.addr); number(c, &h.at) })
		if number(c, &x.last); c.read {
			f.index[x.key] = i
		}
	})
}

func (c *codec) cases(e *cases) {
	c.recent(&e.lru, maxCases, func(i int32) {
		if c.read {
			e.table = append(e.table, caseCell{})
			e.lru.push(i)
		}
		x := &e.table[i]
		if c.incident(x); c.read {
			e.index[x.host] = i
		}
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

func (c *codec) incident(x *caseCell) {
	c.addr(&x.host)
	c.text(&x.incident)
	number(c, &x.opened)
	number(c, &x.last)
}

func (c *codec) bucket(b *bucket) {
	c.float(&b.left)
	number(c, &b.at)
	c.incident(&b.storm)
	c.bool(&b.open)
}
