package iec104

import "github.com/roje-ot/roje/protocols"

// Sequence numbers count modulo 32768 (60870-5-104 clause 5.1).
const (
	seqMask   = 0x7fff
	defaultK  = 12              // clause 5.5: I frames that may wait for their acknowledgement
	defaultT1 = int64(15) * 1e9 // clause 5.2: how long they may wait, in nanoseconds
	remember  = 64              // send times kept
	farAhead  = 256             // more than any k in use lets wait
)

func sendNumber(b []byte) uint16    { return uint16(b[2])>>1 | uint16(b[3])<<7 }
func receiveNumber(b []byte) uint16 { return uint16(b[4])>>1 | uint16(b[5])<<7 }

// ahead is how far a is ahead of b, negative if it is behind.
func ahead(a, b uint16) int { return int(int16((a-b)<<1) >> 1) }

// An end is what is known of one end of the connection: where its stream stands and what it counted.
type end struct {
	synced bool // the next octet begins a frame
	deep   bool // octets were skipped since the stream began or was broken
	broken bool // octets were lost

	hasNS  bool
	lastNS uint16

	counts bool   // next is known
	next   uint16 // V(S): the number of the next I frame
	since  uint16 // first I frame after numbers became known
	lone   bool   // an I frame was out of sequence:
	stray  uint16 // the number behind it

	acks   bool   // ack is known
	ack    uint16 // the last N(R) that this end sent
	back   bool   // the last N(R) was not believed:
	backNR uint16 // this one

	sent [remember]int64 // when I frame number n arrived, at n % remember

	transfer transfer
	asked    [3]int64 // arrival of STARTDT, STOPDT and TESTFR act not yet confirmed, or 0
}

// lost forgets what cannot be relied on when octets of an end are missing.
func (e *end) lost() {
	*e = end{broken: true, hasNS: e.hasNS, lastNS: e.lastNS}
}

// sentI checks and counts an I frame of dir.
func (d *decoder) sentI(dir protocols.Dir, ns uint16, at int64) (f protocols.Faults) {
	e := &d.ends[dir]
	switch {
	case !e.counts:
		e.counts, e.since, e.next = true, ns, (ns+1)&seqMask
	case ns == e.next:
		e.next, e.lone = (ns+1)&seqMask, false
	case e.lone && ns == e.stray: // the sender goes on from there: that is where it stands
		e.next, e.since, e.lone = (ns+1)&seqMask, ns, false
	default:
		f |= protocols.BadSequence
		e.stray, e.lone = (ns+1)&seqMask, true
	}
	e.hasNS, e.lastNS = true, ns
	e.sent[ns%remember] = at
	return f
}

// acked checks and counts the N(R) that dir sends. The two directions reach the decoder at their own pace, since one
// may wait for a packet that is late: so frames are counted by when they arrived, and an N(R) that is ahead of what was
// seen is only a fault if no k in use explains it.
func (d *decoder) acked(dir protocols.Dir, nr uint16, at int64) (f protocols.Faults) {
	e, o := &d.ends[dir], &d.ends[dir.Other()]
	before, known := e.ack, e.acks
	switch {
	case known && ahead(nr, before) < 0 && !(e.back && ahead(nr, e.backNR) >= 0),
		o.counts && ahead(nr, o.next) > farAhead:
		e.back, e.backNR = true, nr // believed if the next one goes on from there
		return protocols.BadSequence
	}
	if e.back && known && ahead(nr, before) < 0 {
		known = false
	}
	e.acks, e.ack, e.back = true, nr, false
	if !known || !o.counts || ahead(before, o.since) < 0 || ahead(o.next, before) > remember {
		return 0
	}
	waiting := 0
	for n := before; ahead(o.next, n) > 0 && o.sent[n%remember] < at; n = (n + 1) & seqMask {
		waiting++
	}
	if waiting > d.k {
		d.k = max(waiting, 2*d.k) // say it once: the stations may have agreed on more
		d.det.unacked = uint32(waiting)
		f |= protocols.WindowExceeded
	}
	if waiting > 0 && nr != before {
		f |= d.waited(at - o.sent[before%remember])
	}
	return f
}

// waited checks the time that an acknowledgement or a confirmation took against t1.
func (d *decoder) waited(ns int64) protocols.Faults {
	if ns <= d.t1 {
		return 0
	}
	d.t1 = max(ns, 2*d.t1) // say it once, as above
	d.det.waited = ns
	return protocols.WindowExceeded
}

// A phase is how far data transfer is started (clause 5.3).
type phase uint8

const (
	unknownPhase phase = iota
	starting           // STARTDT act was seen, its con not yet
	started
	stopping // STOPDT act was seen
	stopped
)

// turned follows data transfer with a U frame of dir.
func (d *decoder) turned(dir protocols.Dir, u uKind) {
	switch u {
	case startAct:
		if d.phase == stopped || d.phase == unknownPhase && !d.sawI {
			d.phase, d.actor, d.replied = starting, dir, false
		}
	case startCon:
		d.phase = started
	case stopAct:
		d.phase, d.actor = stopping, dir
	case stopCon:
		d.phase = stopped
	}
}

// mayTransfer says whether dir may send an I frame now, as far as that is sure: the starter is only at fault once the
// other end has said something else than the confirmation.
func (d *decoder) mayTransfer(dir protocols.Dir) bool {
	switch d.phase {
	case starting:
		if dir != d.actor {
			d.replied = true
			return false
		}
		return !d.replied
	case stopping:
		return dir != d.actor
	case stopped:
		return false
	}
	return true
}
