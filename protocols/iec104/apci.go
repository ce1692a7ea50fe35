package iec104

import (
	"bytes"

	"github.com/roje-ot/roje/protocols"
)

// The APCI of IEC 60870-5-104 clause 5.
const (
	start     = 0x68
	minLength = 4   // a control field and nothing else
	maxLength = 253 // clause 5.1
	header    = 6   // start, length, control field
	minI      = 8   // least LEN of an I frame that carries a type, a qualifier and two octets
)

// A format is the first letter of an APDU's kind.
type format uint8

// The formats of clause 5.1.
const (
	noFormat format = iota
	formatI
	formatS
	formatU
)

var formatNames = [...]string{"", "I", "S", "U"}

// A uKind is one of the six unnumbered functions.
type uKind uint8

// The functions of clause 5.1, figure 8: an act and its con share a number but for the last bit.
const (
	startAct uKind = iota
	startCon
	stopAct
	stopCon
	testAct
	testCon
	noU
)

var uNames = [...]string{"STARTDT act", "STARTDT con", "STOPDT act", "STOPDT con", "TESTFR act", "TESTFR con", "U"}

// unnumbered reads the first control octet of a U frame: exactly one of six bits may be set.
func unnumbered(c byte) uKind {
	for k := range noU {
		if c == 3|4<<k {
			return k
		}
	}
	return noU
}

// control reads the four control octets of b, which holds a whole header. It says whether they are legal: the
// receive number's lowest bit 0, S frames 01 00, U frames exactly one function and no further bits, S and U frames of
// the length that has no ASDU, I frames long enough for one with a type that is not 0.
func control(b []byte) (f format, legal bool) {
	c := b[2:header]
	switch {
	case c[0]&1 == 0:
		return formatI, c[2]&1 == 0 && b[1] >= minI && (len(b) == header || b[header] != 0)
	case c[0]&3 == 1:
		return formatS, c[0] == 1 && c[1] == 0 && c[2]&1 == 0 && b[1] == minLength
	}
	return formatU, unnumbered(c[0]) != noU && c[1]|c[2]|c[3] == 0 && b[1] == minLength
}

// A verdict is what can be said about octets that may begin a frame.
type verdict uint8

const (
	no    verdict = iota
	maybe         // so far so good, but more octets are needed
	yes
)

// begins judges whether b begins with a legal header.
func begins(b []byte) verdict {
	switch {
	case len(b) == 0:
		return maybe
	case b[0] != start:
		return no
	case len(b) == 1:
		return maybe
	case b[1] < minLength || b[1] > maxLength:
		return no
	case len(b) < header:
		return maybe
	}
	f, legal := control(b)
	switch {
	case !legal:
		return no
	case f == formatI && len(b) == header:
		return maybe // the type id counts too
	}
	return yes
}

// Split follows the lengths while every frame begins where the one before it ended. Where that fails, after Lost and
// at the start, it looks for a chain; see trust.
func (d *decoder) Split(dir protocols.Dir, b []byte, last bool) (skip, n int) {
	e := &d.ends[dir]
	if e.synced {
		switch d.follows(e, b, last) {
		case yes:
			return take(b, last)
		case maybe:
			if last {
				return len(b), 0
			}
			return 0, 0
		}
		e.synced, e.deep = false, true
	}
	for skip < len(b) {
		i := bytes.IndexByte(b[skip:], start)
		if i < 0 {
			break
		}
		if skip += i; skip > 0 {
			e.deep = true
		}
		switch d.trust(e, b[skip:], last) {
		case yes:
			e.synced, e.deep = true, false
			rest, n := take(b[skip:], last)
			return skip + rest, n
		case maybe:
			return skip, 0
		}
		skip++
	}
	e.deep = e.deep || len(b) > 0
	return len(b), 0
}

