package sensor

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

// Modbus function codes, as sets: which messages tshark shows a field for.
func fc(codes ...uint16) which {
	return func(m *protocols.Message) bool { return m.Status == 0 && m.HasCode && slices.Contains(codes, m.Code) }
}

func fromClient(m *protocols.Message) bool { return m.From == protocols.Client }

// tableOf takes points of one Modbus table: 0 coils, 1 discrete inputs, 3 input registers, 4 holding registers.
func tableOf(tables ...uint16) some {
	return func(m *protocols.Message, p *protocols.Point) bool {
		return m.Code != 20 && m.Code != 21 && m.Code != 24 && slices.Contains(tables, p.Type)
	}
}

// either reads from a request where the function is among first, and from a response where it is among echo too.
func either(read reading, requests, echoes []uint16) reading {
	asked, echoed := fc(requests...), fc(echoes...)
	return func(dst []string, m *protocols.Message) []string {
		if fromClient(m) && asked(m) || !fromClient(m) && echoed(m) {
			return read(dst, m)
		}
		return dst
	}
}

// sub is true for the requests and responses of one diagnostic.
func sub(code int64) which {
	return func(m *protocols.Message) bool {
		got := own("sub", fc(8))(nil, m)
		return len(got) == 1 && got[0] == strconv.FormatInt(code, 10)
	}
}

// modbusLists are the members of a message's own object that hold more than one number.
type modbusLists struct {
	Objects []struct {
		ID   int    `json:"id"`
		Text string `json:"text"`
	} `json:"objects"`
	Files []struct {
		File   int `json:"file"`
		Record int `json:"record"`
		Length int `json:"length"`
	} `json:"files"`
	EventLog string `json:"event_log"`
}

// lists reads some of them.
func lists(read func(dst []string, o *modbusLists) []string) reading {
	return func(dst []string, m *protocols.Message) []string {
		var o modbusLists
		object(m, &o)
		return read(dst, &o)
	}
}

// optional reads a field that is there only where it is not what it should be.
func optional(name, usual string) reading {
	return func(dst []string, m *protocols.Message) []string {
		if got := own(name)(nil, m); len(got) > 0 {
			return append(dst, got...)
		}
		return append(dst, usual)
	}
}

// both reads one thing after the other.
func both(first, second reading) reading {
	return func(dst []string, m *protocols.Message) []string { return second(first(dst, m), m) }
}

// rawData puts the values of a message back into bytes.
func rawData(dst []string, m *protocols.Message) []string {
	var b []byte
	switch m.Code {
	case 5:
		for i := range m.Points {
			b = append(b, byte(m.Points[i].Value)*0xff, 0)
		}
	case 15:
		for i := range m.Points {
			if i%8 == 0 {
				b = append(b, 0)
			}
			b[i/8] |= byte(m.Points[i].Value) << (i % 8)
		}
	default:
		for i := range m.Points {
			if p := &m.Points[i]; p.Has&protocols.HasValue != 0 {
				b = append(b, byte(int(p.Value)>>8), byte(int(p.Value)))
			}
		}
	}
	return append(dst, hex.EncodeToString(b))
}

// dataOf takes modbus.data where only functions that rawData knows are in the packet.
func dataOf(get func(string) []string) ([]string, bool) {
	for _, code := range get("modbus.func_code") {
		if !slices.Contains([]string{"5", "6", "15", "23"}, code) {
			return nil, false
		}
	}
	return get("modbus.data"), true
}

// sameSeconds compares times to the microsecond, to which captures keep them.
func sameSeconds(theirs, ours string) bool {
	a, okA := numberOf(theirs)
	b, okB := numberOf(ours)
	return okA && okB && math.Abs(a-b) < 1.5e-6
}

var (
	word     = own("word")
	deviceID = func(m *protocols.Message) bool { return slices.Equal(own("mei", fc(43))(nil, m), []string{"14"}) }
	answers  = func(m *protocols.Message) bool { return !fromClient(m) && deviceID(m) }
)

