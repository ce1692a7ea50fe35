package cmd

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/goburrow/modbus"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
	"github.com/roje-ot/roje/cmd/roje-lab/simnet"
	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/sensor/ledger"
)

// A script does transactions one after the other, and writes down what its own stations say of them.
type script struct {
	h     *simnet.Host
	rng   *rand.Rand
	deeds []deed
}

func newScript(h *simnet.Host, seed uint64) *script {
	return &script{h: h, rng: rand.New(rand.NewPCG(seed, 3))}
}

// do times one transaction.
func (s *script) do(d deed, act func() (ledger.Outcome, error)) {
	d.from = s.h.Now()
	outcome, err := act()
	if err != nil {
		panic(err)
	}
	d.outcome, d.to = outcome, s.h.Now()
	s.deeds = append(s.deeds, d)
}

func ended(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// modbusSays is the master's word for how a request went.
func modbusSays(err error) (ledger.Outcome, error) {
	var refused *modbus.ModbusError
	switch {
	case err == nil:
		return ledger.Confirmed, nil
	case errors.As(err, &refused):
		return ledger.Refused, nil
	case ended(err):
		return ledger.Timeout, nil
	}
	return ledger.Mismatch, nil // goburrow refuses the answer's content
}

func playModbus(seed uint64) *staged {
	var twisted *fickle
	unit := &modbusstation.Unit{Coils: make([]bool, 200), Discrete: make([]bool, 50), Holding: make([]uint16, 200), Input: make([]uint16, 50)}
	serve := func(h *simnet.Host) {
		server := &modbusstation.Server{Units: map[byte]*modbusstation.Unit{1: unit}, Clock: h}
		station.Serve(h, "tcp", ":502", func(c net.Conn) error {
			twisted = &fickle{Conn: c}
			return server.Serve(twisted)
		})
	}
	return stage(seed, serve, func(h *simnet.Host, server string) []deed {
		conn, err := h.Dial("tcp", server+":502")
		if err != nil {
			panic(err)
		}
		s, m := newScript(h, seed), modbusstation.NewMaster(conn, h, nil)
		m.To(1)
		for len(s.deeds) < transactions {
			addr, value := uint16(s.rng.IntN(190)), uint16(s.rng.IntN(60000)+1)
			fate := s.rng.IntN(10)
			switch fate {
			case 0:
				addr += 500 // beyond the table
			case 1:
				twisted.twist = swallow
			case 2:
				twisted.twist = func(b []byte) []byte { b[9] ^= 1; return b } // another address
			}
			kind := s.rng.IntN(6)
			if fate == 2 && kind == 5 {
				kind = 1 // a read has no echo to falsify
			}
			d := deed{model: ledger.Direct, addr: uint32(addr), value: float64(value), valued: kind != 4}
			if kind == 0 || kind == 2 {
				d.value = float64(value & 1)
			}
			words := []byte{byte(value >> 8), byte(value), 0, 9}
			s.do(d, func() (ledger.Outcome, error) {
				var err error
				switch kind {
				case 0:
					_, err = m.WriteSingleCoil(addr, []uint16{0, 0xff00}[value&1])
				case 1:
					_, err = m.WriteSingleRegister(addr, value)
				case 2:
					_, err = m.WriteMultipleCoils(addr, 5, []byte{byte(value)})
				case 3:
					_, err = m.WriteMultipleRegisters(addr, 2, words)
				case 4:
					_, err = m.MaskWriteRegister(addr, 0xff00, value)
				case 5:
					_, err = m.ReadWriteMultipleRegisters(10, 3, addr, 2, words)
				}
				return modbusSays(err)
			})
			twisted.twist = nil
			for range s.rng.IntN(4) {
				h.Sleep(time.Duration(100+s.rng.IntN(900)) * time.Millisecond)
				m.ReadHoldingRegisters(uint16(s.rng.IntN(60)), 60)
			}
		}
		h.Sleep(20 * time.Second)
		m.ReadCoils(0, 8)
		return s.deeds
	})
}

// dnp3Says is the master's word for how a control went: the status of the first object that its answer echoes.
func dnp3Says(a dnp3station.Answer, err error) (ledger.Outcome, error) {
	switch {
	case ended(err):
		return ledger.Timeout, nil
	case err != nil:
		return "", err
	}
	switch status := a.Objects[len(a.Objects)-1]; status {
	case 0:
		return ledger.Confirmed, nil
	case 2:
		return ledger.NoSelect, nil
	}
	return ledger.Refused, nil
}

func playDNP3(seed uint64) *staged {
	var twisted *fickle
	points := func(n int) (list []*dnp3station.Point) {
		for i := range n {
			list = append(list, &dnp3station.Point{Class: 1, Moves: i})
		}
		return list
	}
	serve := func(h *simnet.Host) {
		o := &dnp3station.Outstation{Address: 10, Master: 1, Clock: h, Travel: 300 * time.Millisecond, Points: map[dnp3station.Kind][]*dnp3station.Point{
			dnp3station.Binary: points(40), dnp3station.BinaryOutput: points(40), dnp3station.Analog: points(40), dnp3station.AnalogOutput: points(40)}}
		station.Serve(h, "tcp", ":20000", func(c net.Conn) error {
			twisted = &fickle{Conn: c}
			return o.Serve(twisted)
		})
	}
	return stage(seed, serve, func(h *simnet.Host, server string) []deed {
		conn, err := h.Dial("tcp", server+":20000")
		if err != nil {
			panic(err)
		}
		s, m := newScript(h, seed), dnp3station.NewSession(conn, h, nil, 1, 10)
		if err := m.StartQuiet(); err != nil {
			panic(err)
		}
		object := func(analog bool, index byte, v int) (dnp3station.Objects, float64) {
			if analog {
				return dnp3station.At(41, 2, index, byte(v), byte(v>>8), 0), float64(v)
			}
			code := byte(dnp3station.LatchOn)
			if v&1 == 0 {
				code = dnp3station.LatchOff
			}
			return dnp3station.At(12, 1, index, dnp3station.CROB(code, 1, 0, 0)...), float64(v & 1)
		}
		for len(s.deeds) < transactions {
			index, v, analog := byte(s.rng.IntN(40)), s.rng.IntN(30000), s.rng.IntN(2) == 0
			fate, selects := s.rng.IntN(12), s.rng.IntN(2) == 0
			if fate == 0 {
				index += 100 // no such point
			}
			o, value := object(analog, index, v)
			d := deed{model: ledger.Direct, addr: uint32(index), value: value, valued: true}
			if selects || fate >= 2 && fate <= 4 {
				d.model = ledger.Select
			}
			s.do(d, func() (ledger.Outcome, error) {
				switch fate {
				case 1: // no answer to the last request
					if selects {
						if _, err := m.Ask(dnp3station.Select, o); err != nil {
							return "", err
						}
						twisted.twist = swallow
						return dnp3Says(m.Ask(dnp3station.Operate, o))
					}
					twisted.twist = swallow
					return dnp3Says(m.Ask(dnp3station.DirectOperate, o))
				case 2:
					return dnp3Says(m.Ask(dnp3station.Operate, o))
				case 3:
					if _, err := m.Ask(dnp3station.Select, o); err != nil {
						return "", err
					}
					other, _ := object(analog, (index+1)%40, v)
					outcome, err := dnp3Says(m.Ask(dnp3station.Operate, other))
					if outcome == ledger.NoSelect { // the station has no word of its own for it
						outcome = ledger.Mismatch
					}
					return outcome, err
				case 4:
					if _, err := m.Ask(dnp3station.Select, o); err != nil {
						return "", err
					}
					_, err := m.Events() // IEEE 1815 4.4.3: any other request ends the select
					return ledger.Cancelled, err
				case 5:
					if !selects {
						err := m.Tell(dnp3station.DirectOperateNR, o)
						h.Sleep(50 * time.Millisecond)
						return ledger.UnknownGap, err // no station answers it
					}
				}
				if selects {
					if outcome, err := dnp3Says(m.Ask(dnp3station.Select, o)); outcome != ledger.Confirmed {
						return outcome, err
					}
					return dnp3Says(m.Ask(dnp3station.Operate, o))
				}
				return dnp3Says(m.Ask(dnp3station.DirectOperate, o))
			})
			twisted.twist = nil
			for range 1 + s.rng.IntN(3) {
				h.Sleep(time.Duration(100+s.rng.IntN(900)) * time.Millisecond)
				if _, err := m.Events(); err != nil && !ended(err) {
					panic(err)
				}
			}
		}
		h.Sleep(20 * time.Second)
		_, err = m.Integrity()
		if err != nil {
			panic(err)
		}
		return s.deeds
	})
}

// iec104Says is the controlling station's word for how a command went.
func iec104Says(err error) (ledger.Outcome, error) {
	switch {
	case err == nil:
		return ledger.Confirmed, nil
	case errors.Is(err, iec104station.ErrRefused):
		return ledger.Refused, nil
	case ended(err):
		return ledger.Timeout, nil
	}
	return "", err
}

// selectOnly selects and waits for the confirmation.
func selectOnly(h *simnet.Host, m *iec104station.Session, c iec104station.Command) error {
	element, kind := []byte{}, c.Type
	if kind >= 58 {
		kind -= 13
	}
	le16 := func(v int) []byte { return []byte{byte(v), byte(v >> 8)} }
	switch kind {
	case 45, 46, 47:
		element = []byte{byte(c.Value) | 0x80}
	case 48:
		element = append(le16(int(c.Value*32768)), 0x80)
	case 49:
		element = append(le16(int(c.Value)), 0x80)
	case 50:
		element = append(binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(c.Value))), 0x80)
	}
	if c.Type >= 58 {
		element = append(element, iec104station.TimeTag(h.Now(), 7)...)
	}
	return m.Ask(c.Type, iec104station.Activation, iec104station.Object{IOA: c.IOA, Data: element}, iec104station.ActCon)
}

