package iec104station

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

// Session is a controlling station's connection to one station. One goroutine uses it; jobs on its Line may too.
type Session struct {
	CA      uint16
	OA      byte
	Timeout time.Duration
	Line    *station.Line

	*link
}

// NewSession makes a session on conn. Data transfer is not started.
func NewSession(conn net.Conn, clock station.Clock, t *tally.Tally, ca uint16, oa byte) *Session {
	line := &station.Line{Conn: conn, Clock: clock}
	return &Session{CA: ca, OA: oa, Timeout: 12 * time.Second, Line: line, link: newLink(line, t, t3)}
}

// Run takes what the station reports, and does what is on the line's agenda, until t.
func (s *Session) Run(until time.Time) error {
	for s.Line.Clock.Now().Before(until) {
		_, _, err := s.receive(until)
		if err != nil && !timeout(err) {
			return err
		}
	}
	return nil
}

func timeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// Start is STARTDT, Stop is STOPDT, Test is TESTFR; each waits for its confirmation.
func (s *Session) Start() error { return s.control(startAct, startCon) }

// Stop is STOPDT.
func (s *Session) Stop() error { return s.control(stopAct, stopCon) }

// Test sends a test frame; the confirmation is taken by whoever reads next.
func (s *Session) Test() error { s.testing = true; return s.u(testAct) }

func (s *Session) control(act, con byte) error {
	if act == stopAct && s.vr != s.told { // clause 5.3: acknowledge before the end
		if err := s.s(); err != nil {
			return err
		}
	}
	if err := s.u(act); err != nil {
		return err
	}
	until := s.Line.Clock.Now().Add(s.Timeout)
	for {
		_, u, err := s.receive(until)
		if err != nil {
			return fmt.Errorf("iec104: waiting for %02x: %w", con, err)
		}
		if u == con {
			return nil
		}
	}
}

// Send sends an ASDU as it is, with the session's addresses where it has none.
func (s *Session) Send(a *ASDU) error {
	if a.CA == 0 {
		a.CA = s.CA
	}
	if a.OA == 0 {
		a.OA = s.OA
	}
	return s.send(a)
}

// wait takes frames until done says so.
func (s *Session) wait(done func(*ASDU) bool) error {
	until := s.Line.Clock.Now().Add(s.Timeout)
	for {
		a, _, err := s.receive(until)
		if err != nil {
			return err
		}
		if a != nil && done(a) {
			return nil
		}
	}
}

// ErrRefused is a negative confirmation.
var ErrRefused = errors.New("iec104: refused")

// Ask sends a request and waits for the last answer of the type: the cause is one of last, or negative.
func (s *Session) Ask(kind, cause byte, o Object, last ...byte) error {
	if err := s.Send(&ASDU{Type: kind, Cause: cause, Objects: []Object{o}}); err != nil {
		return err
	}
	refused := false
	err := s.wait(func(a *ASDU) bool {
		if a.Type != kind {
			return false
		}
		if a.Neg || a.Cause >= UnknownType {
			refused = true
			return true
		}
		for _, c := range last {
			if a.Cause == c {
				return true
			}
		}
		return false
	})
	if err == nil && refused {
		return ErrRefused
	}
	return err
}

// Interrogate is a general (20) or group (21-36) interrogation.
func (s *Session) Interrogate(qoi byte) error {
	return s.Ask(100, Activation, Object{0, []byte{qoi}}, ActTerm)
}

// Counters asks for the integrated totals; qcc 5 is all of them, 0x45 freezes them.
func (s *Session) Counters(qcc byte) error {
	last := byte(ActTerm)
	if qcc&0xc0 != 0 {
		last = ActCon
	}
	return s.Ask(101, Activation, Object{0, []byte{qcc}}, last)
}

// SetClock sends a clock synchronisation.
func (s *Session) SetClock(t time.Time) error {
	return s.Ask(103, Activation, Object{0, cp56(t)}, ActCon)
}

// Reset asks for a reset of the process.
func (s *Session) Reset() error { return s.Ask(105, Activation, Object{0, []byte{1}}, ActCon) }

// TestCommand is type 107 with a time tag.
func (s *Session) TestCommand(t time.Time) error {
	return s.Ask(107, Activation, Object{0, join(u16(0x55aa), cp56(t))}, ActCon)
}

// Read asks for one object.
func (s *Session) Read(ioa uint32) error {
	if err := s.Send(&ASDU{Type: 102, Cause: Requested, Objects: []Object{{IOA: ioa}}}); err != nil {
		return err
	}
	return s.wait(func(a *ASDU) bool { return a.Cause == Requested || a.Type == 102 })
}

// Command is one control of an outstation with the value it should take.
type Command struct {
	Type   byte // 45-51 or 58-64
	IOA    uint32
	Value  float64
	Select bool // select first
	Direct bool // do not wait for the termination
}

// element encodes a command; se is 0x80 to select.
func (c Command) element(se byte, now time.Time) []byte {
	var b []byte
	switch v := c.Value; plain(c.Type) {
	case 45, 46, 47:
		b = []byte{byte(v) | se}
	case 48:
		b = append(norm(v), se)
	case 49:
		b = append(u16(uint16(int16(v))), se)
	case 50:
		b = append(real(v), se)
	case 51:
		b = u32(uint32(v))
	}
	if c.Type >= 58 {
		b = append(b, cp56(now)...)
	}
	return b
}

// Do carries a command out: select if asked for, execute, termination.
func (s *Session) Do(c Command) error {
	now := s.Line.Clock.Now()
	if c.Select {
		if err := s.Ask(c.Type, Activation, Object{c.IOA, c.element(0x80, now)}, ActCon); err != nil {
			return err
		}
		s.Line.Clock.Sleep(400 * time.Millisecond)
	}
	last := byte(ActTerm)
	if c.Direct {
		last = ActCon
	}
	return s.Ask(c.Type, Activation, Object{c.IOA, c.element(0, s.Line.Clock.Now())}, last)
}

// Cancel deactivates a selected command.
func (s *Session) Cancel(c Command) error {
	now := s.Line.Clock.Now()
	if err := s.Ask(c.Type, Activation, Object{c.IOA, c.element(0x80, now)}, ActCon); err != nil {
		return err
	}
	return s.Ask(c.Type, Deactivation, Object{c.IOA, c.element(0x80, now)}, DeactCon)
}
