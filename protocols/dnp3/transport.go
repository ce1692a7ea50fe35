package dnp3

import (
	"bytes"

	"github.com/roje-ot/roje/protocols"
)

// Bits of the transport octet, IEEE 1815 8.2.1.
const (
	segFin = 0x80
	segFir = 0x40
	segSeq = 0x3f
)

const (
	maxFragment = 1<<16 - 1   // application bytes in one fragment
	maxHeld     = 256 << 10   // bytes of unfinished fragments in one connection
	keepBuffer  = 4 << 10     // a longer buffer is given back once its fragment is done
	maxPeers    = 64          // pairs of master and outstation in one connection
	streams     = 2 * 2       // a pair's streams: end of the connection × DIR
	seqMask     = uint8(0x0f) // application sequence numbers
)

// A stream joins the segments that one station sends to another over one end of a connection.
type stream struct {
	buf    []byte // application bytes so far
	tail   int    // length of the last segment in buf
	seq    uint8  // of the last segment
	open   bool   // a fragment has begun
	known  bool   // the stream has been followed since a FIR: a segment out of place is a fault, not a late start
	fcbSet bool   // fcb means something
	fcb    bool   // frame count bit of the last frame that had one
	faults protocols.Faults
}

// forget drops what is half read.
func (s *stream) forget() {
	s.drop()
	s.known, s.fcbSet = false, false
}

func (s *stream) drop() {
	s.open, s.faults, s.tail = false, 0, 0
	if cap(s.buf) > keepBuffer {
		s.buf = nil
	}
	s.buf = s.buf[:0]
}

// count checks the frame count bit of a frame from a primary station, IEEE 1815 9.2.4.1.3.4: it alternates; a repeat
// means that the frame is sent again.
func (s *stream) count(l link) (f protocols.Faults) {
	switch {
	case !l.prm():
	case l.ctl&0x0f == resetLinkStates:
		s.fcb, s.fcbSet = false, true
	case l.ctl&ctlFCV != 0:
		fcb := l.ctl&ctlFCB != 0
		if s.fcbSet && s.fcb == fcb {
			f = protocols.LateSegment
		}
		s.fcb, s.fcbSet = fcb, true
	}
	return f
}

// A verdict says what a segment came to.
type verdict uint8

const (
	waiting  verdict = iota // more segments belong to the fragment
	whole                   // the fragment is complete
	unfitted                // the segment belongs to nothing: a message of its own
)

// join takes the user data of a frame: a transport octet and application bytes. If the fragment is whole, it is
// returned; it lies in seg or in the stream's buffer.
func (d *decoder) join(s *stream, seg []byte) (frag []byte, f protocols.Faults, v verdict) {
	if len(seg) == 0 {
		return nil, protocols.Short, unfitted
	}
	h, app := seg[0], seg[1:]
	seq := h & segSeq
	switch {
	case h&segFir != 0:
		if s.open {
			f = protocols.BadSequence // the fragment before was never finished
		}
		d.held -= len(s.buf)
		s.drop()
		s.known = true
		if h&segFin != 0 {
			return app, f, whole
		}
		s.open, s.faults, f = true, f, 0
	case !s.open && !s.known:
		return nil, 0, waiting // joined in the middle, or after a loss
	case !s.open:
		return nil, protocols.OutOfTurn, unfitted
	case seq == s.seq && bytes.Equal(app, s.buf[len(s.buf)-s.tail:]):
		s.faults |= protocols.LateSegment // the same once more
		return nil, 0, waiting
	case seq != (s.seq+1)&segSeq:
		d.held -= len(s.buf)
		s.forget()
		return nil, protocols.BadSequence, unfitted
	}
	if len(s.buf)+len(app) > maxFragment {
		d.held -= len(s.buf)
		s.forget()
		return nil, protocols.BadLength, unfitted
	}
	d.makeRoom(s, len(app))
	s.buf = append(s.buf, app...)
	d.held += len(app)
	s.seq, s.tail = seq, len(app)
	if h&segFin == 0 {
		return nil, 0, waiting
	}
	s.open = false
	d.held -= len(s.buf)
	frag, f = s.buf, s.faults
	s.buf, d.done = d.done[:0], frag // the message may look at frag until the next Decode
	s.tail, s.faults = 0, 0
	return frag, f, whole
}

// makeRoom drops unfinished fragments, the least recently used pair's first, until n bytes more are within bounds.
func (d *decoder) makeRoom(keep *stream, n int) {
	for d.held+n > maxHeld {
		var oldest *peer
		for i := range d.peers {
			if p := &d.peers[i]; (oldest == nil || p.used < oldest.used) && p.holds(keep) {
				oldest = p
			}
		}
		if oldest == nil {
			return // only keep itself holds bytes, and maxFragment bounds those
		}
		d.release(oldest, keep)
	}
}

// holds says whether p has an unfinished fragment other than the one of keep.
func (p *peer) holds(keep *stream) bool {
	for i := range p.streams {
		if s := &p.streams[i]; s != keep && len(s.buf) > 0 {
			return true
		}
	}
	return false
}

// release drops the unfinished fragments of p, except the one of keep.
func (d *decoder) release(p *peer, keep *stream) {
	for i := range p.streams {
		if s := &p.streams[i]; s != keep {
			d.held -= len(s.buf)
			s.forget()
		}
	}
}
