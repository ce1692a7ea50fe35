package sensor

import (
	"math/bits"
	"slices"
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

// types takes points of the listed type ids.
func types(ids ...uint16) some {
	return func(m *protocols.Message, _ *protocols.Point) bool { return slices.Contains(ids, m.Code) }
}

var (
	singlePoint = types(1, 2, 30)
	doublePoint = types(3, 4, 31)
	withQDS     = types(5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 32, 33, 34, 35, 36)
	withCP56    = types(30, 31, 32, 33, 34, 35, 36, 37, 58, 59, 60, 61, 62, 63, 64, 103) // and 107, of which tshark shows no elements
)

// timeFlag reads a flag of the points' time tags.
func timeFlag(q protocols.Quality) reading {
	return points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		return bit(p.Quality&q != 0), p.Has&protocols.HasTime != 0 && withCP56(m, p)
	})
}

// control reads a bit field of the points' control octet.
func control(mask, shift uint8, take some) reading {
	return points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.Itoa(int(p.Control & mask >> shift)), p.Has&protocols.HasControl != 0 && take(m, p)
	})
}

// ofTypes is true for messages of the listed type ids.
func ofTypes(ids ...uint16) which {
	return func(m *protocols.Message) bool { return m.HasCode && slices.Contains(ids, m.Code) }
}

// named reads one of the protocol's words as tshark's number.
func named(field string, numbers map[string]string) reading {
	return func(dst []string, m *protocols.Message) []string {
		for _, word := range own(field)(nil, m) {
			dst = append(dst, numbers[word])
		}
		return dst
	}
}

// list reads a field of the message's own object that holds a number for each point.
func list(read func(o *iec104Lists) []int) reading {
	return func(dst []string, m *protocols.Message) []string {
		var o iec104Lists
		object(m, &o)
		for _, v := range read(&o) {
			dst = append(dst, strconv.Itoa(v))
		}
		return dst
	}
}

type iec104Lists struct {
	CounterSeq []int `json:"counter_seq"`
}

// swapped compares a bit string, of which tshark prints the octets in the order in which they are sent. IEC 60870-5-101
// 7.2.6.13 numbers the bits from the first octet's least one, as in every other element; lib60870 reads it as we do.
func swapped(theirs, ours string) bool {
	v, err := strconv.ParseUint(theirs, 0, 32)
	return err == nil && sameValue(strconv.Itoa(int(bits.ReverseBytes32(uint32(v)))), ours)
}

var (
	qualifier = own("qualifier")
	counters  = types(15, 16, 37)
	doubles   = types(46, 59)
	steps     = types(47, 60)
)

