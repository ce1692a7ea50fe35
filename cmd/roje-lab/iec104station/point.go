package iec104station

import (
	"math"
	"time"
)

// Point is one monitored object of an outstation.
type Point struct {
	Type    byte    // without time tag: 1, 3, 5, 7, 9, 11, 13, 15, 20 or 21
	Value   float64 // on/off as 1/0, double point 0-3, normalised -1..1, others as they are
	Quality byte    // IV 80, NT 40, SB 20, BL 10, OV 01
	Group   byte    // 1-16 for group interrogation, 0 for none
	Cyclic  bool    // reported with cause periodic and no time tag, instead of spontaneous with one

	Every time.Duration             // how often it is looked at; 0: only commands change it
	Vary  func(t time.Time) float64 // its value at t
	Dead  float64                   // change that is worth a report
}

// timed is the type that carries the same element with CP56Time2a.
var timed = map[byte]byte{1: 30, 3: 31, 5: 32, 7: 33, 9: 34, 11: 35, 13: 36, 15: 37}

// elements encodes a point's element, quality included, by its type without time tag.
var elements = map[byte]func(p *Point) []byte{
	1:  func(p *Point) []byte { return []byte{byte(p.Value)&1 | p.Quality&0xf0} },
	3:  func(p *Point) []byte { return []byte{byte(p.Value)&3 | p.Quality&0xf0} },
	5:  func(p *Point) []byte { return []byte{byte(int8(p.Value)) & 0x7f, p.Quality} },
	7:  func(p *Point) []byte { return append(u32(uint32(p.Value)), p.Quality) },
	9:  func(p *Point) []byte { return append(norm(p.Value), p.Quality) },
	11: func(p *Point) []byte { return append(u16(uint16(int16(math.Round(p.Value)))), p.Quality) },
	13: func(p *Point) []byte { return append(real(p.Value), p.Quality) },
	15: func(p *Point) []byte { return append(u32(uint32(p.Value)), p.Quality&0x80) },
	20: func(p *Point) []byte { return append(u32(uint32(p.Value)), p.Quality) },
	21: func(p *Point) []byte { return norm(p.Value) },
}

// object is the point without a time tag.
func (p *Point) object(ioa uint32) Object { return Object{ioa, elements[p.Type](p)} }

// event is the point with a time tag, where its type has one.
func (p *Point) event(ioa uint32, at time.Time) (byte, Object) {
	tagged, ok := timed[p.Type]
	if !ok {
		return p.Type, p.object(ioa)
	}
	return tagged, Object{ioa, append(elements[p.Type](p), cp56(at)...)}
}

// Control is one object that can be commanded.
type Control struct {
	Type    byte          // 45-51; the same with a time tag (58-64) is taken too
	Point   uint32        // the monitored object it moves
	Select  bool          // select before operate
	Travel  time.Duration // from execute to the new position
	Deaf    bool          // it is not answered and does nothing
	Endless bool          // it is answered and moves, and its end is not said
	Stuck   bool          // it is answered, and what it moves does not move
}

// plain is the command type without a time tag.
func plain(kind byte) byte {
	if kind >= 58 && kind <= 64 {
		return kind - 13
	}
	return kind
}

// value reads what a command asks for, and whether it only selects.
func value(kind byte, b []byte) (v float64, selects bool) {
	switch plain(kind) {
	case 45:
		return float64(b[0] & 1), b[0]&0x80 != 0
	case 46, 47:
		return float64(b[0] & 3), b[0]&0x80 != 0
	case 48:
		return float64(int16(uint16(b[0])|uint16(b[1])<<8)) / 32768, b[2]&0x80 != 0
	case 49:
		return float64(int16(uint16(b[0]) | uint16(b[1])<<8)), b[2]&0x80 != 0
	case 50:
		return float64(math.Float32frombits(le32(b))), b[4]&0x80 != 0
	case 51:
		return float64(le32(b)), false
	}
	return 0, false
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
