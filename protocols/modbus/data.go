package modbus

import (
	"encoding/binary"

	"github.com/roje-ot/roje/protocols"
)

// The tables of the data model (4.3), as Point.Type has them: the first digit of the traditional reference.
const (
	coils          = 0
	discreteInputs = 1
	inputRegisters = 3
	holdRegisters  = 4
	fileRecords    = 6
)

// The most that one PDU may ask for (6.1 to 6.18).
const (
	mostBits        = 2000
	mostRegisters   = 125
	mostWriteBits   = 1968
	mostWriteRegs   = 123
	mostExchangeOut = 121 // function 23's write
	mostFIFO        = 31
)

// tableOf is the kind of point and the table that a function reads or writes.
func tableOf(fc byte) (protocols.Kind, uint16) {
	switch fc {
	case readCoils, writeSingleCoil, writeMultipleCoils:
		return protocols.BinaryOut, coils
	case readDiscreteInputs:
		return protocols.BinaryIn, discreteInputs
	case readInputRegisters:
		return protocols.AnalogIn, inputRegisters
	}
	return protocols.AnalogOut, holdRegisters
}

// run appends a run of n points without values.
func (d *decoder) run(m *protocols.Message, addr, n uint16) {
	if n > 0 && !d.c.Short {
		kind, table := tableOf(d.pdu[0])
		m.Points = append(m.Points, protocols.Point{Kind: kind, Type: table, Addr: uint32(addr), N: uint32(n)})
	}
}

// value appends one point with its value.
func (d *decoder) value(m *protocols.Message, addr uint32, v float64) {
	kind, table := tableOf(d.pdu[0])
	m.Points = append(m.Points, protocols.Point{Kind: kind, Type: table, Addr: addr, N: 1, Has: protocols.HasValue, Value: v})
}

// span reads a first address and a quantity, of which one PDU may have at most most.
func (d *decoder) span(m *protocols.Message, most uint16) (addr, count uint16) {
	addr, count = d.c.BE16(), d.c.BE16()
	if d.c.Short {
		return addr, count
	}
	m.Faults |= rangeFaults(addr, count, most)
	return addr, count
}

func rangeFaults(addr, count, most uint16) (f protocols.Faults) {
	if count == 0 || count > most {
		f |= protocols.BadQuantity
	}
	if int(addr)+int(count) > 1<<16 {
		f |= protocols.BadAddress
	}
	return f
}

// keep notes the range in the event and for the response.
func (d *decoder) keep(addr, count uint16) {
	d.detail.addr, d.detail.count = addr, count
	d.detail.has |= hasAddr | hasCount
	if d.now != nil {
		d.now.addr, d.now.count = addr, count
	}
}

// askRead decodes the requests of functions 1 to 4 (6.1 to 6.4).
func (d *decoder) askRead(m *protocols.Message) {
	most := uint16(mostRegisters)
	if d.pdu[0] <= readDiscreteInputs {
		most = mostBits
	}
	addr, count := d.span(m, most)
	d.keep(addr, count)
	d.run(m, addr, count)
}

// counted reads a byte count and the bytes that follow it. What is there is used even where the count is wrong.
func (d *decoder) counted(m *protocols.Message) []byte {
	n := int(d.c.U8())
	if d.c.Short {
		return nil
	}
	if n > d.c.Left() {
		m.Faults |= protocols.BadLength | protocols.Short
		n = d.c.Left()
	} else if n < d.c.Left() {
		m.Faults |= protocols.BadLength
	}
	return d.c.Take(n)
}

// tellBits decodes the responses of functions 1 and 2.
func (d *decoder) tellBits(m *protocols.Message) {
	b := d.counted(m)
	if d.now == nil {
		d.orphan(m, b, len(b) == 0)
		return
	}
	d.keepAsked()
	n := min(int(d.now.count), 8*len(b))
	d.bits(m, d.now.addr, b, n)
}

// bits appends n coils or inputs, the first in the lowest bit (6.1), as far as there are addresses for them.
func (d *decoder) bits(m *protocols.Message, addr uint16, b []byte, n int) {
	for i := range min(n, 1<<16-int(addr)) {
		d.value(m, uint32(addr)+uint32(i), float64(b[i>>3]>>(i&7)&1))
	}
}

// registers appends the registers that b holds, as far as there are addresses for them.
func (d *decoder) registers(m *protocols.Message, addr uint16, b []byte) {
	for i := range min(len(b)/2, 1<<16-int(addr)) {
		d.value(m, uint32(addr)+uint32(i), float64(binary.BigEndian.Uint16(b[2*i:])))
	}
}

// keepAsked puts the request's range into its response's event.
func (d *decoder) keepAsked() {
	d.detail.addr, d.detail.count = d.now.addr, d.now.count
	d.detail.has |= hasAddr | hasCount
}

// orphan keeps values whose addresses are unknown, because their request was not seen.
func (d *decoder) orphan(m *protocols.Message, b []byte, wrong bool) {
	d.detail.count, d.detail.data = uint16(len(b)), b
	d.detail.has |= hasCount
	if wrong && !d.c.Short {
		m.Faults |= protocols.BadLength
	}
}

