package dnp3

import (
	"math/bits"

	"github.com/roje-ot/roje/protocols"
)

// A peer is one pair of master and outstation inside a connection; gateways carry many.
type peer struct {
	master, station uint16
	used            uint64 // d.tick of the last frame
	streams         [streams]stream
	asked           [16]ask    // requests by application sequence number
	open            uint16     // bit per element of asked that may be pending
	confirms        [3]confirm // fragments that asked for a CONFIRM, by who sent them
}

// Index of peer.confirms.
const (
	solicited = iota
	unsolicited
	fromMaster
)

// An ask is what became of the last request with one sequence number.
type ask struct {
	at    int64
	state askState
}

type askState uint8

const (
	never askState = iota
	pending
	answered
	givenUp // a later request was sent before the answer came
)

// A confirm is a fragment that asked for one.
type confirm struct {
	at   int64
	seq  uint8
	open bool
}

// peerOf returns the state of the pair, a new one if need be. The pointer is good until the next call.
func (d *decoder) peerOf(master, station uint16) *peer {
	d.tick++
	if d.recent < len(d.peers) {
		if p := &d.peers[d.recent]; p.master == master && p.station == station {
			p.used = d.tick
			return p
		}
	}
	oldest := 0
	for i := range d.peers {
		p := &d.peers[i]
		if p.master == master && p.station == station {
			d.recent, p.used = i, d.tick
			return p
		}
		if p.used < d.peers[oldest].used {
			oldest = i
		}
	}
	if len(d.peers) < maxPeers {
		d.peers = append(d.peers, peer{})
		oldest = len(d.peers) - 1
	} else {
		d.release(&d.peers[oldest], nil)
	}
	d.recent = oldest
	p := &d.peers[oldest]
	*p = peer{master: master, station: station, used: d.tick}
	return p
}

// pair sets Turn and RTT of m, the application fragment with header h, and remembers what later ones will need. Solicited and
// unsolicited fragments count their sequence numbers apart (IEEE 1815 4.2.2.3.5).
func (p *peer) pair(m *protocols.Message, fn *function, ctl uint8, at int64, broadcast bool) {
	seq := ctl & seqMask
	switch {
	case m.Code == fnConfirm:
		p.confirmed(m, ctl, at)
		return
	case m.Code == fnUnsolicited:
		m.Turn = protocols.Unsolicited
	case fn == nil:
		return
	case fn.answer:
		p.answer(m, ctl, at)
	case fn.silent || broadcast:
		m.Turn = protocols.Alone
	default:
		m.Turn = protocols.Request
		for ; p.open != 0; p.open &= p.open - 1 {
			if a := &p.asked[bits.TrailingZeros16(p.open)]; a.state == pending {
				a.state = givenUp
			}
		}
		p.ask(seq, at)
	}
	if ctl&appCon != 0 {
		p.confirms[confirmSpace(m.From, ctl)] = confirm{at: at, seq: seq, open: true}
	}
}

// answer pairs a response with its request.
func (p *peer) answer(m *protocols.Message, ctl uint8, at int64) {
	seq := ctl & seqMask
	a := &p.asked[seq]
	switch a.state {
	case never:
		m.Turn = protocols.Unpaired
		return
	case pending:
		m.Turn = protocols.Response
	case givenUp:
		m.Turn = protocols.Late
	case answered:
		m.Turn = protocols.Duplicate
		return
	}
	a.state = answered
	m.RTT = max(0, at-a.at)
	if ctl&appFin == 0 { // the next fragment has the next number and answers the same request
		p.ask((seq+1)&seqMask, a.at)
	}
}

// ask notes a request that waits for its answer.
func (p *peer) ask(seq uint8, at int64) {
	p.asked[seq] = ask{at: at, state: pending}
	p.open |= 1 << seq
}

// confirmed pairs a CONFIRM with the fragment that asked for it.
func (p *peer) confirmed(m *protocols.Message, ctl uint8, at int64) {
	c := &p.confirms[confirmSpace(1-m.From, ctl)]
	if !c.open || c.seq != ctl&seqMask {
		m.Turn = protocols.Unpaired
		return
	}
	c.open = false
	m.Turn = protocols.Response
	m.RTT = max(0, at-c.at)
}

// confirmSpace is the index in peer.confirms for a fragment that from sent.
func confirmSpace(from protocols.Side, ctl uint8) int {
	switch {
	case from == protocols.Client:
		return fromMaster
	case ctl&appUns != 0:
		return unsolicited
	}
	return solicited
}
