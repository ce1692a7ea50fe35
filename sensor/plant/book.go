package plant

import (
	"crypto/sha256"
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/protocols/dnp3"
	"github.com/roje-ot/roje/protocols/iec104"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/ledger"
)

// A Book is all points of all lists. A nil Book holds none. It is not changed once loaded, so any goroutine may read it.
type Book struct {
	Points []*Point            // in the order of the files
	Unread map[string][]string // by CSV file: headings of columns that nobody reads

	stations map[scope]*station
	sum      [sha256.Size]byte // of all that was read
}

// A scope is the stations that a row speaks of.
type scope struct {
	proto  *protocols.Protocol
	asset  netip.Addr // zero: any
	number uint32
	any    bool // whatever the number
}

// A spot is where a point of a station is.
type spot struct {
	kind   protocols.Kind
	double bool
	addr   uint32
}

// A station is what the lists say of one.
type station struct {
	points []*Point
	at     map[spot]*Point
	byAddr map[uint32]*Point // of 104, where an address is one object, whatever a list takes it for
	pairs  []pairing
}

type pairing struct{ command, indication *Point }

var (
	_ rules.Labels  = (*Book)(nil)
	_ ledger.Points = (*Book)(nil)
)

// Same says whether b and other were read from the same text under the same configuration.
func (b *Book) Same(other *Book) bool { return b != nil && other != nil && b.sum == other.sum }

// scopes are those that p's row speaks of.
func (p *Point) scopes() []scope {
	if len(p.Assets) == 0 {
		return []scope{{proto: p.Proto, number: p.Station, any: p.Any}}
	}
	all := make([]scope, len(p.Assets))
	for i, a := range p.Assets {
		all[i] = scope{p.Proto, a, p.Station, p.Any}
	}
	return all
}

// of are the stations of p.
func (b *Book) of(p *Point) (all []*station) {
	for _, s := range p.scopes() {
		if b.stations[s] == nil {
			b.stations[s] = &station{at: map[spot]*Point{}, byAddr: map[uint32]*Point{}}
		}
		all = append(all, b.stations[s])
	}
	return all
}

// put adds p to its stations; it returns a point that has its place already.
func (b *Book) put(p *Point) (twin *Point) {
	for _, s := range b.of(p) {
		s.points = append(s.points, p)
		for a := p.Addr; a < p.Addr+p.N; a++ {
			at := spot{p.Kind, p.Double, a}
			if s.at[at] != nil {
				twin = s.at[at]
				continue
			}
			s.at[at] = p
			if p.Proto == iec104.Protocol && s.byAddr[a] == nil {
				s.byAddr[a] = p
			}
		}
	}
	return twin
}

// other is the point of p's station that a row names by t: an indication, or with back a command.
func (b *Book) other(p *Point, t *target, back bool) *Point {
	kinds := []protocols.Kind{protocols.BinaryIn, protocols.AnalogIn, protocols.Counter}
	if back {
		kinds = []protocols.Kind{protocols.BinaryOut, protocols.AnalogOut}
	}
	if !back && p.Kind == protocols.AnalogOut || back && p.Kind == protocols.AnalogIn {
		kinds[0], kinds[1] = kinds[1], kinds[0]
	}
	for _, s := range b.of(p) {
		for _, k := range kinds {
			for _, double := range []bool{false, true} {
				if q := s.at[spot{k, double, t.addr}]; q != nil && (!t.known || t.kind == k) {
					return q
				}
			}
		}
	}
	return nil
}

// matching calls each with the stations that server and number are, the most exact first, until it says stop.
func (b *Book) matching(proto *protocols.Protocol, server netip.Addr, number uint32, each func(*station) (stop bool)) {
	if b == nil || len(b.stations) == 0 {
		return
	}
	server = server.Unmap()
	for _, s := range [...]scope{{proto, server, number, false}, {proto, server, 0, true}, {proto, netip.Addr{}, number, false}, {proto, netip.Addr{}, 0, true}} {
		if st := b.stations[s]; st != nil && each(st) {
			return
		}
	}
}

// Covers says whether any list speaks of a station.
func (b *Book) Covers(proto *protocols.Protocol, server netip.Addr, number uint32) (yes bool) {
	b.matching(proto, server, number, func(*station) bool { yes = true; return true })
	return yes
}

// Find returns the listed point that a place of a station is: exact says whether the list takes it for the same kind.
func (b *Book) find(proto *protocols.Protocol, server netip.Addr, number uint32, at spot) (p *Point, exact bool) {
	b.matching(proto, server, number, func(s *station) bool {
		p, exact = s.at[at], true
		return p != nil
	})
	if p == nil {
		b.matching(proto, server, number, func(s *station) bool {
			p, exact = s.byAddr[at.addr], false
			return p != nil
		})
	}
	return p, exact
}

// Label implements rules.Labels. It allocates nothing.
func (b *Book) Label(server netip.AddrPort, m *protocols.Message, p *protocols.Point) *rules.Label {
	if b == nil || len(b.Points) == 0 || m.Proto == nil {
		return nil
	}
	proto, ok := catalog.Named(m.Proto.Name) // a message that was stored has a protocol that stands in for it
	if !ok {
		return nil
	}
	q, _ := b.find(proto, server.Addr(), m.Station, spotOf(proto, p))
	if q == nil || uint64(p.Addr)+uint64(p.N) > uint64(q.Addr)+uint64(q.N) {
		return nil // a run that goes beyond the point has no one name
	}
	return &q.label
}

// spotOf is where a point of a message is.
func spotOf(proto *protocols.Protocol, p *protocols.Point) spot {
	group := p.Type >> 8
	return spot{p.Kind, proto == dnp3.Protocol && (group == 3 || group == 4), p.Addr}
}

// Mappings implements ledger.Points: which indication follows which command of a station.
func (b *Book) Mappings(proto *protocols.Protocol, server netip.AddrPort, number uint32) (all []ledger.Mapping) {
	b.matching(proto, server.Addr(), number, func(s *station) bool {
		for _, pair := range s.pairs {
			c, i := pair.command, pair.indication
			all = append(all, ledger.Mapping{
				Command:   protocols.Point{Kind: c.Kind, Addr: c.Addr, N: 1},
				Indicates: protocols.Point{Kind: i.Kind, Addr: i.Addr, N: 1},
				Reported:  proto == iec104.Protocol || i.Class != "" && i.Class != "none",
				Travel:    c.Travel,
			})
		}
		return false
	})
	return all
}

// Within calls each with the listed points of a kind that a station has among the addresses from to to, and what they are
// called: whatever its protocol, and whatever kind of binary input.
func (b *Book) Within(server netip.Addr, number uint32, kind protocols.Kind, from, to uint32, each func(from, to uint32, name string)) {
	for _, proto := range catalog.All {
		b.matching(proto, server, number, func(s *station) bool {
			if from == to { // as most ask
				for _, double := range []bool{false, true} {
					if p := s.at[spot{kind, double, from}]; p != nil {
						each(from, to, p.label.Text)
						return true
					}
				}
				return false
			}
			for _, p := range s.points {
				if last := p.Addr + p.N - 1; p.Kind == kind && p.Addr <= to && last >= from {
					each(max(from, p.Addr), min(to, last), p.label.Text)
				}
			}
			return false
		})
	}
}
