package script

import (
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
)

// clock is a time of day.
func clock(hour, minute int) time.Duration {
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
}

func do104(at time.Duration, c iec104station.Command) errand[*iec104station.Session] {
	return errand[*iec104station.Session]{at, func(m *iec104station.Session) error { return m.Do(c) }}
}

func doDNP3(at time.Duration, o dnp3station.Objects, selects bool) errand[*dnp3station.Session] {
	return errand[*dnp3station.Session]{at, func(m *dnp3station.Session) error { _, err := m.Do(o, selects); return err }}
}

func writeRegister(at time.Duration, register, value uint16) errand[*modbusstation.Master] {
	return errand[*modbusstation.Master]{at, func(m *modbusstation.Master) error {
		if _, err := m.WriteSingleRegister(register, value); err != nil {
			return err
		}
		_, err := m.ReadHoldingRegisters(register, 1)
		return err
	}}
}

func writeCoil(at time.Duration, coil uint16, on bool) errand[*modbusstation.Master] {
	return errand[*modbusstation.Master]{at, func(m *modbusstation.Master) error {
		value := uint16(0)
		if on {
			value = 0xff00
		}
		_, err := m.WriteSingleCoil(coil, value)
		return err
	}}
}

// Commands that operators give.
var (
	openBreaker  = iec104station.Command{Type: 46, IOA: cmdBreaker, Value: 1, Select: true}
	closeBreaker = iec104station.Command{Type: 46, IOA: cmdBreaker, Value: 2, Select: true}
	openIsolator = iec104station.Command{Type: 46, IOA: cmdIsolator, Value: 1, Select: true}
	shutIsolator = iec104station.Command{Type: 46, IOA: cmdIsolator, Value: 2, Select: true}
	tapUp        = iec104station.Command{Type: 47, IOA: cmdTap, Value: 2}
	tapDown      = iec104station.Command{Type: 47, IOA: cmdTap, Value: 1}

	tripRelay  = dnp3station.At16(12, 1, 0, dnp3station.CROB(dnp3station.Trip, 1, 200*time.Millisecond, 0)...)
	closeRelay = dnp3station.At16(12, 1, 0, dnp3station.CROB(dnp3station.Close, 1, 200*time.Millisecond, 0)...)
)

// analogOut is a set-point of a DNP3 outstation (group 41, variation 3).
func analogOut(index uint16, tenths uint16) dnp3station.Objects {
	return dnp3station.At16(41, 2, index, byte(tenths), byte(tenths>>8), 0)
}

// tuesday and wednesday are two days with different work; the evening and morning routine is the same.
var tuesday = Plan{
	IEC104: map[string][]errand[*iec104station.Session]{
		"rtu-1": {do104(clock(6, 31), tapUp), do104(clock(8, 12), openBreaker), do104(clock(8, 13), openIsolator),
			do104(clock(8, 46), shutIsolator), do104(clock(8, 47), closeBreaker), do104(clock(19, 10), tapDown)},
		"rtu-2": {do104(clock(6, 40), tapUp), do104(clock(19, 15), tapDown),
			do104(clock(11, 0), iec104station.Command{Type: 50, IOA: cmdSetpoint, Value: 22.5}), do104(clock(17, 0), iec104station.Command{Type: 50, IOA: cmdSetpoint, Value: 20})},
		"rtu-3": {do104(clock(14, 20), iec104station.Command{Type: 45, IOA: cmdProtection, Value: 0}), do104(clock(14, 35), iec104station.Command{Type: 45, IOA: cmdProtection, Value: 1})},
	},
	DNP3: map[string][]errand[*dnp3station.Session]{
		"rtu-4": {doDNP3(clock(9, 30), tripRelay, true), doDNP3(clock(9, 55), closeRelay, true)},
		"rtu-5": {doDNP3(clock(14, 5), analogOut(0, 130), true), doDNP3(clock(18, 0), analogOut(0, 120), true)},
	},
	Modbus: map[string][]errand[*modbusstation.Master]{
		"rect-1":  {writeRegister(clock(10, 20), floatVoltage, 5420), writeRegister(clock(16, 45), floatVoltage, 5400)},
		"genset":  {writeCoil(clock(13, 0), runGenset, true), writeCoil(clock(13, 15), runGenset, false)},
		"cooling": {writeRegister(clock(12, 0), coolingGoal, 230), writeRegister(clock(20, 0), coolingGoal, 240)},
	},
}

