package script

import (
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
)

// Plan is what people do on a day, by the link that it goes over: at is the time since the stage opened.
type Plan struct {
	IEC104 map[string][]errand[*iec104station.Session]
	DNP3   map[string][]errand[*dnp3station.Session]
	Modbus map[string][]errand[*modbusstation.Master]
}

// errand is one thing to do on a link.
type errand[S any] struct {
	at time.Duration
	do func(S) error
}

// Stations are the outstations of the substation and the site, by host.
type Stations struct {
	IEC104 map[string]*iec104station.Outstation
	DNP3   map[string]*dnp3station.Outstation
}

// common are the common addresses of the 104 stations, by host.
var common = map[string]uint16{"rtu-1": 1, "rtu-2": 2, "rtu-3": 3, "site-rtu": 71}

// Normal makes everybody do their work: stations answer, masters poll, people follow the plan.
func (s *Stage) Normal(plan Plan) Stations {
	all := Stations{map[string]*iec104station.Outstation{}, map[string]*dnp3station.Outstation{}}
	for _, host := range []string{"rtu-1", "rtu-2", "rtu-3", "site-rtu"} {
		all.IEC104[host] = s.rtu104(host, common[host])
	}
	all.DNP3["rtu-4"] = s.rtuDNP3("rtu-4", "tcp", 4)
	all.DNP3["rtu-5"] = s.rtuDNP3("rtu-5", "udp", 5)
	s.site()
	s.stations = all

	for i, link := range []struct {
		from, to string
		ca       uint16
		standby  bool
	}{{"scada-a", "rtu-1", 1, false}, {"scada-a", "rtu-2", 2, false}, {"scada-a", "rtu-3", 3, false}, {"scada-b", "rtu-1", 1, true}, {"noc", "site-rtu", 71, false}} {
		s.after(link.from, time.Duration(i)*700*time.Millisecond, func() {
			s.master104(link.from, link.to, link.ca, link.standby, plan.IEC104[link.to])
		})
	}
	s.after("gateway", 900*time.Millisecond, func() { s.masterDNP3("tcp", "rtu-4", 4, true, plan.DNP3["rtu-4"]) })
	s.after("gateway", 1300*time.Millisecond, func() { s.masterDNP3("udp", "rtu-5", 5, false, plan.DNP3["rtu-5"]) })
	for i, to := range []string{"rect-1", "rect-2", "genset", "cooling", "battery"} {
		s.after("site-ctl", time.Duration(i)*1100*time.Millisecond, func() { s.masterModbus(to, plan.Modbus[to]) })
	}
	return all
}

// after starts f on a host after a while.
func (s *Stage) after(host string, d time.Duration, f func()) {
	h := s.host(host)
	h.Go(func() {
		h.Sleep(d)
		f()
	})
}

const forEver = 100 * 24 * time.Hour

// again keeps a connection up: it works until that fails, rests, and works again.
func (s *Stage) again(host string, work func() error) {
	h := s.host(host)
	for {
		_ = work() // a master that loses a station connects again, whatever the reason
		h.Sleep(5 * time.Second)
	}
}

// master104 polls one 104 station: interrogation on connect and every six hours, counters every hour, clock at midnight.
func (s *Stage) master104(from, to string, ca uint16, standby bool, plan []errand[*iec104station.Session]) {
	h := s.host(from)
	opened := h.Now()
	s.again(from, func() error {
		conn, err := s.dial(from, "tcp", to, ":2404")
		if err != nil {
			return err
		}
		defer conn.Close()
		m := iec104station.NewSession(conn, h, s.Tally, ca, 0)
		if standby {
			return m.Run(h.Now().Add(forEver))
		}
		if err := m.Start(); err != nil {
			return err
		}
		if err := m.Interrogate(20); err != nil {
			return err
		}
		now := h.Now()
		m.Line.Every(now.Add(20*s.Pace), 720*s.Pace, func() error { return m.Interrogate(20) })
		m.Line.Every(now.Add(7*s.Pace), 120*s.Pace, func() error { return m.Counters(5) })
		midnight := now.Truncate(24 * time.Hour).Add(24*time.Hour + 5*time.Second)
		m.Line.Every(midnight, 24*time.Hour, func() error { return m.SetClock(h.Now()) })
		for _, e := range plan {
			if at := opened.Add(e.at); at.After(now) {
				m.Line.At(at, func() error { return e.do(m) })
			}
		}
		return m.Run(now.Add(forEver))
	})
}

