package script

import (
	"encoding/binary"
	"io"
	"math"
	"net"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
)

// actsRate are acts that show in what comes too often, comes no more, or comes without having been asked for. Their
// captures are long enough to tell what is usual.
var actsRate = []Act{
	{Name: "station-silent", Title: "a genset controller answers no more", Actor: "genset", Victims: []string{"site-ctl"}, Expect: []string{"B01"}, Techniques: []string{"T0815"},
		Virtual: true, After: 4 * time.Minute, Length: 5 * time.Minute, Run: func(s *Stage, a Act) error {
			s.units[a.Actor][1].Hush()
			s.host(a.Actor).Sleep(45 * time.Second)
			return nil
		}},
	{Name: "poll-missing", Title: "a rectifier's measured values are no longer asked for, its settings are", Actor: "site-ctl", Victims: []string{"rect-1"}, Expect: []string{"B02"},
		Techniques: []string{"T1691.002"}, Virtual: true, After: 6 * time.Minute, Length: 7 * time.Minute, Run: func(s *Stage, a Act) error {
			s.skip[a.Victims[0]] = 4
			s.host(a.Actor).Sleep(45 * time.Second)
			return nil
		}},
	{Name: "iec104-report-flood", Title: "a station reports twenty values a second", Actor: "rtu-2", Victims: []string{"scada-a"}, Expect: []string{"B03"}, Techniques: []string{"T0814"},
		Virtual: true, After: 32 * time.Minute, Length: 33 * time.Minute, Run: func(s *Stage, a Act) error { return s.reports(a, 600, 50*time.Millisecond) }},
	{Name: "iec104-slow-flood", Title: "a station reports one value more every other second, for a quarter of an hour", Actor: "rtu-2", Victims: []string{"scada-a"}, Expect: []string{"B04"},
		Techniques: []string{"T1692.002"}, Virtual: true, After: 64 * time.Minute, Length: 80 * time.Minute, Run: func(s *Stage, a Act) error { return s.reports(a, 450, 2*time.Second) }},
	{Name: "iec104-reconnects", Title: "the sessions of a station break as soon as they are made", Actor: "rtu-3", Victims: []string{"scada-a"}, Expect: []string{"B06"}, Techniques: []string{"T0814"},
		Virtual: true, Before: func(s *Stage) { s.stations.IEC104["rtu-3"].Drop() }, After: 36 * time.Minute, Length: 49 * time.Minute, Run: func(s *Stage, a Act) error {
			for range 100 {
				s.stations.IEC104[a.Actor].Drop()
				s.host(a.Actor).Sleep(7 * time.Second)
			}
			return nil
		}},
	{Name: "iec104-execute-unselected", Title: "a breaker that is selected first is executed without that", Actor: "rogue", Victims: []string{"rtu-1"}, Expect: []string{"C13"},
		Techniques: []string{"T1692.001", "T0848"}, Length: 2 * time.Minute, Run: iec104Act(1, func(m *iec104station.Session, s *Stage, a Act) error {
			if err := m.Do(iec104station.Command{Type: 46, IOA: cmdBreaker, Value: 1, Select: true}); err != nil {
				return err
			}
			if err := m.Run(s.host(a.Actor).Now().Add(65 * time.Second)); err != nil {
				return err
			}
			return refused(m.Do(iec104station.Command{Type: 46, IOA: cmdBreaker, Value: 2}))
		})},
	{Name: "iec104-interrogations", Title: "a station is interrogated again and again", Actor: "rogue", Victims: []string{"rtu-1"}, Expect: []string{"R13"}, Techniques: []string{"T0802", "T0848"},
		Run: iec104Act(1, func(m *iec104station.Session, s *Stage, a Act) error {
			for range 8 {
				if err := m.Interrogate(20); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(2 * time.Second)
			}
			return nil
		})},
	{Name: "dnp3-deadband", Title: "the deadbands of an outstation's values are written, so that it reports nothing any more", Actor: "rogue", Victims: []string{"rtu-4"}, Expect: []string{"C16"},
		Techniques: []string{"T0838", "T0848"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			_, err := m.Ask(dnp3station.Write, dnp3station.Range(34, 1, 0, 2, 0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f))
			return err
		})},
	{Name: "modbus-unasked-responses", Title: "a false device answers what nobody asked", Actor: "visitor", Victims: []string{"site-ctl"}, Expect: []string{"P03"}, Techniques: []string{"T1692.002"},
		Malformed: true, Run: falseDevice(func(request []byte) (answers [][]byte) {
			for i := range byte(5) {
				answers = append(answers, answer(request[0], request[1]+7+i, uint16(300+uint16(i))))
			}
			return append(answers, answer(request[0], request[1], 250))
		})},
	{Name: "modbus-two-answers", Title: "a false device answers each request twice, and not the same", Actor: "visitor", Victims: []string{"site-ctl"}, Expect: []string{"P04"}, Techniques: []string{"T0830"},
		Malformed: true, Run: falseDevice(func(request []byte) [][]byte {
			return [][]byte{answer(request[0], request[1], 250), answer(request[0], request[1], 410)}
		})},
}

// reports has a station report its voltage n times more than it would, each time a little different.
func (s *Stage) reports(a Act, n int, every time.Duration) error {
	h, o := s.host(a.Actor), s.stations.IEC104[a.Actor]
	for i := range n {
		v := math.Float32bits(float32(o.Points[2001].Value + 0.001*float64(i%7)))
		o.Report(36, iec104station.Spontaneous, false, iec104station.Object{IOA: 2001,
			Data: append(append(binary.LittleEndian.AppendUint32(nil, v), 0), iec104station.TimeTag(h.Now(), 7)...)})
		h.Sleep(every)
	}
	return nil
}

// answer is a response of unit 1 to the reading of one holding register.
func answer(high, low byte, value uint16) []byte {
	return []byte{high, low, 0, 0, 0, 5, 1, 3, 2, byte(value >> 8), byte(value)}
}

// falseDevice makes the site's controller ask a device of the attacker's, which says what answers makes of each request.
// That is no device's way, and so it is not counted.
func falseDevice(answers func(request []byte) [][]byte) func(*Stage, Act) error {
	return func(s *Stage, a Act) error {
		s.serve(a.Actor, "tcp", ":502", func(conn net.Conn) error {
			defer conn.Close()
			request := make([]byte, 12)
			for {
				if _, err := io.ReadFull(conn, request); err != nil {
					return err
				}
				for _, b := range answers(request) {
					if _, err := conn.Write(b); err != nil {
						return err
					}
				}
			}
		})
		h := s.host(a.Victims[0])
		conn, err := s.dial(a.Victims[0], "tcp", a.Actor, ":502")
		if err != nil {
			return err
		}
		defer conn.Close()
		for i := range byte(4) {
			if _, err := conn.Write([]byte{9, 20 * i, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1}); err != nil {
				return err
			}
			h.Sleep(time.Second)
		}
		return nil
	}
}