// take returns the frame that b begins with, none if it must wait for more. The last frame of a stream that was cut
// short is handed out as it is, if its control field arrived: a type id and an address say who commands whom.
func take(b []byte, last bool) (skip, n int) {
	n = 2 + int(b[1])
	switch {
	case len(b) >= n:
		return 0, n
	case !last:
		return 0, 0
	case len(b) < header:
		return len(b), 0
	}
	return 0, len(b)
}

// follows judges octets that stand where a frame must begin. A legal S or U header is enough; an I frame must be
// evident or carry the number that is next. What is less, say an I frame of a private type behind a gap, or a control
// field with reserved bits, must be borne out by a legal header behind it, or by ending where the octets end.
func (d *decoder) follows(e *end, b []byte, last bool) verdict {
	v := begins(b)
	if v == maybe && last && len(b) == header && e.counts && sendNumber(b) == e.next {
		return yes // all that arrived of an I frame is its header
	}
	if v == maybe || len(b) < header || b[1] < minLength || b[1] > maxLength || b[0] != start {
		return v
	}
	if v == yes {
		f, _ := control(b)
		if f != formatI || e.counts && sendNumber(b) == e.next {
			return yes
		}
		if len(b) < telling {
			return maybe
		}
		if d.sizes.agrees(b) {
			return yes
		}
	}
	n := 2 + int(b[1])
	switch {
	case len(b) < n && !last:
		return maybe
	case len(b) < n:
		return no
	case len(b) == n && last:
		return yes
	}
	if v = begins(b[n:]); v == maybe && last {
		return no
	}
	return v
}

// near is how far a send number may have moved on over a loss and still bear out a frame.
const near = 1024

// trust judges a start octet at a place that nothing vouches for. A place is deep if octets were skipped to reach it;
// else it is where the sensor was told that the stream goes on, which mostly is the start of a segment.
//
// A frame is believed alone if it is not deep and is evident: an S or U frame, whose six octets are all but constant,
// or an I frame whose length agrees with its type. A deep I frame must be evident and go on with the sequence. Behind a
// hole, an I frame that no station would send is none. Every other frame needs a legal header behind it; with no more
// to come, it must be evident, or not deep and end where the octets end.
func (d *decoder) trust(e *end, b []byte, last bool) verdict {
	v := begins(b)
	f := noFormat
	if v == yes {
		if f, _ = control(b); f == formatI && len(b) < telling {
			v = maybe
		}
	}
	if v != yes {
		if v == maybe && last {
			return no
		}
		return v
	}
	evident := f != formatI || d.sizes.agrees(b)
	if evident && (!e.deep || f == formatI && e.hasNS && (sendNumber(b)-e.lastNS)&seqMask < near) {
		return yes
	}
	if !evident && (e.deep || e.broken) && d.sizes.denies(b) {
		return no
	}
	n := 2 + int(b[1])
	if len(b) < n {
		if last {
			return no
		}
		return maybe
	}
	v = begins(b[n:])
	if v == maybe && last {
		if evident || !e.deep && len(b) == n {
			return yes
		}
		return no
	}
	return v
}

// Probe says Yes on a chain of headers that weighs 3: a U frame weighs 2, as does an I frame whose length agrees with
// its type; any other legal header weighs 1. One frame is never enough while more may come.
func Probe(b []byte, last bool) protocols.Guess {
	var s sizer
	weight := 0
	for frames := 0; ; frames++ {
		if weight >= 3 && frames >= 2 {
			return protocols.Yes
		}
		v := begins(b)
		switch {
		case v == no:
			return protocols.No
		case v == maybe && last:
			if len(b) == 0 && weight >= 2 {
				return protocols.Yes
			}
			return protocols.No
		case v == maybe:
			return protocols.Maybe
		}
		n := 2 + int(b[1])
		f, _ := control(b)
		switch {
		case f == formatU:
			weight += 2
		case len(b) < n:
			if last {
				return protocols.No
			}
			return protocols.Maybe
		case f == formatI && s.agrees(b):
			weight += 2
		default:
			weight++
		}
		b = b[n:]
	}
}
