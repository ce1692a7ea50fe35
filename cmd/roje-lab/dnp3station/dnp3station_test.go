package dnp3station

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/simnet"
	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

func outstation(t *tally.Tally, clock station.Clock) *Outstation {
	return &Outstation{Address: 1024, Master: 1, Clock: clock, Tally: t, Travel: time.Second,
		Points: map[Kind][]*Point{
			Binary: {{Value: 1, Class: 1}, {Class: 1}}, BinaryOutput: {{Moves: 0}, {Moves: -1}},
			Analog: {{Value: 1.5, Class: 2}}, AnalogOutput: {{Moves: 0}}, Counter: {{Value: 7}}, FrozenCounter: {{}}},
		Files: map[string][]byte{"a.txt": bytes.Repeat([]byte("0123456789"), 45)}}
}

// pair runs a session against an outstation in virtual time; the null unsolicited response is over when do begins.
func pair(t *testing.T, change func(*Outstation), do func(*Session, *Outstation)) *tally.Tally {
	count := &tally.Tally{}
	n := simnet.New(time.Date(2026, 3, 9, 6, 0, 0, 0, time.UTC), 1, func(time.Time, []byte) {})
	lan := &simnet.LAN{}
	far := n.Host(simnet.Spec{Addr: netip.MustParseAddr("10.0.0.1"), LAN: lan, Think: time.Millisecond})
	near := n.Host(simnet.Spec{Addr: netip.MustParseAddr("10.0.0.2"), LAN: lan, Think: time.Millisecond})
	o := outstation(count, far)
	if change != nil {
		change(o)
	}
	if _, err := station.Serve(far, "tcp", ":20000", o.Serve); err != nil {
		t.Fatal(err)
	}
	done := false
	near.Go(func() {
		conn, err := near.Dial("tcp", "10.0.0.1:20000")
		if err != nil {
			t.Error(err)
			return
		}
		m := NewSession(conn, near, count, 1, 1024)
		if err := m.Run(near.Now().Add(time.Second)); err != nil {
			t.Error(err)
			return
		}
		do(m, o)
		m.Line.Close()
		done = true
	})
	n.Run(n.Now().Add(time.Hour))
	if !done {
		t.Error("the session did not come to its end")
	}
	return count
}

// TestFrame holds a frame against one that is printed in the literature: reset of link states from 1 to 1024.
func TestFrame(t *testing.T) {
	if got, want := Frame(0xc0, 1, 1024, nil), []byte{0x05, 0x64, 0x05, 0xc0, 0x01, 0x00, 0x00, 0x04, 0xe9, 0x21}; !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
	for n := range 251 {
		b := Frame(0xc4, 2, 3, bytes.Repeat([]byte{byte(n)}, n))
		if size, err := split(b); err != nil || size != len(b) {
			t.Errorf("%d octets: split says %d of %d, %v", n, size, len(b), err)
		}
		if p, ok := parse(b); !ok || p.dst != 2 || p.src != 3 || len(p.data) != n {
			t.Errorf("%d octets: parsed %+v, %v", n, p, ok)
		}
		b[len(b)-1] ^= 1
		if _, ok := parse(b); ok {
			t.Errorf("%d octets: a wrong check is taken", n)
		}
	}
}

func TestStart(t *testing.T) {
	count := pair(t, nil, func(m *Session, o *Outstation) {
		a, err := m.Events()
		if err != nil || !a.Restarted() || !a.NeedsTime() {
			t.Errorf("before: %+v, %v", a, err)
		}
		if err := m.Start(); err != nil {
			t.Error(err)
		}
		a, err = m.Events()
		if err != nil || a.Restarted() || a.NeedsTime() || len(a.Objects) > 0 {
			t.Errorf("after: %+v, %v", a, err)
		}
	})
	if got := count.Counts()["dnp3"]["al_func"]; got["130"] != 1 || got["0"] != 1 {
		t.Errorf("counted %v, want one null unsolicited response and its confirmation", got)
	}
}

func TestControls(t *testing.T) {
	relay := At16(12, 1, 0, CROB(LatchOn, 1, 0, 0)...)
	last := func(a Answer) byte { return a.Objects[len(a.Objects)-1] }
	pair(t, nil, func(m *Session, o *Outstation) {
		for _, c := range []struct {
			name string
			do   func() (Answer, error)
			want byte
		}{
			{"operate without select", func() (Answer, error) { return m.Ask(Operate, relay) }, statusNoSelect},
			{"select and operate", func() (Answer, error) { return m.Do(relay, true) }, statusOK},
			{"operate twice", func() (Answer, error) { return m.Ask(Operate, relay) }, statusNoSelect},
			{"direct", func() (Answer, error) { return m.Do(relay, false) }, statusOK},
			{"no such point", func() (Answer, error) { return m.Do(At16(12, 1, 9, CROB(LatchOn, 1, 0, 0)...), false) }, statusUnknown},
			{"analog output", func() (Answer, error) { return m.Do(At(41, 2, 0, 0x10, 0x27, 0), true) }, statusOK},
			{"selected too long ago", func() (Answer, error) {
				m.Ask(Select, relay)
				m.Run(m.Line.Clock.Now().Add(selectLife + time.Second))
				return m.Ask(Operate, relay)
			}, statusNoSelect},
		} {
			a, err := c.do()
			if err != nil || last(a) != c.want {
				t.Errorf("%s: % x, %v; want status %d", c.name, a.Objects, err, c.want)
			}
		}
		if o.Points[Analog][0].Value != 10000 || o.Points[BinaryOutput][0].Value != 1 {
			t.Error("the outputs did not move")
		}
		if err := m.Tell(DirectOperateNR, At16(12, 1, 0, CROB(LatchOff, 1, 0, 0)...)); err != nil {
			t.Error(err)
		}
		if a, err := m.Events(); err != nil || o.Points[BinaryOutput][0].Value != 0 {
			t.Errorf("without answer: %+v, %v", a, err)
		}
	})
}

