package plant

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/dnp3"
	"github.com/roje-ot/roje/protocols/iec104"
	"github.com/roje-ot/roje/protocols/modbus"
	"github.com/roje-ot/roje/rules/strict"
)

// A Type is what a list can say of the form of a point. Types of 104 that differ only in their time tag are one, and so
// are the static and the event groups of DNP3.
type Type struct {
	Name   string // as it is shown
	kind   protocols.Kind
	double bool
	codes  []uint16 // type ids of 104, groups of DNP3; none: the wire does not show it
	words  []string // spellings beside Name, plain
	signed bool     // of a Modbus register: two's complement
	count  uint32   // registers that it takes; 0: one
}

// types are what the lists of each protocol may say in the column type.
var types = map[*protocols.Protocol][]*Type{
	iec104.Protocol: {
		{Name: "single point", kind: protocols.BinaryIn, codes: []uint16{1, 2, 30}, words: []string{"sp", "spi", "msp", "single", "singlepointinformation", "singleindication"}},
		{Name: "double point", kind: protocols.BinaryIn, codes: []uint16{3, 4, 31}, words: []string{"dp", "dpi", "mdp", "double", "doublepointinformation", "doubleindication"}},
		{Name: "step position", kind: protocols.AnalogIn, codes: []uint16{5, 6, 32}, words: []string{"st", "mst", "step", "tapposition"}},
		{Name: "bit string", kind: protocols.BinaryIn, codes: []uint16{7, 8, 33}, words: []string{"bo", "mbo", "bits", "bitstring32"}},
		{Name: "normalized value", kind: protocols.AnalogIn, codes: []uint16{9, 10, 34, 21}, words: []string{"normalized", "normalised", "normalisedvalue", "nva", "meavnormalized"}},
		{Name: "scaled value", kind: protocols.AnalogIn, codes: []uint16{11, 12, 35}, words: []string{"scaled", "sva", "measuredscaled"}},
		{Name: "short float", kind: protocols.AnalogIn, codes: []uint16{13, 14, 36}, words: []string{"float", "shortfloatvalue", "r32", "floatingpoint", "measuredfloat"}},
		{Name: "integrated totals", kind: protocols.Counter, codes: []uint16{15, 16, 37, 41}, words: []string{"it", "mit", "counter", "totals", "meter"}},
		{Name: "protection event", kind: protocols.BinaryIn, codes: []uint16{17, 18, 19, 38, 39, 40}, words: []string{"ep", "mep"}},
		{Name: "packed single points", kind: protocols.BinaryIn, codes: []uint16{20}, words: []string{"ps", "mps"}},
		{Name: "single command", kind: protocols.BinaryOut, codes: []uint16{45, 58}, words: []string{"sc", "csc", "sco"}},
		{Name: "double command", kind: protocols.BinaryOut, codes: []uint16{46, 59}, words: []string{"dc", "cdc", "dco"}},
		{Name: "regulating step", kind: protocols.BinaryOut, codes: []uint16{47, 60}, words: []string{"rc", "crc", "rco", "stepcommand", "regulatingstepcommand"}},
		{Name: "normalized set-point", kind: protocols.AnalogOut, codes: []uint16{48, 61}, words: []string{"normalisedsetpoint", "setpointnormalized", "setpointnormalised"}},
		{Name: "scaled set-point", kind: protocols.AnalogOut, codes: []uint16{49, 62}, words: []string{"setpointscaled"}},
		{Name: "float set-point", kind: protocols.AnalogOut, codes: []uint16{50, 63}, words: []string{"setpointfloat", "shortfloatsetpoint"}},
		{Name: "bit string command", kind: protocols.BinaryOut, codes: []uint16{51, 64}, words: []string{"bitstringcommand32"}},
		{Name: "parameter", kind: protocols.AnalogOut, codes: []uint16{110, 111, 112}, words: []string{"pme"}},
		{Name: "measured value", kind: protocols.AnalogIn, words: []string{"mv", "me", "mme", "measurement", "analog", "analogue", "analoginput"}},
		{Name: "set-point", kind: protocols.AnalogOut, words: []string{"se", "cse", "setpointcommand", "analogoutput"}},
	},
	dnp3.Protocol: {
		{Name: "binary input", kind: protocols.BinaryIn, codes: []uint16{1, 2}, words: []string{"bi", "di", "binary", "digitalinput", "binaryinputs"}},
		{Name: "double-bit input", kind: protocols.BinaryIn, double: true, codes: []uint16{3, 4}, words: []string{"dbi", "dbbi", "doublebit", "doublebitbinaryinput"}},
		{Name: "binary output", kind: protocols.BinaryOut, codes: []uint16{10, 11, 12, 13}, words: []string{"bo", "do", "crob", "control", "digitaloutput", "binaryoutputs"}},
		{Name: "counter", kind: protocols.Counter, codes: []uint16{20, 21, 22, 23}, words: []string{"ct", "ctr", "counters", "frozencounter"}},
		{Name: "analog input", kind: protocols.AnalogIn, codes: []uint16{30, 31, 32, 33, 34}, words: []string{"ai", "analog", "analogue", "analogueinput", "analoginputs"}},
		{Name: "analog output", kind: protocols.AnalogOut, codes: []uint16{40, 41, 42, 43}, words: []string{"ao", "setpoint", "analogueoutput", "analogoutputs"}},
	},
	modbus.Protocol: {
		{Name: "bool", words: []string{"bit", "boolean", "digital"}},
		{Name: "uint16", words: []string{"word", "u16", "unsigned", "unsigned16", "ushort"}},
		{Name: "int16", words: []string{"s16", "i16", "integer", "int", "signed", "signed16", "short"}, signed: true},
		{Name: "uint32", words: []string{"dword", "u32", "unsigned32", "ulong", "udint"}, count: 2},
		{Name: "int32", words: []string{"s32", "i32", "long", "signed32", "dint"}, count: 2},
		{Name: "float32", words: []string{"float", "real", "single", "f32", "ieee754"}, count: 2},
		{Name: "uint64", words: []string{"u64", "unsigned64", "ulint"}, count: 4},
		{Name: "int64", words: []string{"s64", "i64", "lint"}, count: 4},
		{Name: "float64", words: []string{"lreal", "f64", "double64"}, count: 4},
		{Name: "string", words: []string{"text", "char", "ascii"}},
	},
}

