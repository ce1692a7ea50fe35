package baseline

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

const day = 24 * 3600 * 1e9

// figures fills in what was learned of the two ends.
func (b *Baseline) figures(e *rules.Event, c *context) {
	f := &e.Facts
	if c.client != nil {
		f.ClientCommand = c.client.commands
	}
	if s := c.server; s != nil && s.approved() {
		f.Masters, f.Writers, f.CommandPoints = s.masters, s.writers, s.together
		f.Days = float64(s.last-s.first) / day
	}
	if l := c.link; l != nil && l.approved() {
		f.LinkWrites = l.writes
		f.Days = float64(l.last-l.first) / day
	}
}

// compare says what of a message is new. station is what was learned of its station.
func (b *Baseline) compare(e *rules.Event, c *context, station *mark) {
	m, novel := e.Msg, rules.Novel(0)
	if c.client == nil || !c.client.approved() {
		novel |= rules.NewDevice
	}
	if c.server == nil || !c.server.approved() {
		novel |= rules.NewDevice
	}
	if c.client == nil || !c.client.isClient {
		novel |= rules.NewClient
	}
	if c.server == nil || !c.server.isServer {
		novel |= rules.NewServer
	}
	l := c.link
	if l == nil || !l.approved() {
		novel |= rules.NewLink
	}
	if m.HasStation && (station == nil || !station.approved()) {
		novel |= rules.NewStation
	}
	if !e.Facts.Approved {
		novel |= rules.NewOp
	}
	if l != nil && answered(e) {
		l.compareDelay(m.RTT, e.At, &e.Facts)
	}
	if changes(m.From, m.Op) {
		if l != nil && l.approved() && l.unusualHour(e.At) {
			novel |= rules.NewHour
		}
		if l == nil || !l.approved() || !l.writes {
			novel |= rules.NewWriter
		}
		novel |= b.compareTargets(e, c.server)
	} else if c.server != nil && m.Op != protocols.Write && m.Op != protocols.Operate {
		novel |= b.comparePoints(e, c)
	}
	e.Facts.Novel = novel
}

// compareTargets looks at the points that a command names. The learned range in Facts is that of the first point.
func (b *Baseline) compareTargets(e *rules.Event, server *host) (novel rules.Novel) {
	for i := range e.Msg.Points {
		p := &e.Msg.Points[i]
		var t *target
		if server != nil {
			t = b.targets[targetKey{server.number, e.Msg.Station, p.Addr, p.Kind}]
		}
		if t == nil || !t.approved() {
			novel |= rules.NewTarget
			continue
		}
		t.touch(e.At)
		if i == 0 {
			e.Facts.Low, e.Facts.High, e.Facts.Ranged = t.low, t.high, t.ranged
		}
		if p.Kind == protocols.AnalogOut && p.Has&protocols.HasValue != 0 && t.outside(p.Value) {
			novel |= rules.NewValue
		}
	}
	return novel
}

// comparePoints looks at the points that a station shows or is asked for. A station of which nothing was learned by kind
// has no new points.
func (b *Baseline) comparePoints(e *rules.Event, c *context) (novel rules.Novel) {
	if e.Msg.Status != 0 {
		return 0
	}
	station, number := e.Msg.Station, c.server.number
	runs(e.Msg.Points, func(kind protocols.Kind, lo, hi uint32) {
		s := b.span(c, spanKey{number, station, kind})
		switch {
		case s == nil || len(s.approved) == 0:
		case s.approved.has(lo, hi):
			s.touch(e.At)
		default:
			novel |= rules.NewPoint
		}
	})
	return novel
}

// arp learns or compares which link-layer address an IP address has.
func (b *Baseline) arp(e *rules.Event) {
	addr, mac := e.Flow.Client.Addr(), e.Flow.ClientMAC
	if h := b.hosts[addr]; h != nil {
		e.Facts.ClientServes, e.Facts.ClientAsks = h.answers, h.asks
	}
	if b.phase == rules.Off || !addr.IsValid() || addr.IsUnspecified() || mac == (rules.MAC{}) {
		return
	}
	h := b.hosts[addr]
	switch b.phase {
	case rules.Learn:
		if b.paused(e) {
			return
		}
		if h == nil {
			if h = b.host(addr, e.At); h == nil {
				return
			}
		}
		h.see(e.At, "")
		if !h.binds(mac) && len(h.macs) < maxMACs && !(h.approved() && len(h.macs) > 0) { // another one than was approved is not learned
			h.macs = append(h.macs, mac)
		}
	case rules.Enforce:
		switch {
		case !b.knows:
		case h == nil || !h.approved():
			e.Facts.Novel |= rules.NewDevice
		case len(h.macs) > 0 && !h.binds(mac):
			e.Facts.Novel |= rules.NewBinding
		}
	}
}

// connection compares who opens connections. Attempts teach nothing: anybody can send one.
func (b *Baseline) connection(e *rules.Event) {
	client, server := b.hosts[e.Flow.Client.Addr()], b.hosts[e.Flow.Server.Addr()]
	e.Facts.ClientServes = client != nil && client.answers
	e.Facts.ServerServes = server != nil && server.answers
	e.Facts.ClientAsks = client != nil && client.asks
	if b.phase != rules.Enforce || !b.knows {
		return
	}
	if client == nil || !client.approved() {
		e.Facts.Novel |= rules.NewDevice
	}
	if client == nil || !client.isClient {
		e.Facts.Novel |= rules.NewClient
	}
	if server == nil || !server.isServer {
		e.Facts.Novel |= rules.NewServer
	}
}
