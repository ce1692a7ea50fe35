package ledger

import (
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A Mapping says which indication of a station follows a command, as a point list has it.
type Mapping struct {
	Command, Indicates protocols.Point
	Reported           bool  // the station reports the indication when it changes, and not only where it is asked for
	Travel             int64 // nanoseconds until what is commanded has moved; 0 means Config.Effect
}

// Points is what point lists say of stations.
type Points interface {
	rules.Labels
	// Mappings returns what is known of one station.
	Mappings(proto *protocols.Protocol, server netip.AddrPort, station uint32) []Mapping
}

// Map says which indication of a station follows a command: what is imported is not learned any more, and that it does
// not follow is judged from the first command on whose state differs from that of the indication. proto is the protocol
// that the station speaks. Call it before the first event, or between two.
func (l *Ledger) Map(proto *protocols.Protocol, server netip.AddrPort, station uint32, list ...Mapping) {
	for _, w := range list {
		k := pointKey{key{proto: proto, server: server.Addr(), port: server.Port(), station: station}, w.Command.Kind.String(), w.Command.Addr}
		m := l.maps.at(k)
		if m == nil {
			return
		}
		l.maps.forget(m)
		*m = mapping{imported: true, travel: w.Travel}
		m.seen[0].indication, m.seen[0].count = indication{w.Indicates.Kind, w.Indicates.Addr}, learned
		l.maps.show(k, m)
		if m.shown != nil {
			m.shown.imported, m.shown.reported = true, w.Reported
		}
	}
}

// Use takes what point lists say from now on, in place of what others said; nil is none. The stations of the lists are
// found as they speak. Call it before the first event, or between two.
func (l *Ledger) Use(p Points) {
	l.points = p
	for _, s := range l.maps.stations {
		s.asked = false
	}
	for k, m := range l.maps.by {
		if m.imported {
			l.maps.forget(m)
			delete(l.maps.by, k)
		}
	}
}

// forget drops the reverse of m.
func (ms *mappings) forget(m *mapping) {
	if m.shown != nil {
		ms.drop(m.shown)
	}
}

// locate takes the mappings of the station of e, once.
func (l *Ledger) locate(e *rules.Event) {
	s := l.station(e)
	if s.asked {
		return
	}
	s.asked = true
	for _, m := range l.points.Mappings(e.Msg.Proto, s.server, e.Msg.Station) {
		if known := l.maps.by[pointKey{s.key, m.Command.Kind.String(), m.Command.Addr}]; known == nil || !known.imported {
			l.Map(e.Msg.Proto, s.server, e.Msg.Station, m)
		}
	}
}

// name says in the record of a what the point lists call its points; m is its first request.
func (l *Ledger) name(a *action, e *rules.Event) {
	points := a.points()
	rules.NamePoints(points, l.points, e.Flow.Server, e.Msg, controls(e.Msg))
	if len(points) > 0 {
		a.record.Point.Name = points[0].Name
	}
}

// stated takes values of imported indications that a station tells when it is asked: they are no effect of anything, but
// from then on it is known where the switch stands.
func (l *Ledger) stated(e *rules.Event, p *protocols.Point) {
	if s := l.shown(e, p); s != nil && s.imported {
		s.value, s.known, s.double = p.Value, true, double(e.Msg, p)
	}
}

// A state is where a switch stands.
type state uint8

const (
	between state = iota // in neither position, or in one that cannot be
	off
	on
)

// stateOf is the state of a value: 0 and 1, or of a double point 1 and 2.
func stateOf(v float64, double bool) state {
	if double {
		v--
	}
	switch v {
	case 0:
		return off
	case 1:
		return on
	}
	return between
}

// commanded is the state that a asks for.
func commanded(a *action) state {
	r := &a.record
	if r.Value == nil {
		return between
	}
	return stateOf(*r.Value, r.Proto == "iec104" && (r.Code == 46 || r.Code == 59))
}

// double says whether p, of m, is a double point: types 3, 4 and 31 of 104, groups 3 and 4 of DNP3.
func double(m *protocols.Message, p *protocols.Point) bool {
	if m.Proto.Name == "dnp3" {
		return p.Type>>8 == 3 || p.Type>>8 == 4
	}
	return p.Type == 3 || p.Type == 4 || p.Type == 31
}
