package iec104station

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

// Unnumbered control functions, as the first control byte (clause 5.1).
const (
	startAct = 0x07
	startCon = 0x0b
	stopAct  = 0x13
	stopCon  = 0x23
	testAct  = 0x43
	testCon  = 0x83
)

// Parameters of clause 9.6.
const (
	k  = 12
	w  = 8
	t1 = 15 * time.Second
	t2 = 10 * time.Second
	t3 = 20 * time.Second // of the controlling station

	patient = 30 * time.Second // t3 of the controlled station, so that one side tests and the other answers
)

const window = 1 << 15 // sequence numbers are mod 2^15

// link is one end of a connection: numbering, acknowledgement and supervision. The station's goroutine owns it.
type link struct {
	line  *station.Line
	tally *tally.Tally

	vs, vr  uint16    // next number to send, next expected
	acked   uint16    // the peer has all before this
	told    uint16    // we told the peer that we have all before this
	oldest  time.Time // when the first frame came that we have not acknowledged
	heard   time.Time // when anything came
	testing bool      // a test frame is on its way
	t3      time.Duration
	waiting []*ASDU // held back by k
	held    []byte  // APDUs that leave together
	holding bool
}

func newLink(line *station.Line, t *tally.Tally, t3 time.Duration) *link {
	return &link{line: line, tally: t, t3: t3, heard: line.Clock.Now()}
}

// split finds an APDU.
func split(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, nil
	}
	if b[0] != 0x68 || b[1] < 4 || b[1] > 253 {
		return 0, fmt.Errorf("iec104: bad start % x", b[:2])
	}
	return 2 + int(b[1]), nil
}

// write sends an APDU, or keeps it for release.
func (l *link) write(control [4]byte, asdu []byte) error {
	b := append([]byte{0x68, byte(4 + len(asdu))}, control[:]...)
	l.held = append(append(l.held, b...), asdu...)
	if l.holding {
		return nil
	}
	return l.release()
}

// together makes what f sends leave in as few segments as it fits.
func (l *link) together(f func() error) error {
	l.holding = true
	err := f()
	l.holding = false
	return errors.Join(err, l.release())
}

func (l *link) release() error {
	b := l.held
	l.held = nil
	if len(b) == 0 {
		return nil
	}
	_, err := l.line.Write(b)
	return err
}

// u sends an unnumbered frame.
func (l *link) u(function byte) error {
	l.tally.Add("iec104", "apci", 3)
	l.tally.Add("iec104", "utypes", int(function>>2))
	return l.write([4]byte{function}, nil)
}

// s acknowledges what came.
func (l *link) s() error {
	l.tally.Add("iec104", "apci", 1)
	l.told = l.vr
	return l.write([4]byte{1, 0, byte(l.vr << 1), byte(l.vr >> 7)}, nil)
}

// send sends an ASDU, at once or when the peer has acknowledged enough.
func (l *link) send(a *ASDU) error {
	if (l.vs-l.acked)%window >= k {
		l.waiting = append(l.waiting, a)
		return nil
	}
	l.tally.Add("iec104", "apci", 0)
	l.tally.Add("iec104", "type_ids", int(a.Type))
	ns := l.vs
	l.vs = (l.vs + 1) % window
	l.told = l.vr
	return l.write([4]byte{byte(ns << 1), byte(ns >> 7), byte(l.vr << 1), byte(l.vr >> 7)}, a.encode())
}

// acknowledged takes the peer's N(R) and sends what it makes room for.
func (l *link) acknowledged(nr uint16) error {
	l.acked = nr
	for len(l.waiting) > 0 && (l.vs-l.acked)%window < k {
		next := l.waiting[0]
		l.waiting = l.waiting[1:]
		if err := l.send(next); err != nil {
			return err
		}
	}
	return nil
}

// receive returns the next ASDU, or the next U frame that the station must judge (STARTDT and STOPDT), or fails with
// os.ErrDeadlineExceeded at until (zero: never). Acknowledgement and test frames it sees to itself.
func (l *link) receive(until time.Time) (*ASDU, byte, error) {
	for {
		b, err := l.line.Frame(split, func() time.Time { return l.next(until) })
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if err := l.timers(); err != nil {
				return nil, 0, err
			}
			if !until.IsZero() && !l.line.Clock.Now().Before(until) {
				return nil, 0, os.ErrDeadlineExceeded
			}
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		l.heard, l.testing = l.line.Clock.Now(), false
		a, u, err := l.take(b)
		if a != nil || u != 0 || err != nil {
			return a, u, err
		}
	}
}

// take judges one APDU.
func (l *link) take(b []byte) (*ASDU, byte, error) {
	switch {
	case b[2]&1 == 0: // I
		if ns := binary.LittleEndian.Uint16(b[2:]) >> 1; ns != l.vr {
			return nil, 0, fmt.Errorf("iec104: N(S) %d, expected %d", ns, l.vr)
		}
		if l.vr == l.told {
			l.oldest = l.heard
		}
		l.vr = (l.vr + 1) % window
		a, err := decode(b[6:])
		if err == nil {
			err = l.acknowledged(binary.LittleEndian.Uint16(b[4:]) >> 1)
		}
		if err == nil && (l.vr-l.told)%window >= w {
			err = l.s()
		}
		return a, 0, err
	case b[2]&3 == 1: // S
		return nil, 0, l.acknowledged(binary.LittleEndian.Uint16(b[4:]) >> 1)
	case b[2] == testAct:
		return nil, 0, l.u(testCon)
	case b[2] == testCon:
		return nil, 0, nil
	}
	return nil, b[2], nil
}

// next is the earliest of until and the timers.
func (l *link) next(until time.Time) time.Time {
	idle := l.heard.Add(l.t3)
	if l.testing {
		idle = l.heard.Add(t1)
	}
	if l.vr != l.told && l.oldest.Add(t2).Before(idle) {
		idle = l.oldest.Add(t2)
	}
	if until.IsZero() || idle.Before(until) {
		return idle
	}
	return until
}

// timers does what t2 and t3 ask for; a missing answer to a test frame (t1) ends the connection.
func (l *link) timers() error {
	now := l.line.Clock.Now()
	if l.vr != l.told && !now.Before(l.oldest.Add(t2)) {
		if err := l.s(); err != nil {
			return err
		}
	}
	switch {
	case l.testing && !now.Before(l.heard.Add(t1)):
		return errors.New("iec104: no answer to a test frame")
	case !l.testing && !now.Before(l.heard.Add(l.t3)):
		l.testing, l.heard = true, now
		return l.u(testAct)
	}
	return nil
}