func TestUnsolicited(t *testing.T) {
	count := pair(t, nil, func(m *Session, o *Outstation) {
		if _, err := m.Spontaneous(true); err != nil {
			t.Error(err)
		}
		o.Move(Binary, 0, 0)
		o.Move(Binary, 0, 1)
		if err := m.Run(m.Line.Clock.Now().Add(2 * time.Second)); err != nil {
			t.Error(err)
		}
		if n := len(o.queue); n != 0 {
			t.Errorf("%d events are still there after the confirmation", n)
		}
		if _, err := m.Spontaneous(false); err != nil {
			t.Error(err)
		}
		o.Move(Binary, 1, 1)
		a, err := m.Events()
		if want := []byte{2, 2, 0x28, 1, 0, 1, 0, 0x81}; err != nil || !bytes.HasPrefix(a.Objects, want) {
			t.Errorf("events % x, %v; want % x and a time", a.Objects, err, want)
		}
	})
	if got := count.Counts()["dnp3"]["al_func"]["130"]; got != 2 {
		t.Errorf("%d unsolicited responses, want the null one and one with both events", got)
	}
}

func TestFragments(t *testing.T) {
	pair(t, func(o *Outstation) {
		o.MaxFragment = 600
		for range 400 {
			o.Points[Counter] = append(o.Points[Counter], &Point{Value: 1})
		}
	}, func(m *Session, o *Outstation) {
		a, err := m.Ask(Read, All(20, 1))
		if want := 5*5 + 3*2 + 401*5; err != nil || len(a.Objects) != want { // five headers, three of them with 16-bit ranges
			t.Errorf("%d octets, %v; want %d", len(a.Objects), err, want)
		}
	})
}

func TestFiles(t *testing.T) {
	pair(t, nil, func(m *Session, o *Outstation) {
		got, err := m.Fetch("a.txt")
		if err != nil || !bytes.Equal(got, o.Files["a.txt"]) {
			t.Errorf("fetched %d octets, %v", len(got), err)
		}
		if err := m.Store("b.txt", []byte("new"), false); err != nil || string(o.Files["b.txt"]) != "new" {
			t.Errorf("stored %q, %v", o.Files["b.txt"], err)
		}
		if err := m.Store("c.txt", []byte("new"), true); err != nil || o.Files["c.txt"] != nil {
			t.Errorf("aborted %q, %v", o.Files["c.txt"], err)
		}
		if _, err := m.Fetch("none"); err == nil {
			t.Error("a file that is not there was read")
		}
	})
}

func TestAuthentication(t *testing.T) {
	relay := At16(12, 1, 0, CROB(LatchOn, 1, 0, 0)...)
	pair(t, func(o *Outstation) { o.Challenges = true }, func(m *Session, o *Outstation) {
		if _, err := m.Do(relay, false); err != nil || o.Points[BinaryOutput][0].Value != 1 {
			t.Errorf("with the key: %v", err)
		}
		m.WrongProof = true
		if _, err := m.Do(At16(12, 1, 0, CROB(LatchOff, 1, 0, 0)...), false); err == nil || o.Points[BinaryOutput][0].Value != 1 {
			t.Errorf("without the key: %v", err)
		}
	})
}

func TestBroadcast(t *testing.T) {
	pair(t, nil, func(m *Session, o *Outstation) {
		m.Peer = BroadcastOptional
		if err := m.Tell(DirectOperate, At16(12, 1, 0, CROB(LatchOn, 1, 0, 0)...)); err != nil {
			t.Error(err)
		}
		m.Peer = 1024
		a, err := m.Events()
		if err != nil || a.IIN&iinBroadcast == 0 || o.Points[BinaryOutput][0].Value != 1 {
			t.Errorf("IIN %04x, %v", a.IIN, err)
		}
		m.Peer, m.Timeout = 77, time.Second
		if _, err := m.Events(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("another address: %v", err)
		}
	})
}

func TestRestart(t *testing.T) {
	pair(t, nil, func(m *Session, o *Outstation) {
		if err := m.Start(); err != nil {
			t.Error(err)
		}
		a, err := m.Ask(ColdRestart)
		if want := []byte{52, 2, 7, 1, 0x40, 0x1f}; err != nil || !bytes.Equal(a.Objects, want) {
			t.Errorf("% x, %v; want % x", a.Objects, err, want)
		}
		if err := m.Run(m.Line.Clock.Now().Add(5 * time.Second)); err == nil {
			t.Error("the connection survived")
		}
		if o.iin&iinRestart == 0 {
			t.Error("the outstation does not say that it restarted")
		}
	})
}