var iec104Columns = []column{
	{field: "iec60870_104.type", proto: "iec104", ours: named("apci", map[string]string{"I": "0", "S": "1", "U": "3"})},
	{field: "iec60870_104.utype", proto: "iec104", ours: named("u", map[string]string{"STARTDT act": "1", "STARTDT con": "2", "STOPDT act": "4", "STOPDT con": "8", "TESTFR act": "16", "TESTFR con": "32"})},
	{field: "iec60870_104.apdulen", proto: "iec104", ours: func(dst []string, m *protocols.Message) []string { return append(dst, strconv.Itoa(len(m.Raw)-2)) }},
	{field: "iec60870_104.tx", proto: "iec104", ours: own("ns")},
	{field: "iec60870_104.rx", proto: "iec104", ours: own("nr")},
	{field: "iec60870_asdu.typeid", proto: "iec104", ours: code},
	{field: "iec60870_asdu.causetx", proto: "iec104", ours: own("cot")},
	{field: "iec60870_asdu.nega", proto: "iec104", ours: own("pn")},
	{field: "iec60870_asdu.test", proto: "iec104", ours: own("test")},
	{field: "iec60870_asdu.oa", proto: "iec104", ours: own("oa")},
	{field: "iec60870_asdu.addr", proto: "iec104", ours: own("ca")},
	{field: "iec60870_asdu.sq", proto: "iec104", ours: own("sq")},
	{field: "iec60870_asdu.numix", proto: "iec104", ours: own("n")},
	{field: "iec60870_asdu.ioa", proto: "iec104", ours: points(func(_ *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.Itoa(int(p.Addr)), true
	})},
	{field: "iec60870_asdu.siq.spi", proto: "iec104", ours: value(singlePoint)},
	{field: "iec60870_asdu.siq.iv", proto: "iec104", ours: quality(protocols.Invalid, singlePoint)},
	{field: "iec60870_asdu.siq.nt", proto: "iec104", ours: quality(protocols.NotTopical, singlePoint)},
	{field: "iec60870_asdu.siq.sb", proto: "iec104", ours: quality(protocols.Substituted, singlePoint)},
	{field: "iec60870_asdu.siq.bl", proto: "iec104", ours: quality(protocols.Blocked, singlePoint)},
	{field: "iec60870_asdu.diq.dpi", proto: "iec104", ours: value(doublePoint)},
	{field: "iec60870_asdu.diq.iv", proto: "iec104", ours: quality(protocols.Invalid, doublePoint)},
	{field: "iec60870_asdu.diq.nt", proto: "iec104", ours: quality(protocols.NotTopical, doublePoint)},
	{field: "iec60870_asdu.diq.sb", proto: "iec104", ours: quality(protocols.Substituted, doublePoint)},
	{field: "iec60870_asdu.diq.bl", proto: "iec104", ours: quality(protocols.Blocked, doublePoint)},
	{field: "iec60870_asdu.qds.ov", proto: "iec104", ours: quality(protocols.Overflow, withQDS)},
	{field: "iec60870_asdu.qds.iv", proto: "iec104", ours: quality(protocols.Invalid, withQDS)},
	{field: "iec60870_asdu.qds.nt", proto: "iec104", ours: quality(protocols.NotTopical, withQDS)},
	{field: "iec60870_asdu.qds.sb", proto: "iec104", ours: quality(protocols.Substituted, withQDS)},
	{field: "iec60870_asdu.qds.bl", proto: "iec104", ours: quality(protocols.Blocked, withQDS)},
	{field: "iec60870_asdu.vti.v", proto: "iec104", ours: value(types(5, 6, 32))},
	{field: "iec60870_asdu.vti.t", proto: "iec104", ours: quality(protocols.Transient, types(5, 6, 32))},
	{field: "iec60870_asdu.bitstring", proto: "iec104", ours: value(types(7, 8, 33, 51, 64)), same: swapped},
	{field: "iec60870_asdu.normval", proto: "iec104", ours: value(types(9, 10, 21, 34, 48, 61, 110))},
	{field: "iec60870_asdu.scalval", proto: "iec104", ours: value(types(11, 12, 35, 49, 62, 111))},
	{field: "iec60870_asdu.float", proto: "iec104", ours: value(types(13, 14, 36, 50, 63, 112))},
	{field: "iec60870_asdu.bcr.count", proto: "iec104", ours: value(counters)},
	{field: "iec60870_asdu.bcr.cy", proto: "iec104", ours: quality(protocols.CarryOver, counters)},
	{field: "iec60870_asdu.bcr.ca", proto: "iec104", ours: quality(protocols.Adjusted, counters)},
	{field: "iec60870_asdu.bcr.iv", proto: "iec104", ours: quality(protocols.Invalid, counters)},
	{field: "iec60870_asdu.bcr.sq", proto: "iec104", ours: list(func(o *iec104Lists) []int { return o.CounterSeq })},
	{field: "iec60870_asdu.sco.on", proto: "iec104", ours: value(types(45, 58))},
	{field: "iec60870_asdu.sco.se", proto: "iec104", ours: control(0x80, 7, types(45, 58))},
	{field: "iec60870_asdu.sco.qu", proto: "iec104", ours: control(0x7c, 2, types(45, 58))},
	{field: "iec60870_asdu.dco.on", proto: "iec104", ours: value(doubles)},
	{field: "iec60870_asdu.dco.se", proto: "iec104", ours: control(0x80, 7, doubles)},
	{field: "iec60870_asdu.dco.qu", proto: "iec104", ours: control(0x7c, 2, doubles)},
	{field: "iec60870_asdu.rco.up", proto: "iec104", ours: value(steps)},
	{field: "iec60870_asdu.rco.se", proto: "iec104", ours: control(0x80, 7, steps)},
	{field: "iec60870_asdu.rco.qu", proto: "iec104", ours: control(0x7c, 2, steps)},
	{field: "iec60870_asdu.qos.ql", proto: "iec104", ours: control(0x7f, 0, types(48, 49, 50, 61, 62, 63))},
	{field: "iec60870_asdu.qos.se", proto: "iec104", ours: control(0x80, 7, types(48, 49, 50, 61, 62, 63))},
	{field: "iec60870_asdu.qoi", proto: "iec104", ours: qualifier.when(ofTypes(100))},
	{field: "iec60870_asdu.rqt", proto: "iec104", ours: qualifier.when(ofTypes(101)).mask(0x3f, 0)},
	{field: "iec60870_asdu.frz", proto: "iec104", ours: qualifier.when(ofTypes(101)).mask(0xc0, 6)},
	{field: "iec60870_asdu.qrp", proto: "iec104", ours: qualifier.when(ofTypes(105))},
	{field: "iec60870_asdu.coi_r", proto: "iec104", ours: qualifier.when(ofTypes(70)).mask(0x7f, 0)},
	{field: "iec60870_asdu.coi_i", proto: "iec104", ours: qualifier.when(ofTypes(70)).mask(0x80, 7)},
	{field: "iec60870_asdu.qpm.kpa", proto: "iec104", ours: qualifier.when(ofTypes(110, 111, 112)).mask(0x3f, 0)},
	{field: "iec60870_asdu.qpm.lpc", proto: "iec104", ours: qualifier.when(ofTypes(110, 111, 112)).mask(0x40, 6)},
	{field: "iec60870_asdu.qpm.pop", proto: "iec104", ours: qualifier.when(ofTypes(110, 111, 112)).mask(0x80, 7)},
	{field: "iec60870_asdu.cp56time.iv", proto: "iec104", ours: timeFlag(protocols.TimeInvalid)},
	{field: "iec60870_asdu.cp56time.gen", proto: "iec104", ours: timeFlag(protocols.TimeSubstituted)},
	{field: "iec60870_asdu.cp56time", proto: "iec104", ours: stamp(withCP56), same: sameTime},
}
