package sensor

import (
	"slices"
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

// Modbus function codes, as sets: which messages tshark shows a field for.
func fc(codes ...uint16) func(*protocols.Message) bool {
	return func(m *protocols.Message) bool { return m.Status == 0 && m.HasCode && slices.Contains(codes, m.Code) }
}

func fromClient(m *protocols.Message) bool { return m.From == protocols.Client }

// tableOf takes points of one Modbus table: 0 coils, 1 discrete inputs, 3 input registers, 4 holding registers.
func tableOf(tables ...uint16) func(*protocols.Message, *protocols.Point) bool {
	return func(m *protocols.Message, p *protocols.Point) bool {
		return m.Code != 20 && m.Code != 21 && m.Code != 24 && slices.Contains(tables, p.Type)
	}
}

// either reads from a request where the function is among first, and from a response where it is among echo too.
func either(read func([]string, *protocols.Message) []string, requests, echoes []uint16) func([]string, *protocols.Message) []string {
	asked, echoed := fc(requests...), fc(echoes...)
	return func(dst []string, m *protocols.Message) []string {
		if fromClient(m) && asked(m) || !fromClient(m) && echoed(m) {
			return read(dst, m)
		}
		return dst
	}
}

var modbusColumns = []column{
	{field: "mbtcp.trans_id", proto: "modbus", ours: own("tid")},
	{field: "mbtcp.unit_id", proto: "modbus", ours: own("unit")},
	{field: "modbus.func_code", proto: "modbus", ours: code},
	{field: "modbus.exception_code", proto: "modbus", ours: own("exception")},
	{field: "modbus.diagnostic_code", proto: "modbus", ours: own("sub", fc(8))},
	{field: "modbus.mei", proto: "modbus", ours: own("mei", fc(43))},
	{field: "modbus.reference_num", proto: "modbus", ours: either(own("addr"), []uint16{1, 2, 3, 4, 5, 6, 15, 16, 22, 24}, []uint16{5, 6, 15, 16, 22})},
	{field: "modbus.word_cnt", proto: "modbus", ours: either(own("count"), []uint16{3, 4, 16}, []uint16{16})},
	{field: "modbus.bit_cnt", proto: "modbus", ours: either(own("count"), []uint16{1, 2, 15}, []uint16{15})},
	{field: "modbus.regval_uint16", proto: "modbus", ours: either(value(tableOf(3, 4)), []uint16{6, 16, 23}, []uint16{3, 4, 6, 23})},
	{field: "modbus.regnum16", proto: "modbus", ours: either(points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.Itoa(int(p.Addr)), p.Has&protocols.HasValue != 0 && tableOf(3, 4)(m, p)
	}), []uint16{6, 16}, []uint16{3, 4, 6})},
	{field: "modbus.bitval", proto: "modbus", ours: either(value(tableOf(0, 1)), []uint16{15}, []uint16{1, 2})},
}
