package sensor

import (
	"slices"
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

// groups takes points of the listed object groups.
func groups(ids ...uint16) func(*protocols.Message, *protocols.Point) bool {
	return func(_ *protocols.Message, p *protocols.Point) bool { return slices.Contains(ids, p.Type>>8) }
}

// variations takes points of the listed objects, group<<8 | variation.
func variations(ids ...uint16) func(*protocols.Message, *protocols.Point) bool {
	return func(_ *protocols.Message, p *protocols.Point) bool { return slices.Contains(ids, p.Type) }
}

// hasCode is true for application fragments, of which tshark shows the application layer.
func hasCode(m *protocols.Message) bool { return m.HasCode }

type dnp3Object struct {
	Group     int   `json:"group"`
	Var       int   `json:"var"`
	Qualifier int   `json:"qualifier"`
	Range     []int `json:"range"`
	Count     *int  `json:"count"`
}

// headers reads one value from each object header.
func headers(read func(dnp3Object) (int, bool)) func([]string, *protocols.Message) []string {
	return func(dst []string, m *protocols.Message) []string {
		var d struct {
			Objects []dnp3Object `json:"objects"`
		}
		object(m, &d)
		for _, o := range d.Objects {
			if v, ok := read(o); ok {
				dst = append(dst, strconv.Itoa(v))
			}
		}
		return dst
	}
}

// iin reads one bit of an octet of the internal indications.
func iin(octet string, n int) func([]string, *protocols.Message) []string {
	return func(dst []string, m *protocols.Message) []string {
		for _, v := range own(octet)(nil, m) {
			bits, _ := strconv.Atoi(v)
			dst = append(dst, strconv.Itoa(bits>>n&1))
		}
		return dst
	}
}

var (
	binaryFlags  = variations(1<<8|2, 2<<8|1, 2<<8|2, 2<<8|3)
	analogFlags  = variations(30<<8|1, 30<<8|2, 30<<8|5, 30<<8|6, 32<<8|1, 32<<8|2, 32<<8|3, 32<<8|4, 32<<8|5, 32<<8|6, 32<<8|7, 32<<8|8)
	counterFlags = variations(20<<8|1, 20<<8|2, 20<<8|3, 20<<8|4, 21<<8|1, 21<<8|2, 21<<8|5, 21<<8|6, 22<<8|1, 22<<8|2, 22<<8|5, 22<<8|6, 23<<8|1, 23<<8|2, 23<<8|5, 23<<8|6)
	outputFlags  = variations(10<<8|2, 11<<8|1, 11<<8|2)
	integerIn    = variations(30<<8|1, 30<<8|2, 30<<8|3, 30<<8|4, 32<<8|1, 32<<8|2, 32<<8|3, 32<<8|4)
)

var dnp3Columns = []column{
	{field: "dnp3.al.func", proto: "dnp3", ours: code},
	{field: "dnp3.al.seq", proto: "dnp3", ours: own("seq", hasCode)},
	{field: "dnp3.al.fir", proto: "dnp3", ours: own("fir", hasCode)},
	{field: "dnp3.al.fin", proto: "dnp3", ours: own("fin", hasCode)},
	{field: "dnp3.al.con", proto: "dnp3", ours: own("con", hasCode)},
	{field: "dnp3.al.uns", proto: "dnp3", ours: own("uns", hasCode)},
	{field: "dnp3.al.iin.rst", proto: "dnp3", ours: iin("iin1", 7)},
	{field: "dnp3.al.iin.tsr", proto: "dnp3", ours: iin("iin1", 4)},
	{field: "dnp3.al.iin.cls1d", proto: "dnp3", ours: iin("iin1", 1)},
	{field: "dnp3.al.iin.cls2d", proto: "dnp3", ours: iin("iin1", 2)},
	{field: "dnp3.al.iin.cls3d", proto: "dnp3", ours: iin("iin1", 3)},
	{field: "dnp3.al.iin.dol", proto: "dnp3", ours: iin("iin1", 5)},
	{field: "dnp3.al.iin.dt", proto: "dnp3", ours: iin("iin1", 6)},
	{field: "dnp3.al.iin.bmsg", proto: "dnp3", ours: iin("iin1", 0)},
	{field: "dnp3.al.iin.fcni", proto: "dnp3", ours: iin("iin2", 0)},
	{field: "dnp3.al.iin.obju", proto: "dnp3", ours: iin("iin2", 1)},
	{field: "dnp3.al.iin.pioor", proto: "dnp3", ours: iin("iin2", 2)},
	{field: "dnp3.al.iin.ebo", proto: "dnp3", ours: iin("iin2", 3)},
	{field: "dnp3.al.iin.oae", proto: "dnp3", ours: iin("iin2", 4)},
	{field: "dnp3.al.iin.cc", proto: "dnp3", ours: iin("iin2", 5)},
	{field: "dnp3.al.obj", proto: "dnp3", ours: headers(func(o dnp3Object) (int, bool) { return o.Group<<8 | o.Var, true })},
	{field: "dnp3.al.objq.prefix", proto: "dnp3", ours: headers(func(o dnp3Object) (int, bool) { return o.Qualifier >> 4 & 7, true })},
	{field: "dnp3.al.objq.range", proto: "dnp3", ours: headers(func(o dnp3Object) (int, bool) { return o.Qualifier & 15, true })},
	{field: "dnp3.al.range.start", proto: "dnp3", ours: headers(func(o dnp3Object) (int, bool) {
		if len(o.Range) != 2 {
			return 0, false
		}
		return o.Range[0], true
	})},
	{field: "dnp3.al.range.stop", proto: "dnp3", ours: headers(func(o dnp3Object) (int, bool) {
		if len(o.Range) != 2 {
			return 0, false
		}
		return o.Range[1], true
	})},
	{field: "dnp3.al.range.quantity", proto: "dnp3", ours: headers(func(o dnp3Object) (int, bool) {
		if len(o.Range) == 2 || o.Count == nil {
			return 0, false
		}
		return *o.Count, true
	})},
	{field: "dnp3.al.ana.int", proto: "dnp3", ours: value(integerIn)},
	{field: "dnp3.al.ana.float", proto: "dnp3", ours: value(variations(30<<8|5, 32<<8|5, 32<<8|7))},
	{field: "dnp3.al.cnt", proto: "dnp3", ours: value(groups(20, 21, 22, 23))},
	{field: "dnp3.al.bit", proto: "dnp3", ours: value(variations(1<<8|1, 10<<8|1, 80<<8|1))},
	{field: "dnp3.al.biq.b0", proto: "dnp3", ours: quality(protocols.Online, binaryFlags)},
	{field: "dnp3.al.biq.b1", proto: "dnp3", ours: quality(protocols.Restarted, binaryFlags)},
	{field: "dnp3.al.biq.b2", proto: "dnp3", ours: quality(protocols.CommLost, binaryFlags)},
	{field: "dnp3.al.biq.b7", proto: "dnp3", ours: value(binaryFlags)},
	{field: "dnp3.al.boq.b0", proto: "dnp3", ours: quality(protocols.Online, outputFlags)},
	{field: "dnp3.al.boq.b7", proto: "dnp3", ours: value(outputFlags)},
	{field: "dnp3.al.aiq.b0", proto: "dnp3", ours: quality(protocols.Online, analogFlags)},
	{field: "dnp3.al.aiq.b5", proto: "dnp3", ours: quality(protocols.Overflow, analogFlags)},
	{field: "dnp3.al.ctrq.b0", proto: "dnp3", ours: quality(protocols.Online, counterFlags)},
	{field: "dnp3.al.timestamp", proto: "dnp3", ours: stamp(groups(2, 4, 11, 13, 22, 23, 32, 33, 42, 43, 50, 51)), same: sameTime},
	{field: "dnp3.al.count", proto: "dnp3", ours: points(func(_ *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.Itoa(int(p.Count)), p.Has&protocols.HasPulse != 0
	})},
	{field: "dnp3.al.on_time", proto: "dnp3", ours: points(func(_ *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.Itoa(int(p.OnMS)), p.Has&protocols.HasPulse != 0
	})},
	{field: "dnp3.al.off_time", proto: "dnp3", ours: points(func(_ *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.Itoa(int(p.OffMS)), p.Has&protocols.HasPulse != 0
	})},
	{field: "dnp3.al.ctrlstatus", proto: "dnp3", ours: points(func(_ *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.Itoa(int(p.Status)), p.Has&protocols.HasStatus != 0
	})},
	{field: "dnp3.al.anaout.int", proto: "dnp3", ours: value(variations(40<<8|1, 40<<8|2, 41<<8|1, 41<<8|2))},
	{field: "dnp3.al.file.handle", proto: "dnp3", ours: own("file_handle")},
	{field: "dnp3.al.file.status", proto: "dnp3", ours: own("file_status")},
}
