package iec104station

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/simnet"
	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

func outstation(t *tally.Tally, clock station.Clock) *Outstation {
	return &Outstation{CA: 5, Clock: clock, Tally: t,
		Points:   map[uint32]*Point{10: {Type: 3, Value: 2}, 11: {Type: 3, Value: 1}, 20: {Type: 13, Value: 1.5}, 30: {Type: 15, Value: 77}},
		Controls: map[uint32]*Control{100: {Type: 46, Point: 10, Select: true, Travel: time.Second}, 101: {Type: 50, Point: 20}},
		Files:    map[uint32]*File{200: {Name: 1, Sections: [][]byte{make([]byte, 300), []byte("end")}}}}
}

// pair runs a session against an outstation, in virtual time.
func pair(t *testing.T, do func(*Session, *Outstation)) *tally.Tally {
	count := &tally.Tally{}
	n := simnet.New(time.Date(2026, 3, 9, 6, 0, 0, 0, time.UTC), 1, func(time.Time, []byte) {})
	lan := &simnet.LAN{}
	far := n.Host(simnet.Spec{Addr: netip.MustParseAddr("10.0.0.1"), LAN: lan, Think: time.Millisecond})
	near := n.Host(simnet.Spec{Addr: netip.MustParseAddr("10.0.0.2"), LAN: lan, Think: time.Millisecond})
	o := outstation(count, far)
	if _, err := station.Serve(far, "tcp", ":2404", o.Serve); err != nil {
		t.Fatal(err)
	}
	done := false
	near.Go(func() {
		m := connect(t, near, count)
		if m == nil {
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

// connect starts a session.
func connect(t *testing.T, h *simnet.Host, count *tally.Tally) *Session {
	conn, err := h.Dial("tcp", "10.0.0.1:2404")
	if err != nil {
		t.Error(err)
		return nil
	}
	m := NewSession(conn, h, count, 5, 1)
	if err := m.Start(); err != nil {
		t.Error(err)
		return nil
	}
	return m
}

func TestEncode(t *testing.T) {
	when := time.Date(2026, 3, 10, 14, 7, 9, 250e6, time.UTC) // a Tuesday
	for _, c := range []struct {
		name string
		got  []byte
		want []byte
	}{
		{"CP56Time2a", cp56(when), []byte{0x22, 0x24, 7, 14, 10 | 2<<5, 3, 26}},
		{"normalised", norm(-0.5), []byte{0x00, 0xc0}}, {"normalised, too large", norm(1), []byte{0xff, 0x7f}},
		{"float", real(1), []byte{0, 0, 0x80, 0x3f}},
		{"one object", (&ASDU{Type: 45, Cause: Activation, CA: 0x0102, OA: 3, Objects: []Object{{0x030201, []byte{0x81}}}}).encode(),
			[]byte{45, 1, 6, 3, 2, 1, 1, 2, 3, 0x81}},
		{"sequence, negative, test", (&ASDU{Type: 1, SQ: true, Cause: 3, Neg: true, Test: true, CA: 1, Objects: []Object{{7, []byte{1}}, {8, []byte{0}}}}).encode(),
			[]byte{1, 0x82, 0xc3, 0, 1, 0, 7, 0, 0, 1, 0}},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%s: got % x, want % x", c.name, c.got, c.want)
		}
	}
}

// TestDecode holds that decoding gives back what was encoded, for each type with a known size.
func TestDecode(t *testing.T) {
	for kind, size := range sizes {
		for _, sq := range []bool{false, true} {
			a := &ASDU{Type: kind, SQ: sq, Cause: 3, CA: 9, Objects: []Object{{1, make([]byte, size)}, {2, bytes.Repeat([]byte{7}, size)}}}
			got, err := decode(a.encode())
			if err != nil || len(got.Objects) != 2 || got.Objects[1].IOA != 2 || !bytes.Equal(got.Objects[1].Data, a.Objects[1].Data) {
				t.Errorf("type %d: %+v, %v", kind, got, err)
			}
			if _, err := decode(a.encode()[:8]); err == nil && size > 0 {
				t.Errorf("type %d: cut short and taken", kind)
			}
		}
	}
}

func TestCommands(t *testing.T) {
	pair(t, func(m *Session, o *Outstation) {
		begin := m.Line.Clock.Now()
		if err := m.Do(Command{Type: 46, IOA: 100, Value: 1}); !errors.Is(err, ErrRefused) {
			t.Errorf("execute without select: %v", err)
		}
		if err := m.Do(Command{Type: 46, IOA: 100, Value: 1, Select: true}); err != nil {
			t.Error(err)
		}
		if took := m.Line.Clock.Now().Sub(begin); took < time.Second {
			t.Errorf("terminated after %v, before the breaker had moved", took)
		}
		if o.Points[10].Value != 1 {
			t.Error("the breaker did not move")
		}
		if err := m.Do(Command{Type: 63, IOA: 101, Value: 12.5}); err != nil || o.Points[20].Value != 12.5 {
			t.Errorf("set-point: %v, %v", o.Points[20].Value, err)
		}
		if err := m.Do(Command{Type: 45, IOA: 999}); !errors.Is(err, ErrRefused) {
			t.Errorf("unknown object: %v", err)
		}
		if err := m.Ask(100, Activation, Object{Data: []byte{77}}, ActTerm); !errors.Is(err, ErrRefused) {
			t.Errorf("unknown qualifier: %v", err)
		}
	})
}

func TestSelectExpires(t *testing.T) {
	pair(t, func(m *Session, o *Outstation) {
		c := Command{Type: 46, IOA: 100, Value: 1}
		if err := m.Ask(46, Activation, Object{100, c.element(0x80, m.Line.Clock.Now())}, ActCon); err != nil {
			t.Error(err)
		}
		if err := m.Run(m.Line.Clock.Now().Add(selectLife + time.Second)); err != nil {
			t.Error(err)
		}
		if err := m.Do(c); !errors.Is(err, ErrRefused) {
			t.Errorf("an old selection: %v", err)
		}
	})
}

func TestFiles(t *testing.T) {
	pair(t, func(m *Session, o *Outstation) {
		got, err := m.Fetch(200, 1)
		if err != nil || len(got) != 303 || string(got[300:]) != "end" {
			t.Errorf("fetched %d bytes, %v", len(got), err)
		}
		if err := m.Store(201, &File{Name: 2, Sections: [][]byte{[]byte("one"), []byte("two")}}); err != nil {
			t.Error(err)
		}
		if f := o.Files[201]; f == nil || len(f.Sections) != 2 || string(f.Sections[1]) != "two" {
			t.Errorf("stored %+v", f)
		}
	})
}

// TestWindow holds that no more than k frames are on their way, and that all arrive.
func TestWindow(t *testing.T) {
	count := pair(t, func(m *Session, o *Outstation) {
		for range 40 {
			o.Move(10, 1)
		}
		if err := m.Run(m.Line.Clock.Now().Add(time.Second)); err != nil {
			t.Error(err)
		}
		if m.vr != 40 {
			t.Errorf("%d frames came, want 40", m.vr)
		}
	})
	if got := count.Counts()["iec104"]["apci"]["1"]; got != 40/w {
		t.Errorf("%d S frames, want one for each %d frames", got, w)
	}
}

// TestSilence holds that an idle connection is tested every t3, and acknowledged after t2.
func TestSilence(t *testing.T) {
	count := pair(t, func(m *Session, o *Outstation) {
		o.Move(10, 1)
		if err := m.Run(m.Line.Clock.Now().Add(65 * time.Second)); err != nil {
			t.Error(err)
		}
	})
	got := count.Counts()["iec104"]
	if got["utypes"]["16"] != 3 || got["utypes"]["32"] != 3 || got["apci"]["1"] != 1 {
		t.Errorf("counted %v", got)
	}
}

func TestReset(t *testing.T) {
	pair(t, func(m *Session, o *Outstation) {
		if err := m.Reset(); err != nil {
			t.Error(err)
		}
		if err := m.Run(m.Line.Clock.Now().Add(5 * time.Second)); err == nil {
			t.Error("the connection survived")
		}
		again := connect(t, m.Line.Clock.(*simnet.Host), nil)
		if again == nil {
			return
		}
		if err := again.wait(func(a *ASDU) bool { return a.Type == 70 && a.Cause == Initialised }); err != nil {
			t.Errorf("no end of initialisation: %v", err)
		}
	})
}
