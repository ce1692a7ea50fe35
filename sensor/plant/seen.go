package plant

import (
	"net/netip"
	"slices"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/modbus"
	"github.com/roje-ot/roje/rules"
)

// Seen is which points went by, of which stations. The zero value has seen nothing; one goroutine uses it.
type Seen struct {
	Messages    uint64
	First, Last int64  // packet times of the messages
	Over        uint64 // points that found no room

	stations map[listener]map[spot]*sight
	n        int
}

// A listener is a station as it is seen.
type listener struct {
	proto  *protocols.Protocol
	server netip.Addr
	number uint32
}

// A sight is what was seen of a point.
type sight struct {
	reported, commanded uint64
	types               []uint16 // as Point.Type, at most maxTypes
	first, last         int64
	client              netip.Addr // that commanded it first
}

const (
	maxSeen  = 1 << 18 // points; a scan asks for many that do not exist
	maxTypes = 4
)

// Take notes the points of a message: those that a station shows, and those that a client writes or commands. Messages
// with a fault prove nothing.
func (s *Seen) Take(e *rules.Event) {
	m := e.Msg
	if e.What != rules.Message || m == nil || m.Proto == nil {
		return
	}
	s.Messages++
	if s.First == 0 || e.At < s.First {
		s.First = e.At
	}
	s.Last = max(s.Last, e.At)
	acts := m.Op == protocols.Operate || m.Op == protocols.Write
	if !m.HasStation || m.Faults != 0 || acts != (m.From == protocols.Client) || types[m.Proto] == nil || m.Proto == modbus.Protocol && m.Status != 0 {
		return
	}
	for i := range m.Points {
		p := &m.Points[i]
		if acts && p.Has&(protocols.HasValue|protocols.HasControl) == 0 || !acts && p.Has&protocols.HasStatus != 0 || p.Kind == protocols.OtherKind {
			continue // what function 23 of Modbus reads, and the echo of a DNP3 control
		}
		for n := range min(p.N, 1<<16) {
			s.note(e, p, p.Addr+n, acts)
		}
	}
}

func (s *Seen) note(e *rules.Event, p *protocols.Point, addr uint32, acts bool) {
	if s.stations == nil {
		s.stations = map[listener]map[spot]*sight{}
	}
	who := listener{e.Msg.Proto, e.Flow.Server.Addr().Unmap(), e.Msg.Station}
	at := spotOf(e.Msg.Proto, p)
	at.addr = addr
	v := s.stations[who][at]
	if v == nil {
		if s.n++; s.n > maxSeen {
			s.Over++
			return
		}
		if s.stations[who] == nil {
			s.stations[who] = map[spot]*sight{}
		}
		v = &sight{first: e.At}
		s.stations[who][at] = v
	}
	v.last = max(v.last, e.At)
	if !slices.Contains(v.types, p.Type) && len(v.types) < maxTypes {
		v.types = append(v.types, p.Type)
	}
	if !acts {
		v.reported++
		return
	}
	if v.commanded++; v.commanded == 1 {
		v.client = e.Flow.Client.Addr().Unmap()
	}
}