var wednesday = Plan{
	IEC104: map[string][]errand[*iec104station.Session]{
		"rtu-1": {do104(clock(6, 29), tapUp), do104(clock(19, 2), tapDown)},
		"rtu-2": {do104(clock(7, 5), tapUp), do104(clock(10, 8), openBreaker), do104(clock(10, 9), openIsolator), do104(clock(12, 31), shutIsolator),
			do104(clock(12, 33), closeBreaker), do104(clock(19, 20), tapDown), do104(clock(15, 0), iec104station.Command{Type: 50, IOA: cmdSetpoint, Value: 21})},
		"rtu-3": {do104(clock(5, 15), iec104station.Command{Type: 49, IOA: cmdScaled, Value: 44})},
	},
	DNP3: map[string][]errand[*dnp3station.Session]{
		"rtu-4": {doDNP3(clock(15, 11), tripRelay, true), doDNP3(clock(15, 40), closeRelay, true)},
		"rtu-5": {doDNP3(clock(9, 0), analogOut(0, 125), true)},
	},
	Modbus: map[string][]errand[*modbusstation.Master]{
		"rect-2":  {writeRegister(clock(10, 50), floatVoltage, 5410), writeRegister(clock(15, 30), floatVoltage, 5400)},
		"genset":  {writeCoil(clock(13, 0), runGenset, true), writeCoil(clock(13, 15), runGenset, false)},
		"cooling": {writeRegister(clock(12, 30), coolingGoal, 235), writeRegister(clock(20, 10), coolingGoal, 240)},
	},
}

// maintenance is an engineer's visit: the disturbance record, the event log, and who a rectifier is.
func (s *Stage) maintenance(at time.Duration) {
	s.after("eng-laptop", at, func() {
		h := s.host("eng-laptop")
		conn, err := s.dial("eng-laptop", "tcp", "rtu-1", ":2404")
		if err != nil {
			s.fail("eng-laptop", err)
			return
		}
		defer conn.Close()
		m := iec104station.NewSession(conn, h, s.Tally, 1, 9)
		if err = m.Start(); err == nil {
			err = m.Directory()
		}
		if err == nil {
			_, err = m.Fetch(disturbance, 1)
		}
		if err == nil {
			err = m.Run(h.Now().Add(3 * time.Minute))
		}
		if err == nil {
			err = m.Stop()
		}
		if err != nil {
			s.fail("eng-laptop", err)
		}
	})
}

// testRuns are two weeks in which a genset is started and stopped again at four times of each working day, and nothing else
// is seen.
func testRuns(s *Stage) {
	s.site()
	s.after("site-ctl", 0, func() {
		h := s.host("site-ctl")
		for midnight := h.Now().Truncate(24 * time.Hour); ; midnight = midnight.Add(24 * time.Hour) {
			if day := midnight.Weekday(); day == time.Saturday || day == time.Sunday {
				continue
			}
			for _, at := range []time.Duration{clock(8, 40), clock(10, 20), clock(13, 10), clock(15, 30)} {
				h.Sleep(midnight.Add(at).Sub(h.Now()))
				if err := modbusAct(func(m *modbusstation.Master, s *Stage, a Act) error {
					return chain(call2(m.WriteSingleCoil, runGenset, 0xff00), func() error { h.Sleep(20 * time.Second); return nil }, call2(m.WriteSingleCoil, runGenset, 0))
				})(s, Act{Actor: "site-ctl", Victims: []string{"genset"}}); err != nil {
					s.fail("site-ctl", err)
				}
			}
		}
	})
}

// Day is a whole normal day with a visit; at half past three the connections of one 104 station and of rtu-4 break.
func Day(plan Plan, visit time.Duration, breaks string) func(*Stage) {
	return func(s *Stage) {
		stations := s.Normal(plan)
		s.maintenance(visit)
		s.after("scada-a", clock(3, 30), func() {
			stations.IEC104[breaks].Drop()
			stations.DNP3["rtu-4"].Drop()
		})
	}
}
