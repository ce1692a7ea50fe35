package plant

import (
	"net/netip"
	"strconv"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A Point is one row of a list. It is not changed once loaded.
type Point struct {
	Proto   *protocols.Protocol
	Assets  []netip.Addr // the addresses under which its station answers; none: any
	Station uint32
	Any     bool // of whatever station number: the list does not say
	Kind    protocols.Kind
	Double  bool   // a double-bit input of DNP3, which has numbers of its own
	Addr    uint32 // as on the wire
	N       uint32 // registers that it takes; 1 but for Modbus
	Type    *Type  // nil: the list does not say, or says what is only a kind
	Name    string
	Bay     string
	Part    string // another part of the plant
	Class   string // of a DNP3 input: the event class that it has by default: none, 1, 2, 3; "" where the list does not say
	Reads   bool   // only to be read: the list says so, or its type
	Travel  int64  // nanoseconds that what it commands takes; 0 where the list does not say
	File    string
	Line    int

	follows *target // of a command: what follows it
	told    *target // of an indication: the command that it follows
	label   rules.Label
}

// A target is another point of the same station that a row names.
type target struct {
	kind   protocols.Kind
	known  bool // the row says of which kind it is
	addr   uint32
	column int
}

// finish makes the label of p.
func (p *Point) finish() {
	p.label.Text = p.Name
	if p.Bay != "" {
		p.label.Text += ", bay " + p.Bay
	}
	if p.Part != "" {
		p.label.Text += ", " + p.Part
	}
}

// Where names the station of p for people.
func (p *Point) Where() string {
	where := "any station"
	if !p.Any {
		where = "station " + strconv.FormatUint(uint64(p.Station), 10)
	}
	for i, a := range p.Assets {
		if i == 0 {
			where += " at "
		} else {
			where += ", "
		}
		where += a.String()
	}
	return where
}

// commands says whether p can be commanded or written by its kind.
func (p *Point) commands() bool {
	return p.Kind == protocols.BinaryOut || p.Kind == protocols.AnalogOut
}
