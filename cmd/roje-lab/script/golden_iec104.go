package script

import (
	"errors"
	"fmt"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
)

var goldenIEC104 = []golden{
	{"iec104/monitor.pcap", "every type in monitor direction, alone and in sequence", "scada-a", iec104Golden(iec104Monitor)},
	{"iec104/commands.pcap", "every command and set-point: direct, selected, with time tag, cancelled, refused", "scada-a", iec104Golden(iec104Commands)},
	{"iec104/system.pcap", "interrogations, counters, read, clock, test, parameters, reset and end of initialisation", "scada-a", iec104System},
	{"iec104/mirrors.pcap", "unknown type, cause, common address and object address", "scada-a", iec104Golden(iec104Mirrors)},
	{"iec104/files.pcap", "directory, a file read and a file written", "scada-a", iec104Golden(iec104Files)},
	{"iec104/session.pcap", "start, stop and start again, test frames from both sides, acknowledgement by w, t2 and k", "scada-a", iec104Golden(iec104Session)},
}

// iec104Golden makes one station and a started session with it.
func iec104Golden(do func(*Stage, *iec104station.Session, *iec104station.Outstation) error) func(*Stage) error {
	return func(s *Stage) error {
		o := s.rtu104("rtu-1", 1)
		return s.session104(func(m *iec104station.Session) error {
			if err := do(s, m, o); err != nil {
				return err
			}
			return m.Stop()
		})
	}
}

// session104 connects, starts data transfer, and hangs up after do.
func (s *Stage) session104(do func(*iec104station.Session) error) error {
	conn, err := s.dial("scada-a", "tcp", "rtu-1", ":2404")
	if err != nil {
		return err
	}
	defer conn.Close()
	m := iec104station.NewSession(conn, s.host("scada-a"), s.Tally, 1, 3)
	if err := m.Start(); err != nil {
		return err
	}
	return do(m)
}

// samples are elements of the types in monitor direction, without the time tags that the type's name promises.
var samples = []struct {
	kind byte
	data []byte
	tag  int // bytes of time tag: 0, 3 (CP24) or 7 (CP56)
}{
	{1, []byte{0x01}, 0}, {2, []byte{0x81}, 3}, {3, []byte{0x02}, 0}, {4, []byte{0x11}, 3}, {5, []byte{0x85, 0x00}, 0}, {6, []byte{0x3f, 0x10}, 3},
	{7, []byte{1, 2, 3, 4, 0}, 0}, {8, []byte{0xff, 0, 0xff, 0, 0x80}, 3}, {9, []byte{0, 0x40, 0}, 0}, {10, []byte{0, 0xc0, 1}, 3},
	{11, []byte{0x39, 0x30, 0}, 0}, {12, []byte{0xc7, 0xcf, 0x40}, 3}, {13, []byte{0, 0, 0xf6, 0x42, 0}, 0}, {14, []byte{0xc3, 0xf5, 0x48, 0x40, 0x10}, 3},
	{15, []byte{0x40, 0xe2, 1, 0, 0x05}, 0}, {16, []byte{0xff, 0xff, 0xff, 0x7f, 0x46}, 3}, {17, []byte{0x01, 0x64, 0}, 3}, {18, []byte{0x03, 0x01, 0x2c, 1}, 3},
	{19, []byte{0x05, 0x00, 0x2c, 1}, 3}, {20, []byte{0x0f, 0x00, 0x03, 0x00, 0}, 0}, {21, []byte{0, 0x20}, 0},
	{30, []byte{0x00}, 7}, {31, []byte{0x01}, 7}, {32, []byte{0x7f, 0x00}, 7}, {33, []byte{5, 6, 7, 8, 0}, 7}, {34, []byte{0, 0x80, 0x20}, 7},
	{35, []byte{0x01, 0x80, 0}, 7}, {36, []byte{0, 0, 0x80, 0xbf, 0}, 7}, {37, []byte{1, 0, 0, 0, 0xe3}, 7}, {38, []byte{0x02, 0x64, 0}, 7},
	{39, []byte{0x0f, 0x02, 0x2c, 1}, 7}, {40, []byte{0x07, 0x00, 0x2c, 1}, 7},
}

// together is the cause with which a sequence of a type is sent, where the type has sequences.
var together = map[byte]byte{1: 20, 3: 20, 5: 20, 7: 20, 9: 1, 11: 1, 13: 1, 15: 37, 20: 20, 21: 1}

// iec104Monitor makes the station report each type: one object, two with addresses of their own, and a sequence.
func iec104Monitor(s *Stage, m *iec104station.Session, o *iec104station.Outstation) error {
	h := s.host("scada-a")
	for _, e := range samples {
		tag := iec104station.TimeTag(h.Now(), e.tag)
		object := func(ioa uint32) iec104station.Object {
			return iec104station.Object{IOA: ioa, Data: append(append([]byte(nil), e.data...), tag...)}
		}
		base := uint32(e.kind) * 100
		o.Report(e.kind, iec104station.Spontaneous, false, object(base))
		if alone := e.kind == 18 || e.kind == 19 || e.kind == 39 || e.kind == 40; !alone { // packed events: one object each
			o.Report(e.kind, iec104station.Spontaneous, false, object(base+1), object(base+5))
		}
		if cause := together[e.kind]; cause != 0 {
			o.Report(e.kind, cause, true, object(base+10), object(base+11), object(base+12))
		}
		if err := m.Run(h.Now().Add(time.Second)); err != nil {
			return err
		}
	}
	return nil
}

