package script

import (
	"errors"
	"os"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
)

// actsHabit are acts that are told by what a host, an operator or a switch is used to.
var actsHabit = []Act{
	{Name: "iec104-reader-commands", Title: "a network centre that only ever read a station switches its protection off", Actor: "noc", Victims: []string{"site-rtu"},
		Expect: []string{"A02"}, Techniques: []string{"T1692.001"}, Run: iec104Act(71, func(m *iec104station.Session, s *Stage, a Act) error {
			return m.Do(iec104station.Command{Type: 45, IOA: cmdProtection, Value: 0})
		})},
	{Name: "iec104-first-command", Title: "the dispatch centre's own master switches off a protection that nobody ever switched", Actor: "scada-a", Victims: []string{"rtu-1"},
		Expect: []string{"C01"}, Techniques: []string{"T1692.001"}, Run: iec104Act(1, func(m *iec104station.Session, s *Stage, a Act) error {
			return m.Do(iec104station.Command{Type: 45, IOA: cmdProtection, Value: 0})
		})},
	{Name: "modbus-night-command", Title: "the site's controller starts the genset in the middle of the night", Actor: "site-ctl", Victims: []string{"genset"},
		Expect: []string{"A09"}, Techniques: []string{"T1692.001"}, Run: modbusAct(func(m *modbusstation.Master, s *Stage, a Act) error {
			return chain(call2(m.WriteSingleCoil, runGenset, 0xff00))
		})},
	{Name: "dnp3-challenge-unanswered", Title: "an outstation asks who trips its breaker, and gets no proof", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"A12", "A01"}, Techniques: []string{"T1692.001", "T0859"}, Virtual: true, Run: func(s *Stage, a Act) error {
			s.stations.DNP3[a.Victims[0]].Challenges = true
			return dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
				if err := m.Tell(dnp3station.DirectOperate, tripRelay); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(20 * time.Second)
				return nil
			})(s, a)
		}},
	{Name: "iec104-range-loop", Title: "a range of objects is switched on, off and on again, as Industroyer did", Actor: "rogue", Victims: []string{"rtu-3"},
		Expect: []string{"C06", "C03", "A01"}, Techniques: []string{"T0806", "T0831", "T0848"}, Run: iec104Act(3, func(m *iec104station.Session, s *Stage, a Act) error {
			for _, v := range []float64{1, 0, 1} {
				for i := uint32(1); i <= 6; i++ {
					if err := m.Do(iec104station.Command{Type: 45, IOA: cmdFeeders + i, Value: v, Direct: true}); err != nil {
						return err
					}
					s.host(a.Actor).Sleep(150 * time.Millisecond)
				}
			}
			return nil
		})},
	{Name: "iec104-refused-commands", Title: "something else is executed than was selected, and then an isolator again and again without selecting it", Actor: "rogue", Victims: []string{"rtu-1"},
		Expect: []string{"C10", "C13", "A01"}, Techniques: []string{"T1692.001", "T0848"}, Run: iec104Act(1, refusedCommands)},
	{Name: "iec104-command-unanswered", Title: "a station's answer to a command of the dispatch centre is kept back", Actor: "scada-a", Victims: []string{"rtu-3"},
		Expect: []string{"C13"}, Techniques: []string{"T1692.001"}, Virtual: true, Length: 90 * time.Second, Run: func(s *Stage, a Act) error {
			s.stations.IEC104[a.Victims[0]].Controls[cmdProtection].Deaf = true
			return iec104Act(3, func(m *iec104station.Session, s *Stage, a Act) error {
				err := m.Do(iec104station.Command{Type: 45, IOA: cmdProtection, Value: 0})
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					return errors.Join(errors.New("the command was answered"), err)
				}
				return m.Run(s.host(a.Actor).Now().Add(25 * time.Second))
			})(s, a)
		}},
	{Name: "iec104-false-position", Title: "a station confirms a command that moves nothing, and later moves without a command", Actor: "scada-a", Victims: []string{"rtu-3"},
		Expect: []string{"V06"}, Techniques: []string{"T0831"}, Virtual: true, Before: switchProtection, After: time.Minute, Length: 3 * time.Minute, Run: falsePosition},
	{Name: "iec104-restart", Title: "a station starts anew without having been told to", Actor: "rtu-3", Victims: []string{"scada-a"},
		Expect: []string{"D03", "D04"}, Techniques: []string{"T0816"}, Virtual: true, Run: func(s *Stage, a Act) error {
			s.stations.IEC104[a.Actor].Restart()
			s.host(a.Actor).Sleep(10 * time.Second)
			return nil
		}},
	{Name: "iec104-account-taken", Title: "an operator's account that switched one protection now and then for five hours switches one feeder after the other", Actor: "scada-a", Victims: []string{"rtu-3"},
		Expect: []string{"C03"}, Techniques: []string{"T0806", "T1692.001"}, Alone: true, Pace: 10 * time.Minute, Before: nowAndThen, After: 312 * time.Minute, Length: 325 * time.Minute,
		Run: iec104Act(3, func(m *iec104station.Session, s *Stage, a Act) error {
			for i := range uint32(48) { // within ten minutes, wherever those begin
				if err := m.Do(iec104station.Command{Type: 45, IOA: cmdFeeders + 1 + i%16, Value: 0}); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(10 * time.Second)
			}
			return nil
		})},
}

