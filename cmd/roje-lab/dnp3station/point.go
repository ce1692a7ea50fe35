package dnp3station

import (
	"math"
	"time"
)

// Kind is what a point is; its value is the group number of its static object.
type Kind byte

// Kinds of points.
const (
	Binary        Kind = 1
	DoubleBit     Kind = 3
	BinaryOutput  Kind = 10
	Counter       Kind = 20
	FrozenCounter Kind = 21
	Analog        Kind = 30
	AnalogOutput  Kind = 40
	Octets        Kind = 110
)

const online = 0x01

// Point is one point of an outstation; its index is its place in the slice.
type Point struct {
	Value float64
	Text  string // octet strings
	Flags byte   // without the state; online is set by Outstation
	Class byte   // 1-3, 0 for no events

	Every time.Duration             // how often it is looked at; 0: only commands change it
	Vary  func(t time.Time) float64 // its value at t
	Dead  float64                   // change that is worth an event
	Moves int                       // outputs: index of the input that follows, -1 for none
	told  float64
}

// statics encodes the static objects (Annex A), without packed variations.
var statics = map[[2]byte]func(p *Point) []byte{
	{1, 2}: func(p *Point) []byte { return []byte{p.flags(7)} }, {3, 2}: func(p *Point) []byte { return []byte{p.flags(6)} },
	{10, 2}: func(p *Point) []byte { return []byte{p.flags(7)} },
	{20, 1}: flagged32, {20, 2}: flagged16, {20, 5}: bare32, {20, 6}: bare16,
	{21, 1}: flagged32, {21, 2}: flagged16, {21, 9}: bare32, {21, 10}: bare16,
	{30, 1}: flagged32, {30, 2}: flagged16, {30, 3}: bare32, {30, 4}: bare16, {30, 5}: flaggedFloat, {30, 6}: flaggedDouble,
	{40, 1}: flagged32, {40, 2}: flagged16, {40, 3}: flaggedFloat, {40, 4}: flaggedDouble,
}

// usual is the variation that variation 0 and class polls give.
var usual = map[Kind]byte{Binary: 2, DoubleBit: 2, BinaryOutput: 2, Counter: 1, FrozenCounter: 1, Analog: 5, AnalogOutput: 3}

// events says which group and variation an event of a kind has, and how it is encoded before its time.
var events = map[Kind]struct {
	g, v byte
	enc  func(p *Point) []byte
}{
	Binary:        {2, 2, func(p *Point) []byte { return []byte{p.flags(7)} }},
	DoubleBit:     {4, 2, func(p *Point) []byte { return []byte{p.flags(6)} }},
	BinaryOutput:  {11, 2, func(p *Point) []byte { return []byte{p.flags(7)} }},
	Counter:       {22, 5, flagged32},
	FrozenCounter: {23, 5, flagged32},
	Analog:        {32, 7, flaggedFloat},
	AnalogOutput:  {42, 7, flaggedFloat},
}

// flags puts a state at a bit to the flags.
func (p *Point) flags(shift int) byte { return p.Flags | online | byte(p.Value)<<shift }

func flagged32(p *Point) []byte { return append([]byte{p.Flags | online}, bare32(p)...) }
func flagged16(p *Point) []byte { return append([]byte{p.Flags | online}, bare16(p)...) }
func bare32(p *Point) []byte    { return le32(uint32(int32(math.Round(p.Value)))) }
func bare16(p *Point) []byte    { return le16(uint16(int16(math.Round(p.Value)))) }
func flaggedFloat(p *Point) []byte {
	return append([]byte{p.Flags | online}, float(p.Value)...)
}
func flaggedDouble(p *Point) []byte {
	bits := math.Float64bits(p.Value)
	return append([]byte{p.Flags | online}, append(le32(uint32(bits)), le32(uint32(bits>>32))...)...)
}

// packed gives points as bits (width 1) or pairs of bits (width 2).
func packed(points []*Point, width int) []byte {
	out := make([]byte, (len(points)*width+7)/8)
	for i, p := range points {
		out[i*width/8] |= byte(p.Value) & (1<<width - 1) << (i * width % 8)
	}
	return out
}

// widths of the packed variations.
var widths = map[[2]byte]int{{1, 1}: 1, {3, 1}: 2, {10, 1}: 1}

// static encodes points start to stop of a group; ok is false if there is no such variation.
func static(kind Kind, v byte, points []*Point, start int) (o Objects, ok bool) {
	if v == 0 {
		v = usual[kind]
	}
	stop := start + len(points) - 1
	header := Range(byte(kind), v, byte(start), byte(stop))
	if stop > 255 {
		header = append(append(Objects{byte(kind), v, 0x01}, le16(uint16(start))...), le16(uint16(stop))...)
	}
	if width := widths[[2]byte{byte(kind), v}]; width > 0 {
		return append(header, packed(points, width)...), true
	}
	if kind == Octets {
		for i, p := range points {
			o = append(append(o, Range(110, byte(len(p.Text)), byte(start+i), byte(start+i))...), p.Text...)
		}
		return o, true
	}
	enc, ok := statics[[2]byte{byte(kind), v}]
	if !ok {
		return nil, false
	}
	for _, p := range points {
		header = append(header, enc(p)...)
	}
	return header, true
}
