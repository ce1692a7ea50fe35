package dnp3

import "github.com/roje-ot/roje/protocols"

// A variant is one variation of a group: what it is called and what it is put together from.
type variant struct {
	name  string
	shape []step
}

// pointGroups are the groups that report and command points, IEEE 1815 A.2 to A.25; a variant's number is its place in the
// list.
var pointGroups = []struct {
	group    uint8
	name     string
	kind     protocols.Kind
	variants [][]variant
}{
	{1, "Binary Input", protocols.BinaryIn, of(variant{"packed", shape(bit)}, variant{"with flags", shape(binFlag)})},
	{2, "Binary Input Event", protocols.BinaryIn, binaryEvents(binFlag)},
	{3, "Double-bit Binary Input", protocols.BinaryIn, of(variant{"packed", shape(twoBits)}, variant{"with flags", shape(dblFlag)})},
	{4, "Double-bit Binary Input Event", protocols.BinaryIn, binaryEvents(dblFlag)},

	{10, "Binary Output", protocols.BinaryOut, of(variant{"packed", shape(bit)}, variant{"status with flags", shape(outFlag)})},
	{11, "Binary Output Event", protocols.BinaryOut, of(variant{"without time", shape(outFlag)}, variant{"with time", shape(outFlag, when)})},
	{12, "Binary Output Command", protocols.BinaryOut, of(variant{"control relay output block", crob}, variant{patternControl, crob}, variant{"pattern mask", shape(bit)})},
	{13, "Binary Output Command Event", protocols.BinaryOut, of(variant{"without time", shape(command)}, variant{"with time", shape(command, when)})},

	{20, "Counter", protocols.Counter, [][]variant{counters(" with flag", ctrFlag, value), counters("", value)}},
	{21, "Frozen Counter", protocols.Counter, [][]variant{counters(" with flag", ctrFlag, value), counters(" with flag and time", ctrFlag, value, when), counters("", value)}},
	{22, "Counter Event", protocols.Counter, [][]variant{counters(" with flag", ctrFlag, value), counters(" with flag and time", ctrFlag, value, when)}},
	{23, "Frozen Counter Event", protocols.Counter, [][]variant{counters(" with flag", ctrFlag, value), counters(" with flag and time", ctrFlag, value, when)}},

	{30, "Analog Input", protocols.AnalogIn, [][]variant{integers(" with flag", anaFlag, value), integers("", value), floats(" with flag", anaFlag, value)}},
	{31, "Frozen Analog Input", protocols.AnalogIn, [][]variant{integers(" with flag", anaFlag, value), integers(" with time of freeze", anaFlag, value, when),
		integers("", value), floats(" with flag", anaFlag, value)}},
	{32, "Analog Input Event", protocols.AnalogIn, analogEvents(anaFlag)},
	{33, "Frozen Analog Input Event", protocols.AnalogIn, analogEvents(anaFlag)},
	{34, "Analog Input Reporting Deadband", other, of(variant{"16-bit", shape(u16)}, variant{"32-bit", shape(u32)}, variant{"single-precision", shape(f32)})},

	{40, "Analog Output Status", protocols.AnalogOut, [][]variant{integers(" with flag", anaFlag, value), floats(" with flag", anaFlag, value)}},
	{41, "Analog Output", protocols.AnalogOut, [][]variant{integers("", value, ctlStatus), floats("", value, ctlStatus)}},
	{42, "Analog Output Event", protocols.AnalogOut, analogEvents(anaFlag)},
	{43, "Analog Output Command Event", protocols.AnalogOut, analogEvents(ctlStatus)},
}

const patternControl = "pattern control block" // says what to do and not with which points: the mask behind it does

// value stands in a shape for the number that differs from variant to variant.
var value = step{how: unsigned}

func of(v ...variant) [][]variant { return [][]variant{v} }

func binaryEvents(flag step) [][]variant {
	return of(variant{"without time", shape(flag)}, variant{"with absolute time", shape(flag, when)}, variant{"with relative time", shape(flag, since)})
}

func analogEvents(flag step) [][]variant {
	return [][]variant{integers(" without time", flag, value), integers(" with time", flag, value, when),
		floats(" without time", flag, value), floats(" with time", flag, value, when)}
}

func counters(suffix string, s ...step) []variant {
	return widths(suffix, s, variant{"32-bit", shape(u32)}, variant{"16-bit", shape(u16)}, variant{"32-bit delta", shape(u32)}, variant{"16-bit delta", shape(u16)})
}

func integers(suffix string, s ...step) []variant {
	return widths(suffix, s, variant{"32-bit", shape(i32)}, variant{"16-bit", shape(i16)})
}

func floats(suffix string, s ...step) []variant {
	return widths(suffix, s, variant{"single-precision", shape(f32)}, variant{"double-precision", shape(f64)})
}

// widths makes a variant of each number: its name with the suffix, and s with the number in its place.
func widths(suffix string, s []step, numbers ...variant) (all []variant) {
	for _, n := range numbers {
		fields := append([]step(nil), s...)
		for i := range fields {
			if fields[i] == value {
				fields[i] = n.shape[0]
			}
		}
		all = append(all, variant{n.name + suffix, fields})
	}
	return all
}

// pointObjects are the rows of pointGroups.
func pointObjects() (rows []object) {
	for _, g := range pointGroups {
		rows = append(rows, object{group: g.group, name: g.name, kind: g.kind})
		n := uint8(0)
		for _, list := range g.variants {
			for _, v := range list {
				n++
				row := object{group: g.group, variation: n, name: v.name, kind: g.kind, shape: v.shape}
				if v.name == patternControl {
					row.kind, row.quiet = other, true
				}
				rows = append(rows, row)
			}
		}
	}
	return rows
}
