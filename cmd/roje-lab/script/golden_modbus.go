package script

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/goburrow/modbus"

	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
)

var goldenModbus = []golden{
	{"modbus/functions.pcap", "every function code that reads or writes, with request and response", "site-ctl", modbusGolden("tcp", modbusFunctions)},
	{"modbus/exceptions.pcap", "exceptions 1, 2, 3 and 11", "site-ctl", modbusGolden("tcp", modbusExceptions)},
	{"modbus/diagnostics.pcap", "function 8 with every sub-function, 7, 11, 12 and 17, listen-only mode at the end", "site-ctl", modbusGolden("tcp", modbusDiagnostics)},
	{"modbus/identification.pcap", "function 43/14 in all four ways, with a continuation", "site-ctl", modbusGolden("tcp", modbusIdentification)},
	{"modbus/engineering.pcap", "function 90 with its sub-functions", "site-ctl", modbusGolden("tcp", modbusEngineering)},
	{"modbus/segments.pcap", "several messages in one segment, and messages of one byte per segment", "site-ctl", modbusGolden("tcp", modbusSegments)},
	{"modbus/udp.pcap", "the same functions over UDP", "site-ctl", modbusGolden("udp", modbusFunctions)},
	{"modbus/units.pcap", "several units behind one gateway, and a broadcast", "site-ctl", modbusUnits},
}

// modbusGolden makes one device and a master for it.
func modbusGolden(network string, do func(*modbusstation.Master) error) func(*Stage) error {
	return func(s *Stage) error {
		unit := device("RX48-A", append(identity("RX48 rectifier"), "first long object for a continuation, "+eventLog[:60], "second one, "+eventLog[:80]), nil)
		server := &modbusstation.Server{Units: map[byte]*modbusstation.Unit{1: unit}, Clock: s.host("rect-1"), Tally: s.Tally}
		s.serve("rect-1", network, ":502", server.Serve)
		conn, err := s.dial("site-ctl", network, "rect-1", ":502")
		if err != nil {
			return err
		}
		defer conn.Close()
		return do(modbusstation.NewMaster(conn, s.host("site-ctl"), s.Tally).To(1))
	}
}

func modbusFunctions(m *modbusstation.Master) error {
	return chain(
		call2(m.ReadCoils, 0, 11), call2(m.ReadCoils, 3, 1), call2(m.ReadDiscreteInputs, 0, 32),
		call2(m.ReadHoldingRegisters, 0, 1), call2(m.ReadHoldingRegisters, 0, 64), call2(m.ReadInputRegisters, 4, 12),
		call2(m.WriteSingleCoil, 2, 0xff00), call2(m.WriteSingleCoil, 2, 0), call2(m.WriteSingleRegister, 7, 0xbeef),
		func() error { _, err := m.WriteMultipleCoils(1, 10, []byte{0xcd, 0x01}); return err },
		func() error { _, err := m.WriteMultipleRegisters(8, 3, []byte{0, 1, 2, 3, 4, 5}); return err },
		func() error { _, err := m.MaskWriteRegister(7, 0x00f2, 0x0025); return err },
		func() error {
			_, err := m.ReadWriteMultipleRegisters(0, 6, 14, 3, []byte{0, 255, 0, 255, 0, 255})
			return err
		},
		ask(m, 24, 0, 0),                                         // goburrow's own ReadFIFOQueue refuses a right answer
		ask(m, 20, 7, 6, 0, 1, 0, 4, 0, 5),                       // file 1, five registers from 4
		ask(m, 20, 14, 6, 0, 1, 0, 1, 0, 2, 6, 0, 1, 0, 9, 0, 2), // two at once
		ask(m, 21, 13, 6, 0, 1, 0, 7, 0, 3, 0x06, 0xaf, 0x04, 0xbe, 0x10, 0x0d),
		ask(m, 17), ask(m, 7))
}

// expect wants an exception.
func expect(code byte, do func() error) func() error {
	return func() error {
		var got *modbus.ModbusError
		if err := do(); !errors.As(err, &got) || got.ExceptionCode != code {
			return fmt.Errorf("expected exception %d, got %w", code, err)
		}
		return nil
	}
}

