package baseline

import (
	"math"
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// learn takes a message into the baseline. Faulty ones teach nothing.
func (b *Baseline) learn(e *rules.Event, c *context, key opKey) *context {
	m := e.Msg
	if m.Faults != 0 {
		return c
	}
	if c.link == nil {
		if !b.makeLink(e) {
			return c
		}
		c = b.context(e)
	}
	sub := int64(-1)
	if key.flags&hasSub != 0 {
		sub = int64(key.sub)
	}
	why := hold(e, sub)
	l := c.link
	o, station := c.op(key)
	if o == nil {
		o = b.makeOp(l, key, m)
	}
	if o != nil {
		o.see(e.At, why)
	}
	if why != "" {
		return c
	}
	l.see(e.At, "")
	l.client.see(e.At, "")
	l.server.see(e.At, "")
	l.client.client, l.server.server = true, true
	if m.HasStation {
		b.learnStation(l, station, m.Station, e.At)
	}
	if answered(e) {
		l.learnDelay(m.RTT, e.At)
	}
	if changes(m.From, m.Op) {
		l.commanded(e.At)
		b.learnTargets(l.server, e)
	} else if m.From == protocols.Server && m.Status == 0 {
		b.learnPoints(c, e)
	}
	return c
}

// makeLink makes the link of e and its hosts; false if there is no room.
func (b *Baseline) makeLink(e *rules.Event) bool {
	client, server := b.host(e.Flow.Client.Addr(), e.At), b.host(e.Flow.Server.Addr(), e.At)
	if client == nil || server == nil {
		return false
	}
	if len(b.links) >= maxLinks && !b.dropLinks() {
		b.Overflow.Links++
		return false
	}
	key := b.linkKey(client, server, e)
	b.links[key] = &link{client: client, server: server, proto: e.Msg.Proto.Name, port: key.port, stations: map[uint32]*mark{}, ops: map[opKey]*op{}}
	b.forget()
	return true
}

func (b *Baseline) makeOp(l *link, key opKey, m *protocols.Message) *op {
	if len(l.ops) >= maxOps*max(len(l.stations), 1) {
		b.Overflow.Ops++
		return nil
	}
	o := &op{name: m.Name, op: m.Op}
	l.ops[key] = o
	return o
}

// learnStation takes a sighting of a station; s is what was learned of it.
func (b *Baseline) learnStation(l *link, s *mark, station uint32, at int64) {
	if s == nil {
		s = l.stations[station] // s may be older than the station
	}
	if s == nil {
		if len(l.stations) >= maxStations {
			b.Overflow.Stations++
			return
		}
		s = &mark{}
		l.stations[station] = s
	}
	s.see(at, "")
}

// learnTargets learns the points that a command or a write names, and how many are commanded together.
func (b *Baseline) learnTargets(server *host, e *rules.Event) {
	for i := range e.Msg.Points {
		p := &e.Msg.Points[i]
		key := targetKey{server.number, e.Msg.Station, p.Addr, p.Kind}
		t := b.targets[key]
		if t == nil {
			if len(b.targets) >= maxTargets {
				b.Overflow.Targets++
				return
			}
			t = &target{server: server}
			b.targets[key] = t
		}
		t.see(e.At, "")
		if p.Has&protocols.HasValue != 0 && math.Abs(p.Value) <= math.MaxFloat64 {
			t.learn(p.Value, e.At, p.Kind == protocols.AnalogOut)
		}
		server.command(key, e.At, server.approved() && t.approved())
	}
}

const (
	togetherWindow = 60e9 // ns of packet time
	maxTogether    = 64   // points that are told apart
)

// command counts how many different points are commanded within the window. Where all is approved, that teaches nothing:
// more at once than was approved would be so without a word.
func (h *host) command(key targetKey, at int64, approved bool) {
	kept := h.recent[:0]
	for _, c := range h.recent {
		if c.target != key && at-c.at < togetherWindow {
			kept = append(kept, c)
		}
	}
	if len(kept) < maxTogether {
		kept = append(kept, commanded{key, at})
	}
	h.recent = kept
	if !approved {
		h.together = max(h.together, len(kept))
	}
}

// runs calls f with each run of consecutive addresses of one kind.
func runs(points []protocols.Point, f func(kind protocols.Kind, lo, hi uint32)) {
	for i := 0; i < len(points); {
		p := &points[i]
		lo, hi := p.Addr, p.Addr+max(p.N, 1)-1
		for i++; i < len(points) && points[i].Kind == p.Kind && points[i].Addr == hi+1; i++ {
			hi += max(points[i].N, 1)
		}
		if hi >= lo {
			f(p.Kind, lo, hi)
		}
	}
}

// learnPoints learns the points that a station shows.
func (b *Baseline) learnPoints(c *context, e *rules.Event) {
	runs(e.Msg.Points, func(kind protocols.Kind, lo, hi uint32) {
		key := spanKey{c.server.number, e.Msg.Station, kind}
		s := b.span(c, key)
		if s == nil {
			if len(b.spans) >= maxSpanSets {
				b.Overflow.Points++
				return
			}
			s = &spans{server: c.server}
			b.spans[key], c.spans = s, s
		}
		if s.approved.has(lo, hi) {
			s.see(e.At, "")
			return
		}
		s.pending.add(lo, hi)
		b.run(s, lo, hi, e.At)
		s.fresh.see(e.At, "")
	})
}

// host returns the host of addr, made if need be; nil if there is no room.
func (b *Baseline) host(addr netip.Addr, at int64) *host {
	if h := b.hosts[addr]; h != nil {
		return h
	}
	if !addr.IsValid() || len(b.hosts) >= maxHosts && !b.dropHosts() {
		b.Overflow.Hosts++
		return nil
	}
	b.numbers++
	h := &host{addr: addr, number: b.numbers}
	h.first, h.last = at, at
	b.hosts[addr] = h
	b.forget()
	return h
}
