package modbusstation

import (
	"encoding/binary"
	"time"
)

// Unit is one device: its four tables, its identity and its records. A table's length is its address space.
type Unit struct {
	Coils, Discrete []bool
	Holding, Input  []uint16
	ServerID        string          // report server id
	Identity        []string        // device identification objects from 0 on
	Records         []uint16        // file 1
	FIFO            []uint16        // queue at holding register 0
	Project         string          // what the engineering function reads
	Refresh         func(time.Time) // brings the process up to date before each request; may be nil

	messages, errors, events uint16
	silent                   bool // listen-only mode
	status                   byte // exception status outputs
}

// Hush makes the unit do what it is asked and answer nothing, as listen-only mode does.
func (u *Unit) Hush() { u.silent = true }

// function does one function code: data after the code to data of the response, or an exception.
type function func(u *Unit, b []byte) ([]byte, byte)

// functions is what a unit can do. The length is the least that the request's data must have.
var functions = map[byte]struct {
	least int
	do    function
}{
	1:  {4, func(u *Unit, b []byte) ([]byte, byte) { return readBits(u.Coils, b) }},
	2:  {4, func(u *Unit, b []byte) ([]byte, byte) { return readBits(u.Discrete, b) }},
	3:  {4, func(u *Unit, b []byte) ([]byte, byte) { return readWords(u.Holding, b) }},
	4:  {4, func(u *Unit, b []byte) ([]byte, byte) { return readWords(u.Input, b) }},
	5:  {4, writeCoil},
	6:  {4, writeRegister},
	7:  {0, func(u *Unit, b []byte) ([]byte, byte) { return []byte{u.status}, 0 }},
	8:  {4, diagnose},
	11: {0, func(u *Unit, b []byte) ([]byte, byte) { return words(0, u.events), 0 }},
	12: {0, func(u *Unit, b []byte) ([]byte, byte) {
		return append([]byte{8}, append(words(0, u.events, u.messages), 0x20, 0x00)...), 0
	}},
	15: {5, writeCoils},
	16: {5, writeRegisters},
	17: {0, func(u *Unit, b []byte) ([]byte, byte) {
		return append([]byte{byte(len(u.ServerID) + 1)}, append([]byte(u.ServerID), 0xff)...), 0
	}},
	20: {8, readRecord},
	21: {10, writeRecord},
	22: {6, maskRegister},
	23: {9, readWriteRegisters},
	24: {2, readFIFO},
	43: {3, identify},
	90: {2, engineer},
}

// do brings the process up to date and carries the request out.
func (u *Unit) do(code byte, data []byte, now time.Time) ([]byte, byte) {
	u.messages++
	if u.Refresh != nil {
		u.Refresh(now)
	}
	f, ok := functions[code]
	if !ok {
		u.errors++
		return nil, illegalFunction
	}
	if len(data) < f.least {
		u.errors++
		return nil, illegalValue
	}
	out, exception := f.do(u, data)
	if exception != noExceptionAtAll {
		u.errors++
	} else {
		u.events++
	}
	return out, exception
}

// words is big-endian 16-bit values.
func words(v ...uint16) []byte {
	var b []byte
	for _, w := range v {
		b = binary.BigEndian.AppendUint16(b, w)
	}
	return b
}

// span checks an address and a quantity against a table and the protocol's limit.
func span(b []byte, size, most int) (at, n int, exception byte) {
	at, n = int(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case n < 1 || n > most:
		return 0, 0, illegalValue
	case at+n > size:
		return 0, 0, illegalAddress
	}
	return at, n, noExceptionAtAll
}

func readBits(table []bool, b []byte) ([]byte, byte) {
	at, n, exception := span(b, len(table), 2000)
	if exception != 0 {
		return nil, exception
	}
	out := make([]byte, 1+(n+7)/8)
	out[0] = byte(len(out) - 1)
	for i := range n {
		if table[at+i] {
			out[1+i/8] |= 1 << (i % 8)
		}
	}
	return out, 0
}

func readWords(table []uint16, b []byte) ([]byte, byte) {
	at, n, exception := span(b, len(table), 125)
	if exception != 0 {
		return nil, exception
	}
	return append([]byte{byte(2 * n)}, words(table[at:at+n]...)...), 0
}

func writeCoil(u *Unit, b []byte) ([]byte, byte) {
	at, v := int(binary.BigEndian.Uint16(b)), binary.BigEndian.Uint16(b[2:])
	if v != 0 && v != 0xff00 {
		return nil, illegalValue
	}
	if at >= len(u.Coils) {
		return nil, illegalAddress
	}
	u.Coils[at] = v != 0
	return b[:4], 0
}

func writeRegister(u *Unit, b []byte) ([]byte, byte) {
	at := int(binary.BigEndian.Uint16(b))
	if at >= len(u.Holding) {
		return nil, illegalAddress
	}
	u.Holding[at] = binary.BigEndian.Uint16(b[2:])
	return b[:4], 0
}

func writeCoils(u *Unit, b []byte) ([]byte, byte) {
	at, n, exception := span(b, len(u.Coils), 1968)
	if exception != 0 {
		return nil, exception
	}
	if int(b[4]) != (n+7)/8 || len(b) != 5+int(b[4]) {
		return nil, illegalValue
	}
	for i := range n {
		u.Coils[at+i] = b[5+i/8]>>(i%8)&1 == 1
	}
	return b[:4], 0
}

// store writes the registers that b holds.
func store(table []uint16, b []byte) {
	for i := range table {
		table[i] = binary.BigEndian.Uint16(b[2*i:])
	}
}

func writeRegisters(u *Unit, b []byte) ([]byte, byte) {
	at, n, exception := span(b, len(u.Holding), 123)
	if exception != 0 {
		return nil, exception
	}
	if int(b[4]) != 2*n || len(b) != 5+2*n {
		return nil, illegalValue
	}
	store(u.Holding[at:at+n], b[5:])
	return b[:4], 0
}

func maskRegister(u *Unit, b []byte) ([]byte, byte) {
	at := int(binary.BigEndian.Uint16(b))
	if at >= len(u.Holding) {
		return nil, illegalAddress
	}
	and, or := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[4:])
	u.Holding[at] = u.Holding[at]&and | or&^and
	return b[:6], 0
}

func readWriteRegisters(u *Unit, b []byte) ([]byte, byte) {
	at, n, exception := span(b[4:], len(u.Holding), 121)
	if exception != 0 {
		return nil, exception
	}
	if int(b[8]) != 2*n || len(b) != 9+2*n {
		return nil, illegalValue
	}
	store(u.Holding[at:at+n], b[9:])
	return readWords(u.Holding, b)
}
