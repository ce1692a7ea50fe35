package dnp3station

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

// Session is a master's connection to one outstation. One goroutine uses it; jobs on its Line may too.
type Session struct {
	Self, Peer uint16
	Timeout    time.Duration
	Line       *station.Line
	WrongProof bool // answers challenges wrongly, as somebody without the key does

	*wire
	seq byte
}

// NewSession makes a session on conn.
func NewSession(conn net.Conn, clock station.Clock, t *tally.Tally, self, peer uint16) *Session {
	line := &station.Line{Conn: conn, Clock: clock}
	s := &Session{Self: self, Peer: peer, Timeout: 5 * time.Second, Line: line}
	s.wire = newWire(line, t, true, func(a uint16) bool { return a == s.Self })
	return s
}

// Answer is a response, its fragments joined.
type Answer struct {
	IIN     uint16
	Objects []byte
}

// Restarted and NeedsTime read the internal indications.
func (a Answer) Restarted() bool { return a.IIN&iinRestart != 0 }

// NeedsTime says that the outstation asks for the time.
func (a Answer) NeedsTime() bool { return a.IIN&iinNeedTime != 0 }

// Tell sends a request that has no response.
func (s *Session) Tell(fc byte, objects ...Objects) error {
	b := append([]byte{0xc0 | s.seq, fc}, Join(objects...)...)
	s.seq = (s.seq + 1) & 0x0f
	return s.send(s.Peer, s.Self, b)
}

// Ask sends a request and waits for its response; what is unsolicited meanwhile is confirmed.
func (s *Session) Ask(fc byte, objects ...Objects) (Answer, error) {
	seq := s.seq
	if err := s.Tell(fc, objects...); err != nil {
		return Answer{}, err
	}
	request := append([]byte{0xc0 | seq, fc}, Join(objects...)...)
	var a Answer
	until := s.Line.Clock.Now().Add(s.Timeout)
	for {
		b, err := s.take(until)
		switch {
		case err != nil:
			return a, err
		case b == nil || b[0]&0x0f != seq:
			continue
		case b[1] == AuthResponse:
			if len(b) > 12 && b[5] == 1 {
				if err := s.prove(seq, b[10:], request); err != nil {
					return a, err
				}
				continue
			}
			return a, errors.New("dnp3: not authentic")
		}
		a.IIN = binary.LittleEndian.Uint16(b[2:])
		a.Objects = append(a.Objects, b[4:]...)
		if b[0]&0x40 != 0 {
			return a, nil
		}
		seq = (seq + 1) & 0x0f
		s.seq = (seq + 1) & 0x0f
	}
}

// take reads a fragment, confirms it if it asks for that, and returns it if it is a response.
func (s *Session) take(until time.Time) ([]byte, error) {
	b, _, src, err := s.receive(until)
	if err != nil || len(b) < 4 {
		return nil, err
	}
	if b[0]&needed != 0 {
		if err := s.send(src, s.Self, []byte{0xc0 | b[0]&0x1f, Confirm}); err != nil {
			return nil, err
		}
	}
	if b[1] == Unsolicited {
		return nil, nil
	}
	return b, nil
}

// prove answers a challenge.
func (s *Session) prove(seq byte, question, request []byte) error {
	proof := mac(question, request)
	if s.WrongProof {
		proof[0] ^= 0xff
	}
	object := append(append(append([]byte(nil), question[:4]...), le16(1)...), proof...)
	return s.send(s.Peer, s.Self, append([]byte{0xc0 | seq, AuthRequest}, Free(120, 2, object...)...))
}

// Run takes what the outstation reports, and does what is on the line's agenda, until t.
func (s *Session) Run(until time.Time) error {
	for s.Line.Clock.Now().Before(until) {
		if _, err := s.take(until); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return nil
}

// Integrity reads all: events of classes 1 to 3, then the static data.
func (s *Session) Integrity() (Answer, error) {
	return s.Ask(Read, All(60, 2), All(60, 3), All(60, 4), All(60, 1))
}

// Events reads classes 1 to 3.
func (s *Session) Events() (Answer, error) {
	return s.Ask(Read, All(60, 2), All(60, 3), All(60, 4))
}

// Spontaneous enables or disables unsolicited responses of all classes.
func (s *Session) Spontaneous(on bool) (Answer, error) {
	fc := byte(DisableUnsolicited)
	if on {
		fc = EnableUnsolicited
	}
	return s.Ask(fc, All(60, 2), All(60, 3), All(60, 4))
}

// ClearRestart writes the restart indication.
func (s *Session) ClearRestart() (Answer, error) { return s.Ask(Write, Range(80, 1, 7, 7, 0)) }

// SetClock measures the delay and writes the time t.
func (s *Session) SetClock(t time.Time) (Answer, error) {
	if a, err := s.Ask(DelayMeasure); err != nil {
		return a, err
	}
	return s.Ask(Write, Count(50, 1, 1, le48(t)...))
}

// Do operates one object: select first if asked for, else directly.
func (s *Session) Do(o Objects, selects bool) (Answer, error) {
	if !selects {
		return s.Ask(DirectOperate, o)
	}
	if a, err := s.Ask(Select, o); err != nil {
		return a, err
	}
	return s.Ask(Operate, o)
}

// StartQuiet is what a master does on a new connection: restart cleared, time, everything; it polls from then on.
func (s *Session) StartQuiet() error {
	a, err := s.Spontaneous(false)
	if err == nil && a.Restarted() {
		a, err = s.ClearRestart()
	}
	if err == nil && a.NeedsTime() {
		_, err = s.SetClock(s.Line.Clock.Now())
	}
	if err == nil {
		_, err = s.Integrity()
	}
	return err
}

// Start is StartQuiet, and unsolicited responses of all classes from then on.
func (s *Session) Start() error {
	if err := s.StartQuiet(); err != nil {
		return err
	}
	_, err := s.Spontaneous(true)
	return err
}
