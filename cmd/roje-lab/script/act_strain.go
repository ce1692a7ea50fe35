package script

import (
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
)

// actsStrain are acts that use up what a station has, or take it down, by means that are allowed one by one.
var actsStrain = []Act{
	{Name: "iec104-interrogations-known", Title: "the dispatch centre's own master interrogates a station again and again", Actor: "scada-a", Victims: []string{"rtu-2"}, Expect: []string{"R13"},
		Techniques: []string{"T0802", "T0814"}, Length: 8 * time.Minute, Run: iec104Act(2, func(m *iec104station.Session, s *Stage, a Act) error {
			err := m.Interrogate(20)
			if err == nil {
				err = m.Run(s.host(a.Actor).Now().Add(6 * time.Minute))
			}
			for range 10 {
				if err == nil {
					err = m.Interrogate(20)
				}
				s.host(a.Actor).Sleep(2 * time.Second)
			}
			return err
		})},
	{Name: "dnp3-restart", Title: "an outstation starts anew without having been told to", Actor: "rtu-4", Victims: []string{"gateway"},
		Expect: []string{"D04"}, Techniques: []string{"T0816"}, Virtual: true, Run: func(s *Stage, a Act) error {
			s.stations.DNP3[a.Actor].Restart()
			s.host(a.Actor).Sleep(20 * time.Second)
			return nil
		}},
	{Name: "connections-held", Title: "connections to a station are opened slowly, one after the other, and kept", Actor: "rogue", Victims: []string{"rtu-1"},
		Expect: []string{"B05"}, Techniques: []string{"T0814"}, Run: connectionsHeld},
}

// connectionsHeld keeps what it opens until the end.
func connectionsHeld(s *Stage, a Act) error {
	for range 24 {
		conn, err := s.dial(a.Actor, "tcp", a.Victims[0], ":2404")
		if err != nil {
			return err
		}
		defer conn.Close()
		s.host(a.Actor).Sleep(time.Second)
	}
	return nil
}
