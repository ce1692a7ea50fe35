package script

import (
	"io"
	"net"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
)

// actsWire are acts on the way between two ends.
var actsWire = []Act{
	{Name: "arp-mitm-centre", Title: "announcements to everybody draw a station's reports to its dispatch centre through an attacker", Actor: "rogue", Victims: []string{"scada-a", "rtu-2"},
		Expect: []string{"L01", "L02", "L03"}, Techniques: []string{"T0830"}, Virtual: true, Run: mitmAtCentre},
	{Name: "modbus-answers-delayed", Title: "each answer of a controller comes a sixth of a second later", Actor: "genset", Victims: []string{"site-ctl"},
		Expect: []string{"L04"}, Techniques: []string{"T0830"}, Virtual: true, Pace: 2 * brisk, After: time.Minute, Length: 13 * time.Minute, Run: func(s *Stage, a Act) error {
			h := s.lan(a.Actor)
			think := h.Think
			h.Think += 160 * time.Millisecond
			h.Sleep(11 * time.Minute)
			h.Think = think
			return nil
		}},
	{Name: "iec104-report-missing", Title: "one of a station's cyclic reports comes no more, the others do", Actor: "rtu-2", Victims: []string{"scada-a"},
		Expect: []string{"B02"}, Techniques: []string{"T1691.002"}, Virtual: true, Before: reportInTurn, After: 6 * time.Minute, Length: 7 * time.Minute, Run: func(s *Stage, a Act) error {
			s.stations.IEC104[a.Actor].Points[voltage].Dead = 1e12
			s.host(a.Actor).Sleep(45 * time.Second)
			return nil
		}},
	{Name: "dnp3-two-answers", Title: "a false outstation answers each request twice, and not the same, and then in segments that do not follow each other", Actor: "rogue", Victims: []string{"gateway"},
		Expect: []string{"P04", "P11"}, Techniques: []string{"T0830", "T1692.002"}, Malformed: true, Run: dnp3TwoAnswers},
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

// reportInTurn has a station report two of its values each time that it looks at them.
func reportInTurn(s *Stage) {
	for _, ioa := range []uint32{voltage, 2003} {
		p := s.stations.IEC104["rtu-2"].Points[ioa]
		p.Cyclic, p.Dead = true, 0
	}
}

// dnp3TwoAnswers makes the gateway ask an outstation of the attacker's. What that sends is no outstation's way, and so it is
// not counted.
func dnp3TwoAnswers(s *Stage, a Act) error {
	const master, outstation, address = 0xc4, 0x44, 9 // unconfirmed user data of either; the false one's address
	const whole, first, final = 0xc0, 0x40, 0x80
	s.serve(a.Actor, "tcp", ":20000", func(conn net.Conn) error {
		defer conn.Close()
		request := make([]byte, 18)
		for n := byte(0); ; n++ {
			if _, err := io.ReadFull(conn, request); err != nil {
				return err
			}
			answer := func(state byte) []byte {
				return append([]byte{whole | n, dnp3station.Response, 0, 0}, dnp3station.Range(1, 2, 0, 0, state)...)
			}
			segments := [][]byte{append([]byte{whole}, answer(0x81)...), append([]byte{whole | 1}, answer(0x01)...)}
			if n == 3 {
				segments = [][]byte{append([]byte{first}, answer(0x81)...), {final | 5, 1, 2, 0, 1, 1, 1}}
			}
			for _, segment := range segments {
				if err := send(conn, dnp3station.Frame(outstation, dnp3Master, address, segment)); err != nil {
					return err
				}
			}
		}
	})
	conn, err := s.dial(a.Victims[0], "tcp", a.Actor, ":20000")
	if err != nil {
		return err
	}
	defer conn.Close()
	for n := range byte(4) {
		if err := send(conn, dnp3station.Frame(master, address, dnp3Master, []byte{whole | n, whole | n, dnp3station.Read, 60, 2, 6})); err != nil {
			return err
		}
		s.host(a.Victims[0]).Sleep(time.Second)
	}
	return nil
}