// tables are the words of the column table of a Modbus list.
var tables = []struct {
	name  string
	kind  protocols.Kind
	first uint32 // of its references, as in 40001
	words []string
}{
	{"coil", protocols.BinaryOut, 0, []string{"coils", "co", "0x", "do", "digitaloutput"}},
	{"discrete input", protocols.BinaryIn, 1, []string{"discreteinputs", "di", "1x", "discrete", "contact", "inputstatus", "digitalinput"}},
	{"input register", protocols.AnalogIn, 3, []string{"inputregisters", "ir", "3x", "ai", "input"}},
	{"holding register", protocols.AnalogOut, 4, []string{"holdingregisters", "hr", "4x", "ao", "holding", "register"}},
}

// plain is text in small letters, without what is neither a letter nor a digit.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, text)
}

// named says whether word is name or one of its other spellings.
func named(word, name string, others []string) bool {
	if word == plain(name) {
		return true
	}
	for _, o := range others {
		if word == o {
			return true
		}
	}
	return false
}

// typeOf reads the word of a type: one of the table above, or of 104 a type id by its number or its name.
func typeOf(proto *protocols.Protocol, text string) (*Type, error) {
	word := plain(text)
	known := []string{}
	for _, t := range types[proto] {
		if named(word, t.Name, t.words) {
			return t, nil
		}
		known = append(known, t.Name)
	}
	if proto == iec104.Protocol {
		code := strings.TrimLeft(word, "tiyped")
		for i := range proto.Codes {
			if c := &proto.Codes[i]; code == strconv.Itoa(int(c.Code)) || word == plain(c.Name) || word+"1" == plain(c.Name) {
				if t := typeWith(proto, c.Code); t != nil {
					return t, nil
				}
				return nil, fmt.Errorf("type %s carries no point of a list; it is one of 1 to 40, 45 to 51, 58 to 64 or 110 to 112", c.Name)
			}
		}
	}
	return nil, strict.Unknown("type", text, known)
}

// typeWith is the type of a type id of 104 or a group of DNP3; nil where there is none.
func typeWith(proto *protocols.Protocol, code uint16) *Type {
	for _, t := range types[proto] {
		for _, c := range t.codes {
			if c == code {
				return t
			}
		}
	}
	return nil
}

// typeSeen is the type of a point of a message, as the wire shows it; nil where it shows none.
func typeSeen(proto *protocols.Protocol, p *protocols.Point) *Type {
	if proto == dnp3.Protocol {
		return typeWith(proto, p.Type>>8)
	}
	return typeWith(proto, p.Type)
}

// tableOf reads the word of a Modbus table.
func tableOf(text string) (protocols.Kind, error) {
	word := plain(text)
	known := []string{}
	for _, t := range tables {
		if named(word, t.name, t.words) {
			return t.kind, nil
		}
		known = append(known, t.name)
	}
	return 0, strict.Unknown("table", text, known)
}

// kindName is what a point of that kind is called in a list of proto.
func kindName(proto *protocols.Protocol, kind protocols.Kind) string {
	if proto == modbus.Protocol {
		for _, t := range tables {
			if t.kind == kind {
				return t.name
			}
		}
	}
	if proto == iec104.Protocol {
		return "object"
	}
	for _, t := range types[proto] {
		if t.kind == kind {
			return t.Name
		}
	}
	return "point"
}