var modbusColumns = []column{
	{field: "mbtcp.trans_id", proto: "modbus", ours: own("tid")},
	{field: "mbtcp.prot_id", proto: "modbus", ours: optional("pid", "0")},
	{field: "mbtcp.len", proto: "modbus", ours: func(dst []string, m *protocols.Message) []string {
		return optional("len", strconv.Itoa(len(m.Raw)-6))(dst, m)
	}},
	{field: "mbtcp.unit_id", proto: "modbus", ours: own("unit")},
	{field: "modbus.func_code", proto: "modbus", ours: code},
	{field: "modbus.response_time", proto: "modbus", same: sameSeconds, ours: func(dst []string, m *protocols.Message) []string {
		if len(own("exception")(nil, m)) == 0 && (m.Turn == protocols.Response || m.Turn == protocols.Late) { // tshark has none for exceptions
			dst = append(dst, fmt.Sprintf("%.9f", float64(m.RTT)/1e9))
		}
		return dst
	}},
	{field: "modbus.exception_code", proto: "modbus", ours: own("exception")},
	{field: "modbus.diagnostic_code", proto: "modbus", ours: own("sub", fc(8))},
	{field: "modbus.diagnostic.restart_communication_option", proto: "modbus", ours: word.when(sub(1))},
	{field: "modbus.diagnostic.return_diag_register", proto: "modbus", ours: either(word.when(sub(2)), nil, []uint16{8})},
	{field: "modbus.diagnostic.clear_ctr_diag_reg", proto: "modbus", ours: either(word.when(sub(10)), nil, []uint16{8})},
	{field: "modbus.mei", proto: "modbus", ours: own("mei", fc(43))},
	{field: "modbus.read_device_id", proto: "modbus", ours: own("read_code", fc(43))},
	{field: "modbus.conformity_level", proto: "modbus", ours: own("conformity")},
	{field: "modbus.more_follows", proto: "modbus", ours: func(dst []string, m *protocols.Message) []string {
		if !answers(m) {
			return dst
		}
		return append(dst, strconv.Itoa(0xff*len(own("more")(nil, m))))
	}},
	{field: "modbus.next_object_id", proto: "modbus", ours: optional("more", "0").when(answers)},
	{field: "modbus.object_id", proto: "modbus", ours: both(own("object", fromClient), lists(func(dst []string, o *modbusLists) []string {
		for _, object := range o.Objects {
			dst = append(dst, strconv.Itoa(object.ID))
		}
		return dst
	}))},
	{field: "modbus.object_str_value", proto: "modbus", ours: lists(func(dst []string, o *modbusLists) []string {
		for _, object := range o.Objects {
			dst = append(dst, object.Text)
		}
		return dst
	})},
	{field: "modbus.reference_num", proto: "modbus", ours: either(own("addr"), []uint16{1, 2, 3, 4, 5, 6, 15, 16, 22, 24}, []uint16{5, 6, 15, 16, 22})},
	{field: "modbus.read_reference_num", proto: "modbus", ours: either(own("addr"), []uint16{23}, nil)},
	{field: "modbus.write_reference_num", proto: "modbus", ours: either(own("write_addr"), []uint16{23}, nil)},
	{field: "modbus.read_word_cnt", proto: "modbus", ours: either(own("count"), []uint16{23}, nil)},
	{field: "modbus.write_word_cnt", proto: "modbus", ours: either(own("write_count"), []uint16{23}, nil)},
	{field: "modbus.reference_num_32", proto: "modbus", ours: either(lists(func(dst []string, o *modbusLists) []string {
		for _, f := range o.Files {
			dst = append(dst, strconv.Itoa(f.File<<16|f.Record))
		}
		return dst
	}), []uint16{20, 21}, []uint16{21})},
	{field: "modbus.word_cnt", proto: "modbus", ours: both(either(own("count"), []uint16{3, 4, 16}, []uint16{16, 24}), either(lists(func(dst []string, o *modbusLists) []string {
		for _, f := range o.Files {
			dst = append(dst, strconv.Itoa(f.Length))
		}
		return dst
	}), []uint16{20, 21}, []uint16{21}))},
	{field: "modbus.bit_cnt", proto: "modbus", ours: either(own("count"), []uint16{1, 2, 15}, []uint16{15})},
	{field: "modbus.and_mask", proto: "modbus", ours: own("and_mask")},
	{field: "modbus.or_mask", proto: "modbus", ours: own("or_mask")},
	{field: "modbus.ev_status", proto: "modbus", ours: own("status_word")},
	{field: "modbus.ev_count", proto: "modbus", ours: own("event_count")},
	{field: "modbus.ev_msg_count", proto: "modbus", ours: own("message_count")},
	{field: "modbus.event", proto: "modbus", ours: lists(func(dst []string, o *modbusLists) []string {
		log, _ := hex.DecodeString(o.EventLog)
		for _, event := range log {
			dst = append(dst, strconv.Itoa(int(event)))
		}
		return dst
	})},
	{field: "modbus.regval_uint16", proto: "modbus", ours: either(value(tableOf(3, 4)), []uint16{16}, []uint16{3, 4})},
	{field: "modbus.regnum16", proto: "modbus", ours: either(points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.Itoa(int(p.Addr)), p.Has&protocols.HasValue != 0 && tableOf(3, 4)(m, p)
	}), []uint16{16}, []uint16{3, 4})},
	{field: "modbus.bitval", proto: "modbus", ours: either(value(tableOf(0, 1)), nil, []uint16{1, 2})},
	{field: "modbus.bitnum", proto: "modbus", ours: either(points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.Itoa(int(p.Addr)), p.Has&protocols.HasValue != 0 && tableOf(0, 1)(m, p)
	}), nil, []uint16{1, 2})},
	{field: "modbus.data", proto: "modbus", theirs: dataOf, same: sameHex, ours: either(rawData, []uint16{5, 6, 15, 23}, []uint16{5, 6, 23})},
}