func iec104Commands(s *Stage, m *iec104station.Session, o *iec104station.Outstation) error {
	list := []iec104station.Command{
		{Type: 45, IOA: cmdProtection, Value: 0}, {Type: 46, IOA: cmdBreaker, Value: 1, Select: true}, {Type: 47, IOA: cmdTap, Value: 2},
		{Type: 48, IOA: cmdNormal, Value: -0.25}, {Type: 49, IOA: cmdScaled, Value: -120}, {Type: 50, IOA: cmdSetpoint, Value: 31.5}, {Type: 51, IOA: cmdBits, Value: 0xa5},
	}
	for _, c := range list {
		for _, kind := range []byte{c.Type, c.Type + 13} {
			c.Type = kind
			if err := m.Do(c); err != nil {
				return fmt.Errorf("type %d: %w", kind, err)
			}
		}
		if c.Type-13 >= 48 && c.Type-13 <= 50 {
			c.Select = true
			if err := m.Do(c); err != nil {
				return err
			}
		}
	}
	if err := m.Cancel(iec104station.Command{Type: 46, IOA: cmdIsolator, Value: 1}); err != nil {
		return err
	}
	if err := m.Do(iec104station.Command{Type: 46, IOA: cmdIsolator, Value: 1}); !errors.Is(err, iec104station.ErrRefused) {
		return fmt.Errorf("execute without select: %w", err)
	}
	return m.Run(s.host("scada-a").Now().Add(5 * time.Second))
}

// iec104System ends with a reset, after which the station starts anew.
func iec104System(s *Stage) error {
	h := s.host("scada-a")
	s.rtu104("rtu-1", 1)
	err := s.session104(func(m *iec104station.Session) error {
		for qoi := byte(20); qoi <= 24; qoi++ {
			if err := m.Interrogate(qoi); err != nil {
				return err
			}
		}
		for _, do := range []func() error{
			func() error { return m.Counters(5) }, func() error { return m.Counters(0x45) }, func() error { return m.Counters(0x85) },
			func() error { return m.Read(voltage) }, func() error { return m.Read(breaker) }, func() error { return m.SetClock(h.Now()) },
			func() error { return m.TestCommand(h.Now()) }, func() error { return parameter(m, 104, 0, 0xaa, 0x55) },
			func() error { return parameter(m, 110, 2006, 0, 0x10, 1) }, func() error { return parameter(m, 111, 2005, 0x64, 0, 2) },
			func() error { return parameter(m, 112, voltage, 0, 0, 0x80, 0x3f, 3) }, func() error { return parameter(m, 113, voltage, 3) },
			m.Reset,
		} {
			if err := do(); err != nil {
				return err
			}
		}
		if err := m.Run(h.Now().Add(5 * time.Second)); err == nil {
			return errors.New("the station did not reset")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.session104(func(m *iec104station.Session) error {
		if err := m.Interrogate(20); err != nil {
			return err
		}
		return m.Stop()
	})
}

// parameter sends a parameter in control direction, or another request that is only confirmed.
func parameter(m *iec104station.Session, kind byte, ioa uint32, data ...byte) error {
	return m.Ask(kind, iec104station.Activation, iec104station.Object{IOA: ioa, Data: data}, iec104station.ActCon)
}

func iec104Mirrors(s *Stage, m *iec104station.Session, o *iec104station.Outstation) error {
	now := s.host("scada-a").Now()
	hourAgo := iec104station.TimeTag(now.Add(-time.Hour), 7)
	for _, a := range []*iec104station.ASDU{
		{Type: 127, Cause: iec104station.Requested, Objects: []iec104station.Object{{Data: append([]byte{1, 0}, append(hourAgo, iec104station.TimeTag(now, 7)...)...)}}},
		{Type: 45, Cause: iec104station.Spontaneous, Objects: []iec104station.Object{{IOA: cmdProtection, Data: []byte{1}}}},
		{Type: 45, Cause: iec104station.Activation, CA: 77, Objects: []iec104station.Object{{IOA: cmdProtection, Data: []byte{1}}}},
		{Type: 45, Cause: iec104station.Activation, Objects: []iec104station.Object{{IOA: 9999, Data: []byte{1}}}},
		{Type: 45, Cause: iec104station.Activation, Test: true, Objects: []iec104station.Object{{IOA: 9998, Data: []byte{0}}}},
	} {
		if err := m.Send(a); err != nil {
			return err
		}
		if err := m.Run(s.host("scada-a").Now().Add(time.Second)); err != nil {
			return err
		}
	}
	return nil
}

func iec104Files(s *Stage, m *iec104station.Session, o *iec104station.Outstation) error {
	if err := m.Directory(); err != nil {
		return err
	}
	got, err := m.Fetch(disturbance, 1)
	if err != nil {
		return err
	}
	if want := 1030; len(got) != want {
		return fmt.Errorf("fetched %d bytes of %d", len(got), want)
	}
	if err := m.Store(disturbance+1, &iec104station.File{Name: 2, Sections: [][]byte{comtrade(450), comtrade(20)}}); err != nil {
		return err
	}
	return m.Directory()
}

func iec104Session(s *Stage, m *iec104station.Session, o *iec104station.Outstation) error {
	h := s.host("scada-a")
	for range 30 { // more than k at once, acknowledged by w
		o.Move(breaker, 1)
	}
	if err := m.Run(h.Now().Add(3 * time.Second)); err != nil {
		return err
	}
	o.Move(breaker, 2) // acknowledged by t2
	if err := m.Run(h.Now().Add(45 * time.Second)); err != nil {
		return err
	}
	if err := m.Test(); err != nil {
		return err
	}
	if err := m.Run(h.Now().Add(time.Second)); err != nil {
		return err
	}
	if err := m.Stop(); err != nil {
		return err
	}
	if err := m.Run(h.Now().Add(25 * time.Second)); err != nil {
		return err
	}
	return m.Start()
}
