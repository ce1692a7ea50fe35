package modbus

import "github.com/roje-ot/roje/protocols"

// mostTurns bounds the requests that one connection is remembered to have made.
const mostTurns = 32

// An exchange is a request and what became of it.
type exchange struct {
	at     int64  // Unix nanoseconds of the request
	sum    uint32 // of the request's PDU
	answer uint32 // sum of the response's PDU
	tid    uint16
	addr   uint16
	count  uint16 // registers or coils that are read, or written if none are
	sub    uint16 // diagnostics, UMAS: sub-function; MEI: read code<<8 | object
	fc     byte
	unit   byte
	mei    byte
	stage  stage
	dir    protocols.Dir
	behind bool // bytes of the server were lost since: it may have been answered
	files  []fileRef
}

type stage uint8

const (
	waiting stage = iota
	givenUp       // asked again, or its transaction identifier used again, before an answer came
	answered
)

// turns pairs the requests of a connection with the responses: by transaction identifier, unit and function; and
// where a gateway gives back another identifier, in the order of the requests per unit and function.
type turns struct {
	all      []exchange // a ring once it is full
	next     int        // where the next one goes
	unitZero bool       // the server answers to unit 0: it is no broadcast here
	astray   bool       // a response has come back under another identifier than its request's
}

// ask makes room for a request. Its files keep their room; everything else is zero.
func (t *turns) ask() *exchange {
	if len(t.all) < mostTurns {
		t.all = append(t.all, exchange{})
		t.next = len(t.all) - 1
	}
	e := &t.all[t.next]
	t.next = (t.next + 1) % mostTurns
	*e = exchange{files: e.files[:0], stage: answered}
	return e
}

// supersede gives up the requests that e repeats or displaces.
func (t *turns) supersede(e *exchange) {
	for i := range t.all {
		o := &t.all[i]
		if o != e && o.stage == waiting && o.unit == e.unit && o.fc == e.fc && (o.tid == e.tid || o.sum == e.sum) {
			o.stage = givenUp
		}
	}
}

// back is the exchange made i requests before the last one.
func (t *turns) back(i int) *exchange {
	return &t.all[(t.next-1-i+2*mostTurns)%mostTurns]
}

// A reply is what pairing needs to know of a response.
type reply struct {
	tid       uint16
	unit, fc  byte
	exception bool
	sum       uint32
	pdu       []byte
}

// fits reports whether r answers e in content.
func (r *reply) fits(e *exchange) bool {
	answers := rows[r.fc].answers
	return r.exception || answers == nil || answers(r.pdu, e)
}

// match finds the exchange that r belongs to, and what that makes of r.
func (t *turns) match(r *reply) (*exchange, protocols.Turn) {
	var exact, late, copied, order, other *exchange
	for i := range t.all {
		e := t.back(i)
		if e.unit != r.unit || e.fc != r.fc {
			continue
		}
		same := e.tid == r.tid
		fits := r.fits(e)
		switch {
		case same && e.stage == waiting && fits:
			return e, protocols.Response
		case same && e.stage == waiting && exact == nil:
			exact = e
		case same && e.stage == givenUp && fits && late == nil:
			late = e
		case same && e.stage == answered && e.answer == r.sum && copied == nil:
			copied = e
		case same && e.stage == answered && other == nil:
			other = e
		case !same && e.stage == waiting && fits && !e.behind:
			order = e // the oldest at last
		}
	}
	switch {
	case late != nil:
		return late, protocols.Late
	case copied != nil:
		return copied, protocols.Duplicate
	case order != nil && (exact == nil || t.astray):
		t.astray = true
		return order, protocols.Response
	case exact != nil:
		return exact, protocols.Response
	case other != nil:
		return other, protocols.Duplicate
	}
	return nil, protocols.Unpaired
}

// echoed reports whether the end opposite to dir waits for an answer that is its own PDU, and this is it.
func (t *turns) echoed(dir protocols.Dir, tid uint16, unit byte, sum uint32) bool {
	for i := range t.all {
		if e := &t.all[i]; e.stage == waiting && e.dir != dir && e.tid == tid && e.unit == unit && e.sum == sum {
			return true
		}
	}
	return false
}

// lost says that requests may have been answered unseen, or answers belong to requests unseen.
func (t *turns) lost() {
	for i := range t.all {
		t.all[i].behind = true
	}
}

// sumOf is the FNV-1a hash of b.
func sumOf(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}
