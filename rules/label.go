package rules

import (
	"net/netip"

	"github.com/roje-ot/roje/protocols"
)

// A Label is what the engineers of a plant say of a point. The zero value says nothing.
type Label struct {
	Text          string  // what they call it: "breaker Q0, bay E03"
	Unit          string  // of its value after Scale and Offset; "" where it has none
	Scale, Offset float64 // value = what is sent × Scale + Offset
	Signed        bool    // what is sent is the unsigned reading of a 16-bit number with a sign
}

// Labels knows the labels of a plant.
type Labels interface {
	// Label returns that of a point, or a run of points, of m, which server sent or was sent; nil where there is none. It
	// allocates nothing, and what it returns is not changed.
	Label(server netip.AddrPort, m *protocols.Message, p *protocols.Point) *Label
}

// Value is what v, as it was sent, means in the label's unit.
func (l *Label) Value(v float64) float64 {
	if l.Signed && v >= 1<<15 && v < 1<<16 {
		v -= 1 << 16
	}
	if l.Scale == 0 {
		return v + l.Offset
	}
	return v*l.Scale + l.Offset
}

// Plain says whether the label leaves values as they are sent.
func (l *Label) Plain() bool {
	return l.Unit == "" && (l.Scale == 0 || l.Scale == 1) && l.Offset == 0 && !l.Signed
}

// NamePoints gives points, which were made of the first of said, the names that labels has for them. said are points of
// m, which server sent or was sent. labels may be nil.
func NamePoints(points []Point, labels Labels, server netip.AddrPort, m *protocols.Message, said []protocols.Point) {
	if labels == nil {
		return
	}
	for i := range points {
		if l := labels.Label(server, m, &said[i]); l != nil {
			points[i].Name = l.Text
		}
	}
}
