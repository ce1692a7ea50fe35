package iec104station

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Causes of transmission (IEC 60870-5-101 clause 7.2.3).
const (
	Periodic     = 1
	Background   = 2
	Spontaneous  = 3
	Initialised  = 4
	Requested    = 5
	Activation   = 6
	ActCon       = 7
	Deactivation = 8
	DeactCon     = 9
	ActTerm      = 10
	ReturnRemote = 11
	ReturnLocal  = 12
	FileTransfer = 13
	Interrogated = 20
	CounterAsked = 37
	UnknownType  = 44
	UnknownCause = 45
	UnknownCA    = 46
	UnknownIOA   = 47
)

// ASDU is one application service data unit.
type ASDU struct {
	Type    byte
	SQ      bool // the objects' addresses follow each other, and only the first is sent
	Cause   byte
	Neg     bool
	Test    bool
	OA      byte
	CA      uint16
	Objects []Object
}

// Object is an information object: its address and its element, encoded.
type Object struct {
	IOA  uint32
	Data []byte
}

// encode makes the bytes of an ASDU.
func (a *ASDU) encode() []byte {
	n, cause := byte(len(a.Objects)), a.Cause
	if a.SQ {
		n |= 0x80
	}
	if a.Neg {
		cause |= 0x40
	}
	if a.Test {
		cause |= 0x80
	}
	b := []byte{a.Type, n, cause, a.OA, byte(a.CA), byte(a.CA >> 8)}
	for i, o := range a.Objects {
		if i == 0 || !a.SQ {
			b = append(b, byte(o.IOA), byte(o.IOA>>8), byte(o.IOA>>16))
		}
		b = append(b, o.Data...)
	}
	return b
}

// sizes of the elements without their object address, by type (IEC 60870-5-101 clause 7.3); a file segment has its own.
var sizes = map[byte]int{
	1: 1, 2: 4, 3: 1, 4: 4, 5: 2, 6: 5, 7: 5, 8: 8, 9: 3, 10: 6, 11: 3, 12: 6, 13: 5, 14: 8, 15: 5, 16: 8, 17: 6, 18: 7, 19: 7, 20: 5, 21: 2,
	30: 8, 31: 8, 32: 9, 33: 12, 34: 10, 35: 10, 36: 12, 37: 12, 38: 10, 39: 11, 40: 11,
	45: 1, 46: 1, 47: 1, 48: 3, 49: 3, 50: 5, 51: 4, 58: 8, 59: 8, 60: 8, 61: 10, 62: 10, 63: 12, 64: 11, 70: 1,
	100: 1, 101: 1, 102: 0, 103: 7, 104: 2, 105: 1, 106: 2, 107: 9, 110: 3, 111: 3, 112: 5, 113: 1,
	120: 6, 121: 7, 122: 4, 123: 5, 124: 4, 126: 13, 127: 16,
}

// decode reads an ASDU. A type whose size is not known keeps all its bytes in one object.
func decode(b []byte) (*ASDU, error) {
	if len(b) < 9 {
		return nil, fmt.Errorf("iec104: asdu of %d bytes", len(b))
	}
	a := &ASDU{Type: b[0], SQ: b[1]&0x80 != 0, Cause: b[2] & 0x3f, Neg: b[2]&0x40 != 0, Test: b[2]&0x80 != 0,
		OA: b[3], CA: binary.LittleEndian.Uint16(b[4:])}
	size, known := sizes[a.Type]
	rest := b[6:]
	var at uint32
	for i := range int(b[1] & 0x7f) {
		if i == 0 || !a.SQ {
			if len(rest) < 3 {
				return nil, fmt.Errorf("iec104: type %d ends in an object address", a.Type)
			}
			at = uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16
			rest = rest[3:]
		} else {
			at++
		}
		if !known {
			size = len(rest)
		}
		if len(rest) < size {
			return nil, fmt.Errorf("iec104: type %d ends in an element", a.Type)
		}
		a.Objects = append(a.Objects, Object{at, rest[:size:size]})
		rest = rest[size:]
	}
	return a, nil
}

// The elements of clause 7.2.6.

func u16(v uint16) []byte { return binary.LittleEndian.AppendUint16(nil, v) }
func u24(v uint32) []byte { return []byte{byte(v), byte(v >> 8), byte(v >> 16)} }
func u32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

// real is IEEE STD 754 (R32).
func real(v float64) []byte { return u32(math.Float32bits(float32(v))) }

// norm is a normalised value (NVA), -1 to 1-2⁻¹⁵.
func norm(v float64) []byte {
	return u16(uint16(int16(math.Round(max(-32768, min(32767, v*32768))))))
}

// cp56 is CP56Time2a of t in UTC: milliseconds, minute, hour, day of month and of week, month, year.
func cp56(t time.Time) []byte {
	t = t.UTC()
	week := (int(t.Weekday())+6)%7 + 1
	return append(u16(uint16(t.Second()*1000+t.Nanosecond()/1e6)),
		byte(t.Minute()), byte(t.Hour()), byte(t.Day()|week<<5), byte(t.Month()), byte(t.Year()%100))
}

// join concatenates the parts of an element.
func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// TimeTag is the time tag of n bytes for t: CP24Time2a, CP56Time2a or none.
func TimeTag(t time.Time, n int) []byte { return cp56(t)[:n] }
