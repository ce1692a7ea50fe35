package iec104

import (
	"bytes"

	"github.com/roje-ot/roje/protocols"
)

// A pending is a command, or a read, that the controlled station has not finished answering.
type pending struct {
	used     bool
	answered bool
	dir      protocols.Dir
	typ      uint8
	cause    uint8
	common   uint32
	object   uint32
	at       int64
	body     [12]byte // its elements without time tag, which the confirmation repeats
	size     uint8
}

const readType = 102

// find returns the newest pending for the key, or nil.
func (d *decoder) find(typ uint8, common, object uint32) *pending {
	for i := range d.pendings {
		p := &d.pendings[(int(d.nextPending)-1-i+2*len(d.pendings))%len(d.pendings)]
		if p.used && p.typ == typ && p.common == common && p.object == object {
			return p
		}
	}
	return nil
}

// pair finds what an ASDU belongs to. A command (cause 6 or 8) is answered by its confirmation (7, 9), then by its
// termination (10), or refused by a cause of 44 to 47; C_RD_NA_1 by data with cause 5. The key is type, common address
// and first object address. Elements are those of the first object.
func (d *decoder) pair(r *row, m *protocols.Message, at int64, elements []byte) {
	det := &d.det
	object := uint32(0)
	if len(m.Points) > 0 {
		object = m.Points[0].Addr
	}
	commands := r.class.control&only(activation, deactivation, request) != 0 && r.class != calls
	switch cause := det.cause; {
	case commands && (cause == activation || cause == deactivation || cause == request && r.id == readType):
		m.Turn = protocols.Request
		p := d.find(r.id, det.common, object)
		if p == nil {
			p = &d.pendings[d.nextPending]
			d.nextPending = (d.nextPending + 1) % uint8(len(d.pendings))
		}
		*p = pending{used: true, dir: m.Dir, typ: r.id, cause: cause, common: det.common, object: object, at: at}
		p.size = uint8(copy(p.body[:], elements))
	case commands && (cause == activationCon || cause == deactivCon || cause == activationTerm || unknowns.has(cause)):
		d.answer(d.find(r.id, det.common, object), r, m, at, elements)
	case cause == request && (r.class == process || r.class == totals):
		m.Turn = protocols.Unpaired
		if p := d.find(readType, det.common, object); p != nil {
			m.Turn, m.RTT = protocols.Response, at-p.at
			p.used = false
		}
	case cause >= 1 && cause <= 4 && r.class.control == 0:
		m.Turn = protocols.Unsolicited
	}
}

// answer relates a confirmation, a termination or a refusal to its command.
func (d *decoder) answer(p *pending, r *row, m *protocols.Message, at int64, elements []byte) {
	cause := d.det.cause
	confirms := cause != activationTerm
	same := p != nil && (r.class == clocks || bytes.Equal(elements[:min(len(elements), len(p.body))], p.body[:p.size]))
	switch {
	case p == nil || cause == activationCon && p.cause != activation || cause == deactivCon && p.cause != deactivation,
		p.answered && confirms && !same: // it answers another command, which was not seen
		m.Turn = protocols.Unpaired
		return
	case confirms && p.answered:
		m.Turn = protocols.Duplicate
	default:
		m.Turn, m.RTT = protocols.Response, at-p.at
	}
	if confirms && !same && !unknowns.has(cause) {
		m.Faults |= protocols.Mismatch
	}
	p.answered = p.answered || confirms
	if !confirms || d.det.pn || unknowns.has(cause) {
		p.used = false
	}
}

// pairU relates the confirmation of a U frame to its activation by the other end. A late TESTFR con breaks t1.
func (d *decoder) pairU(dir protocols.Dir, u uKind, m *protocols.Message, at int64) {
	which := u / 2
	if u%2 == 0 {
		m.Turn = protocols.Request
		d.ends[dir].asked[which] = at
		return
	}
	asked := &d.ends[dir.Other()].asked[which]
	if *asked == 0 {
		m.Turn = protocols.Unpaired
		return
	}
	m.Turn, m.RTT = protocols.Response, at-*asked
	*asked = 0
	m.Faults |= d.waited(m.RTT)
}
