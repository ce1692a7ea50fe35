package ledger

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A station is what is known of the indications of one station.
type station struct {
	key    key // whoever its master is
	server netip.AddrPort
	asked  bool     // the point lists were
	shows  []*shown // that are known to follow a command, ascending
	next   int      // the one that a report is expected to name next: most name them in order
}

// order is by kind and address.
func (i indication) order(j indication) int {
	return cmp.Or(cmp.Compare(i.kind, j.kind), cmp.Compare(i.addr, j.addr))
}

// find returns what is known of i, or nil.
func (s *station) find(i indication) *shown {
	if n := s.next; n < len(s.shows) && s.shows[n].is == i {
		s.next++
		return s.shows[n]
	}
	n, ok := s.place(i)
	s.next = n
	if !ok {
		return nil
	}
	s.next++
	return s.shows[n]
}

// place is where i is in shows, or would be.
func (s *station) place(i indication) (int, bool) {
	if n := s.next; n < len(s.shows) && s.shows[n].is.order(i) > 0 && (n == 0 || s.shows[n-1].is.order(i) < 0) {
		return n, false // between two of them
	}
	return slices.BinarySearchFunc(s.shows, i, func(sh *shown, i indication) int { return sh.is.order(i) })
}

// maxStations bounds the stations that are remembered without an indication that follows anything.
const maxStations = 1 << 16

// station returns that of k, which is for all clients; it is made if there is none.
func (ms *mappings) station(k key) *station {
	s := ms.stations[k]
	if s == nil {
		if len(ms.stations) >= maxStations {
			for k, s := range ms.stations {
				if len(s.shows) == 0 {
					delete(ms.stations, k)
				}
			}
			clear(ms.heard[:])
		}
		s = &station{key: k, server: netip.AddrPortFrom(k.server, k.port)}
		ms.stations[k] = s
	}
	return s
}

// put adds sh, unless its indication follows another command already.
func (ms *mappings) put(k key, sh *shown) bool {
	s := ms.station(k)
	n, taken := s.place(sh.is)
	if !taken {
		s.shows, s.next = slices.Insert(s.shows, n, sh), 0
		ms.shows++
	}
	return !taken
}

// drop takes sh out.
func (ms *mappings) drop(sh *shown) {
	s := ms.station(sh.command.key)
	if n, ok := s.place(sh.is); ok && s.shows[n] == sh {
		s.shows, s.next = slices.Delete(s.shows, n, n+1), 0
		ms.shows--
	}
}

// station returns that of e. Consecutive messages of a connection find it without a look-up.
func (l *Ledger) station(e *rules.Event) *station {
	m := e.Msg
	slot := &l.maps.heard[(e.Flow.Conn*7+uint64(m.Station))%uint64(len(l.maps.heard))]
	if s := *slot; s != nil && s.server == e.Flow.Server && s.key.station == m.Station && s.key.proto == m.Proto {
		return s
	}
	*slot = l.maps.station(keyOf(e).place())
	return *slot
}

// shown returns what is known of an indication that e reports: nil where it is no switch, has no value or follows nothing.
func (l *Ledger) shown(e *rules.Event, p *protocols.Point) *shown {
	if l.maps.shows == 0 || !digital(p.Kind) || p.Has&protocols.HasValue == 0 {
		return nil
	}
	s := l.station(e)
	if len(s.shows) == 0 {
		return nil
	}
	return s.find(indication{p.Kind, p.Addr})
}
