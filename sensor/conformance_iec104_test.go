package sensor

import (
	"slices"
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

// types takes points of the listed type ids.
func types(ids ...uint16) func(*protocols.Message, *protocols.Point) bool {
	return func(m *protocols.Message, _ *protocols.Point) bool { return slices.Contains(ids, m.Code) }
}

var (
	singlePoint = types(1, 2, 30)
	doublePoint = types(3, 4, 31)
	withQDS     = types(5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 32, 33, 34, 35, 36)
	withCP56    = types(30, 31, 32, 33, 34, 35, 36, 37, 58, 59, 60, 61, 62, 63, 64, 103, 107)
)

// control reads a bit field of the points' control octet.
func control(mask, shift uint8, take func(*protocols.Message, *protocols.Point) bool) func([]string, *protocols.Message) []string {
	return points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.Itoa(int(p.Control & mask >> shift)), p.Has&protocols.HasControl != 0 && take(m, p)
	})
}

var iec104Columns = []column{
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
	{field: "iec60870_asdu.diq.bl", proto: "iec104", ours: quality(protocols.Blocked, doublePoint)},
	{field: "iec60870_asdu.qds.ov", proto: "iec104", ours: quality(protocols.Overflow, withQDS)},
	{field: "iec60870_asdu.qds.iv", proto: "iec104", ours: quality(protocols.Invalid, withQDS)},
	{field: "iec60870_asdu.qds.nt", proto: "iec104", ours: quality(protocols.NotTopical, withQDS)},
	{field: "iec60870_asdu.qds.sb", proto: "iec104", ours: quality(protocols.Substituted, withQDS)},
	{field: "iec60870_asdu.qds.bl", proto: "iec104", ours: quality(protocols.Blocked, withQDS)},
	{field: "iec60870_asdu.vti.v", proto: "iec104", ours: value(types(5, 6, 32))},
	{field: "iec60870_asdu.vti.t", proto: "iec104", ours: quality(protocols.Transient, types(5, 6, 32))},
	{field: "iec60870_asdu.bitstring", proto: "iec104", ours: value(types(7, 8, 33, 51, 64))},
	{field: "iec60870_asdu.normval", proto: "iec104", ours: value(types(9, 10, 21, 34, 48, 61, 110))},
	{field: "iec60870_asdu.scalval", proto: "iec104", ours: value(types(11, 12, 35, 49, 62, 111))},
	{field: "iec60870_asdu.float", proto: "iec104", ours: value(types(13, 14, 36, 50, 63, 112))},
	{field: "iec60870_asdu.bcr.count", proto: "iec104", ours: value(types(15, 16, 37))},
	{field: "iec60870_asdu.bcr.cy", proto: "iec104", ours: quality(protocols.CarryOver, types(15, 16, 37))},
	{field: "iec60870_asdu.sco.on", proto: "iec104", ours: value(types(45, 58))},
	{field: "iec60870_asdu.sco.se", proto: "iec104", ours: control(0x80, 7, types(45, 58))},
	{field: "iec60870_asdu.sco.qu", proto: "iec104", ours: control(0x7c, 2, types(45, 58))},
	{field: "iec60870_asdu.dco.on", proto: "iec104", ours: value(types(46, 59))},
	{field: "iec60870_asdu.dco.se", proto: "iec104", ours: control(0x80, 7, types(46, 59))},
	{field: "iec60870_asdu.rco.up", proto: "iec104", ours: value(types(47, 60))},
	{field: "iec60870_asdu.rco.se", proto: "iec104", ours: control(0x80, 7, types(47, 60))},
	{field: "iec60870_asdu.qos.ql", proto: "iec104", ours: control(0x7f, 0, types(48, 49, 50, 61, 62, 63))},
	{field: "iec60870_asdu.qos.se", proto: "iec104", ours: control(0x80, 7, types(48, 49, 50, 61, 62, 63))},
	{field: "iec60870_asdu.cp56time", proto: "iec104", ours: stamp(withCP56), same: sameTime},
}
