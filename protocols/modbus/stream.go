package modbus

import "github.com/roje-ot/roje/protocols"

// A framing is how PDUs are cut out of the bytes of a connection.
type framing uint8

const (
	unframed framing = iota // not yet known
	mbap
	rtu
	ascii
)

var framingNames = [...]string{"", "mbap", "rtu", "ascii"}

// A stream is one direction of a connection.
type stream struct {
	framing framing // of the frame that Split gave last
	trusted bool    // b begins at the end of a frame
	fresh   bool    // b begins where the connection, or what is seen of it, begins
	seen    int     // so many bytes at the front of b have been judged before, and no RTU frame ends in them
	hopes   bool    // unless this is set: then one does, but what follows it is not decided
}

// A verdict is what is known of a place where a frame may begin. How it is judged depends on the bytes alone and not
// on how they were cut: yes and no are reached at a certain byte, the same one whether or not more are at hand.
type verdict struct {
	state state
	n     int // yes: length of the frame
	end   int // yes, no: the number of bytes, from the front of b, that it took to know
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
		*s, last = stream{fresh: true}, true
	}
	if len(b) == 0 {
		return 0, 0
	}
	if s.trusted {
		switch v := d.follow(s, b, last); v.state {
		case yes:
			return 0, v.n
		case pending:
			return 0, 0
		}
		s.trusted, s.fresh, s.seen, s.hopes = false, false, 0, false
	}
	return d.scan(s, b, last)
}

// Lost implements protocols.Decoder.
func (d *decoder) Lost(dir protocols.Dir) {
	d.streams[dir&1] = stream{fresh: true}
	d.turns.lost()
	d.parts.clear()
}

// follow judges the front of b, where the frame before it ended.
func (d *decoder) follow(s *stream, b []byte, last bool) verdict {
	switch s.framing {
	case rtu:
		return followRTU(b, last)
	case ascii:
		return followASCII(b)
	}
	return followMBAP(b, last)
}

// scan looks for the place that is proved by the fewest bytes. What stands before the first place that is still open
// is skipped.
func (d *decoder) scan(s *stream, b []byte, last bool) (skip, n int) {
	seen := s.seen
	if s.hopes || last {
		seen = 0
	}
	best := verdict{end: len(b) + 1}
	at, open, kind := 0, len(b), unframed
	consider := func(i int, f framing, v verdict) {
		switch v.state {
		case yes:
			if v.end < best.end {
				best, at, kind = v, i, f
			}
		case pending:
			open = min(open, i)
		}
	}
	for i := 0; i < len(b) && i < best.end; i++ {
		alone := i == 0 && s.fresh
		m := tryMBAP(b, i, alone && (d.framing == unframed || d.framing == mbap), last)
		consider(i, mbap, m)
		if d.framing == mbap {
			continue
		}
		consider(i, ascii, tryASCII(b, i))
		r, hope := tryRTU(b, i, alone && d.framing != ascii, d.framing == rtu, seen, last)
		if alone && d.framing == unframed && r.state == yes {
			// What can still become an MBAP header is one first.
			if m.state == pending {
				r.state = pending
			}
			r.end = max(r.end, m.end)
		}
		s.hopes = s.hopes || hope
		consider(i, rtu, r)
	}
	if best.state == yes {
		*s = stream{framing: kind, trusted: true}
		d.framing = kind
		return at, best.n
	}
	if last {
		open = len(b)
	}
	s.seen = len(b) - open
	if open > 0 {
		s.fresh = false
	}
	return open, 0
}
