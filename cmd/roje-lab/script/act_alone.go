package script

import (
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
)

// actsAlone are acts in which a device does what nobody commanded.
var actsAlone = []Act{
	{Name: "modbus-moves-alone", Title: "a rectifier's float voltage, which follows its controller's writes, changes without one", Actor: "rect-1", Victims: []string{"site-ctl"},
		Expect: []string{"V06"}, Techniques: []string{"T0831"}, Virtual: true, Before: toAndFro, After: 5 * time.Minute, Length: 6 * time.Minute, Run: movesAlone},
}

// Commanded is what modbus-moves-alone looks like when all is well: the controller writes what then changes.
var Commanded = Act{Name: "modbus-moves-commanded", Title: "a rectifier's float voltage changes as its controller writes it", Actor: "rect-1", Victims: []string{"site-ctl"},
	Techniques: []string{"T0831"}, Before: toAndFro, After: 5 * time.Minute, Length: 6 * time.Minute, Run: func(s *Stage, a Act) error {
		s.after("site-ctl", 0, func() { s.floatTo("rect-1", 5420) })
		s.host(a.Actor).Sleep(20 * time.Second)
		return nil
	}}

func movesAlone(s *Stage, a Act) error {
	s.units[a.Actor][1].Holding[floatVoltage] = 5420
	s.host(a.Actor).Sleep(20 * time.Second)
	return nil
}

// toAndFro has the site's controller raise and lower a rectifier's float voltage for three and a half minutes, so that it
// is known that the voltage follows.
func toAndFro(s *Stage) {
	s.after("site-ctl", 0, func() { s.floatTo("rect-1", 5420, 5400, 5420, 5400, 5420, 5400, 5420, 5400) })
}

// floatTo has the site's controller write float voltages to a rectifier, one every half minute.
func (s *Stage) floatTo(rectifier string, values ...uint16) {
	err := s.modbusTo(Act{Actor: "site-ctl"}, rectifier, func(m *modbusstation.Master, s *Stage, a Act) error {
		for _, v := range values {
			if _, err := m.WriteSingleRegister(floatVoltage, v); err != nil {
				return err
			}
			s.host(a.Actor).Sleep(30 * time.Second)
		}
		return nil
	})
	if err != nil {
		s.fail("site-ctl to "+rectifier, err)
	}
}