// masterDNP3 polls one outstation: events often, everything every hour, clock at midnight.
func (s *Stage) masterDNP3(network, to string, address uint16, spontaneous bool, plan []errand[*dnp3station.Session]) {
	h := s.host("gateway")
	opened := h.Now()
	s.again("gateway", func() error {
		conn, err := s.dial("gateway", network, to, ":20000")
		if err != nil {
			return err
		}
		defer conn.Close()
		m := dnp3station.NewSession(conn, h, s.Tally, dnp3Master, address)
		if spontaneous {
			err = m.Start()
		} else {
			err = m.StartQuiet()
		}
		if err != nil {
			return err
		}
		now := h.Now()
		m.Line.Every(now.Add(2*s.Pace), 2*s.Pace, func() error {
			a, err := m.Events()
			if err == nil && a.Restarted() {
				_, err = m.ClearRestart()
			}
			return err
		})
		m.Line.Every(now.Add(120*s.Pace), 120*s.Pace, func() error { _, err := m.Integrity(); return err })
		midnight := now.Truncate(24 * time.Hour).Add(24*time.Hour + 20*time.Second)
		m.Line.Every(midnight, 24*time.Hour, func() error { _, err := m.SetClock(h.Now()); return err })
		for _, e := range plan {
			if at := opened.Add(e.at); at.After(now) {
				m.Line.At(at, func() error { return e.do(m) })
			}
		}
		return m.Run(now.Add(forEver))
	})
}

// poll lists, by host: unit, function and registers.
var polls = map[string][]struct {
	unit, code byte
	at, n      uint16
}{
	"rect-1":  {{1, 4, 0, 12}, {1, 3, 0, 8}},
	"rect-2":  {{1, 4, 0, 12}, {1, 3, 0, 8}},
	"genset":  {{1, 4, 0, 10}, {1, 2, 0, 16}},
	"cooling": {{1, 4, 0, 6}, {1, 1, 0, 8}},
	"battery": {{1, 4, 0, 4}, {2, 4, 0, 4}, {3, 4, 0, 4}},
}

// masterModbus polls one address.
func (s *Stage) masterModbus(to string, plan []errand[*modbusstation.Master]) {
	h := s.host("site-ctl")
	opened := h.Now()
	s.again("site-ctl", func() error {
		conn, err := s.dial("site-ctl", "tcp", to, ":502")
		if err != nil {
			return err
		}
		defer conn.Close()
		m := modbusstation.NewMaster(conn, h, s.Tally)
		for next := h.Now(); ; next = next.Add(2 * s.Pace) {
			h.Sleep(next.Sub(h.Now()))
			for _, p := range polls[to] {
				if p.code == s.skip[to] {
					continue
				}
				ask := map[byte]func(a, n uint16) ([]byte, error){1: m.To(p.unit).ReadCoils, 2: m.ReadDiscreteInputs, 3: m.ReadHoldingRegisters, 4: m.ReadInputRegisters}[p.code]
				if _, err := ask(p.at, p.n); err != nil {
					return err
				}
			}
			for len(plan) > 0 && !opened.Add(plan[0].at).After(h.Now()) {
				do := plan[0].do
				plan = plan[1:]
				if err := do(m.To(1)); err != nil {
					s.fail("site-ctl to "+to, err)
				}
			}
		}
	})
}