// refusedCommands selects one position of a breaker and executes the other, and then executes what needs a selection.
func refusedCommands(m *iec104station.Session, s *Stage, a Act) error {
	const selects = 0x80
	do := func(element byte, last byte) error {
		return m.Ask(46, iec104station.Activation, iec104station.Object{IOA: cmdBreaker, Data: []byte{element}}, last)
	}
	if err := errors.Join(do(1|selects, iec104station.ActCon), do(2, iec104station.ActTerm)); err != nil {
		return err
	}
	for range 12 {
		if err := refused(m.Do(iec104station.Command{Type: 46, IOA: cmdIsolator, Value: 1})); err != nil {
			return err
		}
		s.host(a.Actor).Sleep(700 * time.Millisecond)
	}
	return nil
}

// onRTU3 has the dispatch centre command the third station, as a part of its work.
func (s *Stage) onRTU3(do func(*iec104station.Session) error) {
	err := iec104Act(3, func(m *iec104station.Session, _ *Stage, _ Act) error { return do(m) })(s, Act{Actor: "scada-a", Victims: []string{"rtu-3"}})
	if err != nil {
		s.fail("scada-a", err)
	}
}

// switchings is how many commands switchProtection gives.
const switchings = 12

// switchProtection switches a protection off and on six times, so that it is known what follows its commands.
func switchProtection(s *Stage) {
	s.onRTU3(func(m *iec104station.Session) error {
		for i := range switchings {
			if err := m.Do(iec104station.Command{Type: 45, IOA: cmdProtection, Value: float64(i % 2)}); err != nil {
				return err
			}
			s.host("scada-a").Sleep(3 * time.Second)
		}
		return nil
	})
}

// falsePosition has a station say yes and do nothing, and then do what nobody asked for.
func falsePosition(s *Stage, a Act) error {
	o := s.stations.IEC104[a.Victims[0]]
	o.Controls[cmdProtection].Stuck = true
	s.onRTU3(func(m *iec104station.Session) error {
		return m.Do(iec104station.Command{Type: 45, IOA: cmdProtection, Value: 0})
	})
	s.host(a.Actor).Sleep(80 * time.Second)
	o.Controls[cmdProtection].Stuck = false
	o.Move(protection, 0)
	return nil
}

// nowAndThen switches a protection off and on every three minutes, for as long as it is watched.
func nowAndThen(s *Stage) {
	s.onRTU3(func(m *iec104station.Session) error {
		for i := range 110 {
			if err := m.Do(iec104station.Command{Type: 45, IOA: cmdProtection, Value: float64(i % 2)}); err != nil {
				return err
			}
			if err := m.Run(s.host("scada-a").Now().Add(3 * time.Minute)); err != nil {
				return err
			}
		}
		return nil
	})
}
