package script

import (
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
)

// actsDepart are acts that are told by what a station or a host has always done, and now does not.
var actsDepart = []Act{
	{Name: "iec104-command-unended", Title: "a station confirms a command and never says that it is done, as it always did", Actor: "scada-a", Victims: []string{"rtu-3"},
		Expect: []string{"C13"}, Techniques: []string{"T1692.001"}, Virtual: true, Before: switchProtection, After: time.Minute, Length: 3 * time.Minute,
		Run: func(s *Stage, a Act) error {
			s.stations.IEC104[a.Victims[0]].Controls[cmdProtection].Endless = true
			s.onRTU3(func(m *iec104station.Session) error {
				if err := m.Do(iec104station.Command{Type: 45, IOA: cmdProtection, Value: 0, Direct: true}); err != nil {
					return err
				}
				return m.Run(s.host(a.Actor).Now().Add(70 * time.Second))
			})
			return nil
		}},
	{Name: "dnp3-challenge-dropped", Title: "an outstation that asked for a proof with each command takes one without", Actor: "gateway", Victims: []string{"rtu-4"},
		Expect: []string{"A11"}, Techniques: []string{"T0830"}, Virtual: true, Before: proven, After: 2 * time.Minute, Length: 4 * time.Minute,
		Run: func(s *Stage, a Act) error {
			s.stations.DNP3[a.Victims[0]].Challenges = false
			return dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
				if _, err := m.Do(tripRelay, true); err != nil {
					return err
				}
				return m.Run(s.host(a.Actor).Now().Add(20 * time.Second))
			})(s, a)
		}},
	{Name: "iec104-file-volume", Title: "an engineer's computer that read a disturbance record now and then reads it forty times", Actor: "eng-laptop", Victims: []string{"rtu-1"},
		Expect: []string{"D06"}, Techniques: []string{"T1693.002"}, Alone: true, Pace: 10 * time.Minute, Before: readRecords, After: 445 * time.Minute, Length: 475 * time.Minute,
		Run: func(s *Stage, a Act) error {
			return s.onRecords(func(m *iec104station.Session) error {
				for range 40 {
					if _, err := m.Fetch(disturbance, 1); err != nil {
						return err
					}
					if err := m.Run(s.host(a.Actor).Now().Add(20 * time.Second)); err != nil {
						return err
					}
				}
				return nil
			})
		}},
	{Name: "tcp-forged-reset", Title: "a forged reset is to cut the session of the dispatch centre's master, which goes on", Actor: "rogue", Victims: []string{"scada-a", "rtu-2"},
		Expect: []string{"P13"}, Techniques: []string{"T0830"}, Virtual: true, Run: forgedReset},
	{Name: "modbus-counter-back", Title: "a genset's hours run are turned back", Actor: "genset", Victims: []string{"site-ctl"},
		Expect: []string{"V09"}, Techniques: []string{"T1692.002"}, Virtual: true, Run: func(s *Stage, a Act) error {
			return s.meddle(a, 30*time.Second, func(u *modbusstation.Unit, _ time.Time) { u.Input[1] -= 40 })
		}},
}

// proven has an outstation challenge each command from here on, and its master command a relay twelve times.
func proven(s *Stage) {
	s.stations.DNP3["rtu-4"].Challenges = true
	err := dnp3Act(func(m *dnp3station.Session, s *Stage, _ Act) error {
		for i := range 12 {
			do := closeRelay
			if i%2 == 0 {
				do = tripRelay
			}
			if _, err := m.Do(do, true); err != nil {
				return err
			}
			s.host("gateway").Sleep(8 * time.Second)
		}
		return nil
	})(s, Act{Actor: "gateway", Victims: []string{"rtu-4"}})
	if err != nil {
		s.fail("gateway", err)
	}
}

// forgedReset has the attacker reset a session of the dispatch centre's.
func forgedReset(s *Stage, a Act) error {
	session := a
	session.Actor, session.Victims = a.Victims[0], a.Victims[1:]
	return iec104Act(2, func(m *iec104station.Session, s *Stage, _ Act) error {
		if err := m.Interrogate(20); err != nil {
			return err
		}
		s.lan(a.Actor).ForgeEnd(m.Line.Conn)
		if err := m.Run(s.host(a.Actor).Now().Add(3 * time.Second)); err != nil {
			return err
		}
		return m.Interrogate(20)
	})(s, session)
}

// onRecords has the engineer's computer do something with the first station's files.
func (s *Stage) onRecords(do func(*iec104station.Session) error) error {
	conn, err := s.dial("eng-laptop", "tcp", "rtu-1", ":2404")
	if err != nil {
		return err
	}
	h := s.host("eng-laptop")
	defer h.Go(func() { // an act ends before its capture does
		h.Sleep(time.Second)
		conn.Close()
	})
	m := iec104station.NewSession(conn, h, s.Tally, 1, 9)
	if err := m.Start(); err != nil {
		return err
	}
	if err := do(m); err != nil {
		return err
	}
	return m.Stop()
}

// readRecords reads a disturbance record twice an hour for seven hours.
func readRecords(s *Stage) {
	err := s.onRecords(func(m *iec104station.Session) error {
		for range 14 {
			if _, err := m.Fetch(disturbance, 1); err != nil {
				return err
			}
			if err := m.Run(s.host("eng-laptop").Now().Add(30 * time.Minute)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.fail("eng-laptop", err)
	}
}
