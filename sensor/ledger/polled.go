package ledger

import (
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A written is a run of points that a Modbus write, or the answer to one, has named. It leaves out the unit: many devices
// take any.
type written struct {
	at       int64
	server   netip.AddrPort
	kind     protocols.Kind
	from, to uint32
}

// writes are the last of them, in a circle.
type writes struct {
	list []written
	next int // of the oldest, once it is full
}

const maxWrites = 4096

// note takes what e writes, or says to be written: that counts too where the request is lost.
func (w *writes) note(e *rules.Event) {
	points := controls(e.Msg)
	if len(points) == 0 {
		return
	}
	last := &points[len(points)-1] // a write is of one run
	one := written{e.At, e.Flow.Server, last.Kind, points[0].Addr, last.Addr + max(last.N, 1) - 1}
	if len(w.list) < maxWrites {
		w.list = append(w.list, one)
		return
	}
	w.list[w.next] = one
	w.next = (w.next + 1) % maxWrites
}

// explain says whether a write since a time has named a point, or may have and is forgotten.
func (w *writes) explain(server netip.AddrPort, kind protocols.Kind, addr uint32, since int64) bool {
	n := len(w.list)
	for i := range n {
		one := &w.list[(w.next+n-1-i)%n]
		if one.at < since {
			return false
		}
		if one.server == server && one.kind == kind && one.from <= addr && addr <= one.to {
			return true
		}
	}
	return n == maxWrites
}

// ownEffect notes that a read has given back what a wrote: the written points are their own indications.
func (l *Ledger) ownEffect(a *action) {
	for _, p := range a.points() {
		l.maps.note(a.place(p.Kind, p.Addr), indication{kindOf(p.Kind), p.Addr})
	}
}

// polled takes what a Modbus read gives back of the points that follow commands.
func (l *Ledger) polled(e *rules.Event) {
	points := controls(e.Msg)
	if l.maps.shows == 0 || len(points) == 0 {
		return
	}
	s := l.station(e)
	first := &points[0]
	for n, _ := s.place(indication{first.Kind, first.Addr}); n < len(s.shows); n++ {
		sh := s.shows[n]
		if sh.is.kind != first.Kind || sh.is.addr-first.Addr >= uint32(len(points)) {
			break
		}
		if p := &points[sh.is.addr-first.Addr]; p.Addr == sh.is.addr && p.Has&protocols.HasValue != 0 {
			l.read(e, p, sh)
		}
	}
}

// read takes a value of sh. It has changed since the last read, and no longer ago: only a write after that, or shortly
// before, explains it, and any loss since then may hide one.
func (l *Ledger) read(e *rules.Event, p *protocols.Point, sh *shown) {
	changed, before := sh.known && sh.value != p.Value, min(sh.read, e.At)
	sh.value, sh.known, sh.read = p.Value, true, e.At
	if !changed {
		return
	}
	if l.writes.explain(e.Flow.Server, kindOf(sh.command.kind), sh.command.addr, before-aftermath) || l.commanding(sh.command) {
		sh.followed++
		return
	}
	if e.Flow.Unseen || e.Flow.Transport == rules.UDP || l.lossAt != 0 && l.lossAt >= before-misgiving {
		return
	}
	l.alone(e, p, sh)
}
