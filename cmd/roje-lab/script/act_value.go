package script

import (
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
)

// actsValue are acts that show in nothing but the values of measured points.
var actsValue = []Act{
	{Name: "modbus-false-value", Title: "a cooling controller shows a room that is on fire, for half a minute", Actor: "cooling", Victims: []string{"site-ctl"}, Expect: []string{"V01", "V02"},
		Techniques: []string{"T0832", "T0831"}, Virtual: true, Run: func(s *Stage, a Act) error {
			return s.meddle(a, 30*time.Second, func(u *modbusstation.Unit, _ time.Time) { u.Input[0] = 900 })
		}},
	{Name: "modbus-frozen-value", Title: "a rectifier's voltage stands still while its other values move", Actor: "rect-2", Victims: []string{"site-ctl"}, Expect: []string{"V03"},
		Techniques: []string{"T1692.002"}, Virtual: true, After: time.Minute, Length: 90 * time.Minute, Run: func(s *Stage, a Act) error {
			return s.meddle(a, 88*time.Minute, func(u *modbusstation.Unit, _ time.Time) { u.Input[0] = 5401 })
		}},
	{Name: "modbus-write-not-kept", Title: "a rectifier does not keep the voltage that its controller writes", Actor: "rect-1", Victims: []string{"site-ctl"}, Expect: []string{"V07"},
		Techniques: []string{"T0835"}, Virtual: true, Run: func(s *Stage, a Act) error {
			u := s.units[a.Actor][1]
			s.after(a.Victims[0], 0, func() {
				m := a
				m.Actor = a.Victims[0]
				if err := s.modbusTo(m, a.Actor, func(m *modbusstation.Master, s *Stage, _ Act) error {
					return chain(call2(m.WriteSingleRegister, floatVoltage, 5420), call2(m.ReadHoldingRegisters, 0, 8))
				}); err != nil {
					s.fail(a.Name, err)
				}
			})
			return s.meddle(a, 20*time.Second, func(*modbusstation.Unit, time.Time) { u.Holding[floatVoltage] = 5400 })
		}},
	{Name: "iec104-replay", Title: "the voltages that a station reported are played again nineteen minutes later", Actor: "rtu-2", Victims: []string{"scada-a"}, Expect: []string{"V08"},
		Techniques: []string{"T1692.002"}, Virtual: true, Before: recordVoltage, After: 19 * time.Minute, Length: 29 * time.Minute, Run: func(s *Stage, a Act) error {
			p := s.stations.IEC104[a.Actor].Points[2001]
			p.Vary(time.Time{})
			s.host(a.Actor).Sleep(9 * time.Minute)
			return nil
		}},
	{Name: "modbus-low-bit", Title: "a setting that nobody changes carries a message in its lowest bit", Actor: "rect-1", Victims: []string{"site-ctl"}, Expect: []string{"V10"},
		Techniques: []string{"T0869"}, Virtual: true, After: 3 * time.Minute, Length: 18 * time.Minute, Run: func(s *Stage, a Act) error {
			return s.meddle(a, 14*time.Minute, func(u *modbusstation.Unit, t time.Time) {
				u.Holding[6] = 118 + uint16(uint64(t.UnixNano())*0x9e3779b97f4a7c15>>63)
			})
		}},
}

// recordVoltage has a station report each of its voltages, and remembers them. Asked for the value at no time, the point begins
// to show what was remembered.
func recordVoltage(s *Stage) {
	p := s.stations.IEC104["rtu-2"].Points[2001]
	honest, tape, played := p.Vary, []float64{}, -1
	p.Dead = 0
	p.Vary = func(t time.Time) float64 {
		switch {
		case t.IsZero():
			played = 0
			return 0
		case played < 0 || played == len(tape):
			tape = append(tape, honest(t))
			return tape[len(tape)-1]
		}
		played++
		return tape[played-1]
	}
}

// meddle has a device's values be what change makes of them, for a while.
func (s *Stage) meddle(a Act, long time.Duration, change func(*modbusstation.Unit, time.Time)) error {
	u := s.units[a.Actor][1]
	honest := u.Refresh
	u.Refresh = func(t time.Time) {
		honest(t)
		change(u, t)
	}
	s.host(a.Actor).Sleep(long)
	u.Refresh = honest
	return nil
}