func playIEC104(seed uint64) *staged {
	types := []byte{45, 46, 47, 48, 49, 50, 51}
	moves := map[byte]byte{45: 1, 46: 3, 47: 5, 48: 9, 49: 11, 50: 13, 51: 7}
	control := func(n int) uint32 { return 5000 + uint32(n) }
	serve := func(h *simnet.Host) {
		o := &iec104station.Outstation{CA: 4, Clock: h, Points: map[uint32]*iec104station.Point{}, Controls: map[uint32]*iec104station.Control{}}
		for n := range 70 {
			kind := types[n%7]
			o.Points[1000+uint32(n)] = &iec104station.Point{Type: moves[kind]}
			o.Controls[control(n)] = &iec104station.Control{Type: kind, Point: 1000 + uint32(n), Select: n < 35 && kind != 51, Travel: 400 * time.Millisecond}
		}
		station.Serve(h, "tcp", ":2404", o.Serve)
	}
	return stage(seed, serve, func(h *simnet.Host, server string) []deed {
		conn, err := h.Dial("tcp", server+":2404")
		if err != nil {
			panic(err)
		}
		s, m := newScript(h, seed), iec104station.NewSession(conn, h, nil, 4, 7)
		if err := m.Start(); err != nil {
			panic(err)
		}
		used := map[int]bool{} // selected and executed before
		for len(s.deeds) < transactions {
			n := s.rng.IntN(70)
			kind := types[n%7]
			must := n < 35 && kind != 51
			c := iec104station.Command{Type: kind, IOA: control(n), Value: float64(s.rng.IntN(2) + 1), Select: must || kind != 51 && s.rng.IntN(3) == 0}
			if kind == 45 {
				c.Value--
			} else if kind == 48 {
				c.Value /= 4
			}
			if s.rng.IntN(2) == 0 && kind != 51 {
				c.Type += 13
			}
			fate := s.rng.IntN(10)
			if kind == 51 && fate != 0 || fate == 1 && !(must && used[n]) {
				fate = 9
			}
			d := deed{model: ledger.Direct, addr: c.IOA, value: c.Value, valued: true}
			if fate == 0 {
				c.IOA += 900
				d.addr += 900
			}
			if fate == 1 {
				c.Select = false
				c.Type = kind // used counts by type without a time tag
			}
			if c.Select || fate >= 2 && fate <= 4 {
				d.model = ledger.Select
			}
			s.do(d, func() (ledger.Outcome, error) {
				switch fate {
				case 1:
					outcome, err := iec104Says(m.Do(c))
					if outcome == ledger.Refused { // a control that must be selected, and the object exists
						outcome = ledger.NoSelect
					}
					return outcome, err
				case 2:
					if err := selectOnly(h, m, c); err != nil {
						return "", err
					}
					other := c
					other.Value, other.Select = c.Value+1, false
					switch kind {
					case 45:
						other.Value = 1 - c.Value
					case 46, 47:
						other.Value = 3 - c.Value
					case 48:
						other.Value = 0.75 - c.Value
					}
					_, err := iec104Says(m.Do(other))
					return ledger.Mismatch, err
				case 3:
					return ledger.Cancelled, m.Cancel(c)
				case 4:
					if err := selectOnly(h, m, c); err != nil {
						return "", err
					}
					return ledger.Timeout, m.Run(h.Now().Add(12 * time.Second))
				}
				if c.Select && fate != 0 && c.Type == kind {
					used[n] = true
				}
				return iec104Says(m.Do(c))
			})
			if err := m.Run(h.Now().Add(time.Duration(200+s.rng.IntN(1500)) * time.Millisecond)); err != nil {
				panic(err)
			}
			if s.rng.IntN(4) == 0 {
				if err := m.Interrogate(20); err != nil {
					panic(err)
				}
			}
		}
		if err := m.Run(h.Now().Add(time.Minute)); err != nil {
			panic(err)
		}
		return s.deeds
	})
}
