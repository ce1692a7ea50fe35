package modbus

import (
	"math"

	"github.com/roje-ot/roje/protocols"
)

// A framing is how PDUs are cut out of the bytes of a connection.
type framing uint8

const (
	unframed framing = iota // not yet known
	mbap
	rtu
	ascii
)

var framingNames = [...]string{"", "mbap", "rtu", "ascii"}

// inOrder is the order in which framings are tried at one place: two right CRCs say more than two headers.
var inOrder = [...]framing{rtu, mbap, ascii}

// A stream is one direction of a connection.
type stream struct {
	framing framing // of the frame that Split gave last
	trusted bool    // b begins at the end of a frame
	fresh   bool    // b begins where the connection, or what is seen of it, begins, or bytes were lost
	resumes bool    // bytes were lost
	open    []place // places at the front of b, in order, where a frame may begin for all that is known
	seen    int     // so many bytes at the front of b have been judged before, and no RTU frame ends in them
	hopes   bool    // unless this is set: then one does, but what follows it is not decided
	wake    int     // before so many bytes of b are there, none of open can be decided
	under   framing // the connection's when open was last judged
}

// A place is an offset in b, and a bit for each framing that a frame which begins there may have. A framing that was
// refuted stays so, save at the front of what is seen: verdicts are reached at a certain byte, and until wake bytes
// stand behind the offset none is.
type place struct {
	at      int32
	wake    int32
	framing uint8
}

const everyFraming = 1<<rtu | 1<<mbap | 1<<ascii

// restart forgets all but the room of s.
func (s *stream) restart(f stream) {
	f.open = s.open[:0]
	*s = f
}

// A verdict is what is known of a place where a frame may begin. How it is judged depends on the bytes alone and not
// on how they were cut: yes and no are reached at a certain byte, the same one whether or not more are at hand.
type verdict struct {
	state state
	n     int // yes: length of the frame
	end   int // the number of bytes, from the front of b, that it took to know; pending: that it will take at least
}

type state uint8

const (
	pending state = iota
	yes
	no
)

// Split implements protocols.Decoder. In step with the stream it follows length fields; out of step it takes the first
// place that is proved: at the front of what is seen by a PDU that agrees with its own length and check, behind
// other bytes by two frames in a row.
func (d *decoder) Split(dir protocols.Dir, b []byte, last bool) (skip, n int) {
	s := &d.streams[dir&1]
	if d.datagram {
		s.restart(stream{fresh: true})
		last = true
	}
	if len(b) == 0 {
		return 0, 0
	}
	if s.trusted {
		switch v := d.follow(s, b, last); v.state {
		case yes:
			s.seen = 0
			return 0, v.n
		case pending:
			s.seen = len(b)
			return 0, 0
		}
		s.restart(stream{})
	}
	return d.scan(s, b, last)
}

// Lost implements protocols.Decoder.
func (d *decoder) Lost(dir protocols.Dir) {
	d.streams[dir&1].restart(stream{fresh: true, resumes: true})
	d.turns.lost()
	d.parts.clear()
}

// follow judges the front of b, where the frame before it ended.
func (d *decoder) follow(s *stream, b []byte, last bool) verdict {
	switch s.framing {
	case rtu:
		return followRTU(b, s.seen, last)
	case ascii:
		return followASCII(b, s.seen, d.delimiter, last)
	}
	return followMBAP(b, last)
}

// scan looks for the place that is proved by the fewest bytes: among those that were left open before, and those that
// are new. What stands before the first place that is still open is skipped.
func (d *decoder) scan(s *stream, b []byte, last bool) (skip, n int) {
	if s.seen > len(b) {
		s.open, s.seen, s.wake = s.open[:0], 0, 0
	}
	best, at, kind := verdict{end: len(b) + 1}, 0, unframed
	anew := last || s.under != d.framing
	s.under = d.framing
	try := func(i int, framings uint8) place {
		alive, wake := uint8(0), int32(math.MaxInt32)
		for _, f := range inOrder {
			if framings&(1<<f) == 0 || d.framing == mbap && f != mbap {
				continue
			}
			switch v := d.try(s, b, i, f, last); v.state {
			case yes:
				if v.end < best.end {
					best, at, kind = v, i, f
				}
			case pending:
				alive |= 1 << f
				wake = min(wake, int32(v.end-i))
			}
		}
		if alive != 0 && i == 0 && s.fresh {
			alive, wake = everyFraming, 0 // there the framings wait for one another
		}
		return place{at: int32(i), wake: wake, framing: alive}
	}
	kept, soon := s.open, s.wake
	if anew || s.wake <= len(b) {
		kept, soon = s.open[:0], math.MaxInt
		for _, p := range s.open {
			if anew || int(p.at)+int(p.wake) <= len(b) {
				p = try(int(p.at), p.framing)
			}
			if p.framing != 0 {
				kept, soon = append(kept, p), min(soon, int(p.at)+int(p.wake))
			}
		}
	}
	for i := s.seen; i < len(b) && i < best.end; i++ {
		if p := try(i, everyFraming); p.framing != 0 {
			kept, soon = append(kept, p), min(soon, i+int(p.wake))
		}
	}
	s.open = kept
	if best.state == yes {
		s.restart(stream{framing: kind, trusted: true})
		d.framing = kind
		return at, best.n
	}
	skip = len(b)
	if len(kept) > 0 {
		skip = int(kept[0].at)
	}
	if skip > 0 {
		for i := range kept {
			kept[i].at -= int32(skip)
		}
	}
	s.seen, s.wake = len(b)-skip, soon-skip
	s.fresh = s.fresh && skip == 0
	return skip, 0
}

// try judges the place i of b as the beginning of a frame of framing f.
func (d *decoder) try(s *stream, b []byte, i int, f framing, last bool) verdict {
	alone := i == 0 && s.fresh
	switch f {
	case mbap:
		return tryMBAP(b, i, d.faith(s, b, alone), last)
	case ascii:
		seen := s.seen
		if alone {
			seen = 0 // what was refuted there is tried again
		}
		return tryASCII(b, i, seen, d.delimiter, last)
	}
	seen := s.seen
	if s.hopes {
		seen = 0
	}
	alone = alone && d.framing != ascii
	v, hope := tryRTU(b, i, alone, d.framing == rtu, seen, last)
	s.hopes = s.hopes || hope
	if alone && d.framing == unframed && v.state == yes {
		v = d.afterMBAP(s, b, v, last)
	}
	return v
}

// afterMBAP judges the front of b, where v is an RTU frame that is right: it stands alone once it is clear that no MBAP
// header begins there, and before that it needs another behind it.
func (d *decoder) afterMBAP(s *stream, b []byte, v verdict, last bool) verdict {
	m := tryMBAP(b, 0, d.faith(s, b, true), last)
	chain, _ := tryRTU(b, 0, false, false, 0, last)
	if m.state != no {
		return chain
	}
	v.end = max(v.end, m.end)
	if chain.state == yes && chain.end < v.end {
		return chain
	}
	return v
}

// faith says what an MBAP header at the front of b must show. The bytes behind a loss may lie inside an ADU, whose
// registers can look like a header; and an RTU frame from address 0 looks like one too.
func (d *decoder) faith(s *stream, b []byte, alone bool) faith {
	switch {
	case !alone || d.framing == rtu || d.framing == ascii:
		return inChain
	case d.framing == unframed && len(b) > headerLen && frontRTU(b[:min(len(b), max(frameLen(b), headerLen+1))], 0).state == yes:
		return inChain
	case s.resumes:
		return inForm
	}
	return inHeader
}