// tellRegisters decodes the responses of functions 3, 4 and 23.
func (d *decoder) tellRegisters(m *protocols.Message) {
	b := d.counted(m)
	if d.now == nil {
		d.orphan(m, b, len(b) == 0 || len(b)&1 != 0)
		return
	}
	d.keepAsked()
	d.registers(m, d.now.addr, b[:min(len(b), 2*int(d.now.count))])
}

// singleCoil decodes function 5, whose response repeats the request (6.5).
func (d *decoder) singleCoil(m *protocols.Message) {
	addr, v := d.c.BE16(), d.c.BE16()
	if d.c.Short {
		return
	}
	d.keep(addr, 1)
	if v != 0 && v != 0xff00 {
		m.Faults |= protocols.BadValue
		d.detail.word = v
		d.detail.has |= hasWord
		d.run(m, addr, 1)
		return
	}
	d.value(m, uint32(addr), float64(v>>15))
}

// singleRegister decodes function 6, whose response repeats the request (6.6).
func (d *decoder) singleRegister(m *protocols.Message) {
	addr, v := d.c.BE16(), d.c.BE16()
	if d.c.Short {
		return
	}
	d.keep(addr, 1)
	d.value(m, uint32(addr), float64(v))
}

// askWriteBits decodes the request of function 15 (6.11).
func (d *decoder) askWriteBits(m *protocols.Message) {
	addr, count := d.span(m, mostWriteBits)
	d.keep(addr, count)
	b := d.counted(m)
	if d.c.Short {
		return
	}
	if len(b) != (int(count)+7)/8 {
		m.Faults |= protocols.BadLength
	}
	d.bits(m, addr, b, min(int(count), 8*len(b)))
}

// askWriteRegisters decodes the request of function 16 (6.12).
func (d *decoder) askWriteRegisters(m *protocols.Message) {
	addr, count := d.span(m, mostWriteRegs)
	d.keep(addr, count)
	d.written(m, addr, count)
}

// written reads a byte count and the registers that a request writes.
func (d *decoder) written(m *protocols.Message, addr, count uint16) {
	b := d.counted(m)
	if d.c.Short {
		return
	}
	if len(b) != 2*int(count) {
		m.Faults |= protocols.BadLength
	}
	d.registers(m, addr, b[:min(len(b), 2*int(count))])
}

// tellWritten decodes the responses of functions 15 and 16.
func (d *decoder) tellWritten(m *protocols.Message) {
	most := uint16(mostWriteRegs)
	if d.pdu[0] == writeMultipleCoils {
		most = mostWriteBits
	}
	addr, count := d.span(m, most)
	if d.c.Short {
		return
	}
	d.detail.addr, d.detail.count = addr, count
	d.detail.has |= hasAddr | hasCount
	d.run(m, addr, count)
}

// mask decodes function 22, whose response repeats the request: the register becomes its old value AND and_mask, OR
// or_mask AND NOT and_mask (6.16). The new value is known only where nothing of the old one is kept.
func (d *decoder) mask(m *protocols.Message) {
	addr, and, or := d.c.BE16(), d.c.BE16(), d.c.BE16()
	if d.c.Short {
		return
	}
	d.keep(addr, 1)
	d.detail.and, d.detail.or = and, or
	d.detail.has |= hasMasks
	if and == 0 {
		d.value(m, uint32(addr), float64(or))
	} else {
		d.run(m, addr, 1)
	}
}

// askExchange decodes the request of function 23: the registers to read, as a run, then those to write (6.17).
func (d *decoder) askExchange(m *protocols.Message) {
	addr, count := d.span(m, mostRegisters)
	addr2, count2 := d.c.BE16(), d.c.BE16()
	d.keep(addr, count)
	if d.c.Short {
		return
	}
	m.Faults |= rangeFaults(addr2, count2, mostExchangeOut)
	d.detail.addr2, d.detail.count2 = addr2, count2
	d.detail.has |= hasWrite
	d.run(m, addr, count)
	d.written(m, addr2, count2)
}

// askFIFO decodes the request of function 24 (6.18).
func (d *decoder) askFIFO(m *protocols.Message) {
	addr := d.c.BE16()
	if d.c.Short {
		return
	}
	d.keep(addr, 1)
	d.run(m, addr, 1)
}

// tellFIFO decodes the response of function 24: the values of the queue, all at the address of its pointer.
func (d *decoder) tellFIFO(m *protocols.Message) {
	size, count := d.c.BE16(), d.c.BE16()
	if d.c.Short {
		return
	}
	if count > mostFIFO {
		m.Faults |= protocols.BadQuantity
	}
	if int(size) != 2+2*int(count) {
		m.Faults |= protocols.BadLength
	}
	n := min(2*int(count), d.c.Left())
	if n < 2*int(count) {
		m.Faults |= protocols.Short
	}
	b := d.c.Take(n)
	d.detail.count = count
	d.detail.has |= hasCount
	if d.now == nil {
		d.detail.data = b
		return
	}
	d.detail.addr = d.now.addr
	d.detail.has |= hasAddr
	for i := 0; i+1 < len(b); i += 2 {
		d.value(m, uint32(d.now.addr), float64(binary.BigEndian.Uint16(b[i:])))
	}
}