func modbusExceptions(m *modbusstation.Master) error {
	return chain(
		expect(1, ask(m, 99)), expect(1, ask(m, 43, 13, 0, 0)),
		expect(2, call2(m.ReadHoldingRegisters, 60, 10)), expect(2, call2(m.WriteSingleCoil, 900, 0xff00)), expect(2, ask(m, 20, 7, 6, 0, 9, 0, 0, 0, 1)),
		expect(3, ask(m, 3, 0, 0, 0, 0)), expect(3, ask(m, 5, 0, 2, 0x12, 0x34)), expect(3, ask(m, 16, 0, 0, 0, 2, 2, 0, 1)), expect(3, ask(m, 8, 0, 99, 0, 0)),
		func() error { return expect(11, call2(m.To(9).ReadCoils, 0, 1))() })
}

func modbusDiagnostics(m *modbusstation.Master) error {
	steps := []func() error{ask(m, 7), ask(m, 11), ask(m, 12), ask(m, 17)}
	for _, sub := range []byte{0, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20} {
		data := []byte{0, 0}
		if sub == 0 {
			data = []byte{0xa5, 0x37}
		}
		steps = append(steps, ask(m, 8, append([]byte{0, sub}, data...)...))
	}
	steps = append(steps, ask(m, 8, 0, 1, 0, 0), ask(m, 8, 0, 1, 0xff, 0), func() error { return m.Tell(8, 0, 4, 0, 0) },
		func() error { return m.Tell(3, 0, 0, 0, 1) }) // nobody answers any more
	return chain(steps...)
}

func modbusIdentification(m *modbusstation.Master) error {
	return chain(ask(m, 43, 14, 1, 0), ask(m, 43, 14, 1, 4), ask(m, 43, 14, 2, 0), ask(m, 43, 14, 3, 0), ask(m, 43, 14, 4, 1), expect(2, ask(m, 43, 14, 4, 200)))
}

func modbusEngineering(m *modbusstation.Master) error {
	steps := []func() error{ask(m, 90, 0, 0x02), ask(m, 90, 0, 0x03, 0), ask(m, 90, 0, 0x10, 0x29, 0x55, 0, 0)}
	for _, sub := range []byte{0x12, 0x22, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x40, 0x41, 0x7e, 0x11} {
		steps = append(steps, ask(m, 90, 0x21, sub, 0, 1))
	}
	return chain(steps...)
}

// modbusSegments writes three requests at once, and then one in twelve segments.
func modbusSegments(m *modbusstation.Master) error {
	three := []byte{0, 101, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2, 0, 102, 0, 0, 0, 6, 1, 4, 0, 0, 0, 2, 0, 103, 0, 0, 0, 6, 1, 1, 0, 0, 0, 8}
	m.Count(3, 4, 1, 2)
	if err := m.Raw(three); err != nil {
		return err
	}
	if err := m.Skip(3); err != nil {
		return err
	}
	for _, b := range []byte{0, 104, 0, 0, 0, 6, 1, 2, 0, 0, 0, 9} {
		if err := m.Raw([]byte{b}); err != nil {
			return err
		}
	}
	return m.Skip(1)
}

func modbusUnits(s *Stage) error {
	server := &modbusstation.Server{Units: devices()["battery"], Clock: s.host("battery"), Tally: s.Tally}
	s.serve("battery", "tcp", ":502", func(conn net.Conn) error { return server.Serve(conn) })
	conn, err := s.dial("site-ctl", "tcp", "battery", ":502")
	if err != nil {
		return err
	}
	defer conn.Close()
	m := modbusstation.NewMaster(conn, s.host("site-ctl"), s.Tally)
	for unit := byte(1); unit <= 4; unit++ {
		if err := chain(call2(m.To(unit).ReadInputRegisters, 0, 4)); err != nil {
			return err
		}
	}
	err = m.To(0).Tell(6, 0, 5, 0, 77)
	s.host("site-ctl").Sleep(time.Second)
	return err
}
