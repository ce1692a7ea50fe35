package sensor

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roje-ot/roje/protocols"
)

// groups takes points of the listed object groups.
func groups(ids ...uint16) some {
	return func(_ *protocols.Message, p *protocols.Point) bool { return slices.Contains(ids, p.Type>>8) }
}

// variations takes points of the listed objects, group<<8 | variation.
func variations(ids ...uint16) some {
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

// unseen are the functions whose objects tshark does not look into: FREEZE_AT_TIME and its silent form, STOP_APPLICATION,
// ASSIGN_CLASS, GET_FILE_INFO, AUTHENTICATE_FILE, ABORT_FILE, AUTHENTICATE_REQ and its silent form, AUTHENTICATE_RESP.
var unseen = []uint16{11, 12, 18, 22, 28, 29, 30, 32, 33, authenticateResponse}

const authenticateResponse = 131 // of which tshark does not show the indications either

func looked(m *protocols.Message) bool { return !slices.Contains(unseen, m.Code) }

// headers reads one value from each object header.
func headers(read func(dnp3Object) (int, bool)) reading {
	return func(dst []string, m *protocols.Message) []string {
		if !looked(m) {
			return dst
		}
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
func iin(octet string, n int) reading {
	return func(dst []string, m *protocols.Message) []string {
		if m.Code == authenticateResponse {
			return dst
		}
		for _, v := range own(octet)(nil, m) {
			bits, _ := strconv.Atoi(v)
			dst = append(dst, strconv.Itoa(bits>>n&1))
		}
		return dst
	}
}

// controlled reads the control relay output blocks.
func controlled(get func(*protocols.Point) uint32) reading {
	return points(func(_ *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.FormatUint(uint64(get(p)), 10), p.Has&protocols.HasPulse != 0
	})
}

// has says whether m has a header of group.
func has(m *protocols.Message, group int) bool {
	var d struct {
		Objects []dnp3Object `json:"objects"`
	}
	object(m, &d)
	return slices.ContainsFunc(d.Objects, func(o dnp3Object) bool { return o.Group == group })
}

const commonTime = 51 // the group of the common time of occurrence, which relative times are added to

// absolute takes points with a time of their own in messages without a common time; relative those that have only the
// time since it.
var relative = variations(2<<8|3, 4<<8|3)

func absolute(m *protocols.Message, _ *protocols.Point) bool {
	return !has(m, commonTime) && shown(m) && looked(m)
}

// absoluteTimes takes tshark's times of a packet without a common time.
func absoluteTimes(get func(string) []string) ([]string, bool) {
	for _, object := range get("dnp3.al.obj") {
		if object == "0x3301" || object == "0x3302" {
			return nil, true
		}
	}
	return get("dnp3.al.timestamp"), true
}

// relativeTimes adds tshark's relative times to the common time, where a packet has one.
func relativeTimes(get func(string) []string) ([]string, bool) {
	common, since := get("dnp3.al.timestamp"), get("dnp3.al.reltimestamp")
	if len(since) == 0 {
		return nil, true
	}
	if len(common) != 1 {
		return nil, false
	}
	base, err := time.Parse(tsharkTime, common[0])
	if err != nil {
		return nil, false
	}
	var out []string
	for _, s := range since {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, false
		}
		out = append(out, base.Add(time.Duration(math.Round(seconds*1e3))*time.Millisecond).Format(tsharkTime))
	}
	return out, true
}

// indexes are the indexes of the points in a packet: in front of each, or counted on from a range.
func indexes(get func(string) []string) ([]string, bool) {
	for _, object := range get("dnp3.al.obj") {
		if strings.HasPrefix(object, "0x33") || strings.HasPrefix(object, "0x34") {
			return nil, false // common times and delays are no points to us
		}
	}
	counted, own := get("dnp3.al.point_index"), get("dnp3.al.index")
	if len(counted) == 0 {
		return own, true
	}
	return counted, len(own) == 0 // else their order is unknown
}

// perMessage takes those of the values of the link frames in a packet that belong to a frame which completes a message:
// the last segment of a fragment, or a frame without user data.
func perMessage(field string) func(get func(string) []string) ([]string, bool) {
	return func(get func(string) []string) ([]string, bool) {
		values, final := get(field), get("dnp3.tr.fin")
		if !slices.Contains(final, "0") {
			return values, true
		}
		if len(values) != len(final) {
			return nil, false // which of the frames are the segments?
		}
		var out []string
		for i, f := range final {
			if f == "1" {
				out = append(out, values[i])
			}
		}
		return out, true
	}
}

// linkNumbers are tshark's numbers of the functions of one side's frames.
func linkNumbers(side string) reading {
	numbers := map[string]string{}
	for name, kind := range codeless {
		if number, ok := strings.CutPrefix(kind, "dnp3 "+side+" "); ok {
			numbers[name] = number
		}
	}
	if side == "primary" {
		numbers["CONFIRMED_USER_DATA"], numbers["UNCONFIRMED_USER_DATA"] = "3", "4"
	}
	return func(dst []string, m *protocols.Message) []string {
		for _, word := range own("link")(nil, m) {
			if number, ok := numbers[word]; ok {
				dst = append(dst, number)
			}
		}
		return dst
	}
}

// flagged takes the points of some groups that have flags.
func flagged(ids ...uint16) some {
	in := groups(ids...)
	return func(m *protocols.Message, p *protocols.Point) bool {
		return p.Has&protocols.HasQuality != 0 && in(m, p)
	}
}

var (
	binaryFlags  = flagged(1, 2, 3, 4)
	outputFlags  = flagged(10, 11)
	counterFlags = flagged(20, 21, 22, 23)
	analogFlags  = flagged(30, 31, 32, 33)
	setFlags     = flagged(40, 42)
	integerIn    = variations(30<<8|1, 30<<8|2, 30<<8|3, 30<<8|4, 32<<8|1, 32<<8|2, 32<<8|3, 32<<8|4, 34<<8|1, 34<<8|2)
	files        = variations(70<<8|3, 70<<8|7)
	doubleBits   = groups(3, 4)
)

// flagColumns are the bits of a flag octet, in tshark's names, that are qualities.
func flagColumns(prefix string, take some, bits ...protocols.Quality) (out []column) {
	for i, q := range bits {
		out = append(out, column{field: prefix + ".b" + strconv.Itoa(i), proto: "dnp3", ours: quality(q, take)})
	}
	return out
}

// state reads a bit of the state in a flag octet of binary inputs; for single ones bit 6 is reserved and 0.
func state(bit int) reading {
	return points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		v := int(p.Value)
		if !doubleBits(m, p) {
			v <<= 1
		}
		return strconv.Itoa(v >> bit & 1), p.Has&protocols.HasValue != 0 && binaryFlags(m, p)
	})
}

var dnp3Columns = slices.Concat(dnp3Header, dnp3Points, dnp3Files,
	flagColumns("dnp3.al.biq", binaryFlags, protocols.Online, protocols.Restarted, protocols.CommLost, protocols.RemoteForced, protocols.LocalForced, protocols.Chatter),
	flagColumns("dnp3.al.boq", outputFlags, protocols.Online, protocols.Restarted, protocols.CommLost, protocols.RemoteForced, protocols.LocalForced),
	flagColumns("dnp3.al.ctrq", counterFlags, protocols.Online, protocols.Restarted, protocols.CommLost, protocols.RemoteForced, protocols.LocalForced, protocols.Rollover, protocols.Discontinuity),
	flagColumns("dnp3.al.aiq", analogFlags, protocols.Online, protocols.Restarted, protocols.CommLost, protocols.RemoteForced, protocols.LocalForced, protocols.Overflow, protocols.ReferenceErr),
	flagColumns("dnp3.al.aoq", setFlags, protocols.Online, protocols.Restarted, protocols.CommLost, protocols.RemoteForced, protocols.LocalForced))

var dnp3Header = []column{
	{field: "dnp3.src", proto: "dnp3", ours: own("src"), theirs: perMessage("dnp3.src")},
	{field: "dnp3.dst", proto: "dnp3", ours: own("dst"), theirs: perMessage("dnp3.dst")},
	{field: "dnp3.ctl.dir", proto: "dnp3", ours: own("dir"), theirs: perMessage("dnp3.ctl.dir")},
	{field: "dnp3.ctl.prm", proto: "dnp3", ours: own("prm"), theirs: perMessage("dnp3.ctl.prm")},
	{field: "dnp3.ctl.prifunc", proto: "dnp3", ours: linkNumbers("primary"), theirs: perMessage("dnp3.ctl.prifunc")},
	{field: "dnp3.ctl.secfunc", proto: "dnp3", ours: linkNumbers("secondary")},
	{field: "dnp3.tr.seq", proto: "dnp3", ours: own("transport_seq"), theirs: perMessage("dnp3.tr.seq")},
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
	{field: "dnp3.al.obj", proto: "dnp3", ours: headers(func(o dnp3Object) (int, bool) {
		if o.Group >= 110 && o.Group <= 112 {
			o.Var = 0 // the length, which tshark takes out
		}
		return o.Group<<8 | o.Var, true
	})},
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
}

var dnp3Points = []column{
	{field: "dnp3.al.point_index", proto: "dnp3", theirs: indexes, ours: points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.Itoa(int(p.Addr)), p.Has != 0 && !files(m, p) && looked(m)
	})},
	{field: "dnp3.al.bit", proto: "dnp3", ours: value(variations(1<<8|1, 10<<8|1, 80<<8|1))},
	{field: "dnp3.al.2bit", proto: "dnp3", ours: value(variations(3<<8 | 1))},
	{field: "dnp3.al.biq.b6", proto: "dnp3", ours: state(0)},
	{field: "dnp3.al.biq.b7", proto: "dnp3", ours: state(1)},
	{field: "dnp3.al.boq.b7", proto: "dnp3", ours: value(outputFlags)},
	{field: "dnp3.al.cnt", proto: "dnp3", ours: value(groups(20, 21, 22, 23))},
	{field: "dnp3.al.ana.int", proto: "dnp3", ours: value(integerIn)},
	{field: "dnp3.al.ana.float", proto: "dnp3", ours: value(variations(30<<8|5, 32<<8|5, 32<<8|7))},
	{field: "dnp3.al.anaout.int", proto: "dnp3", ours: value(variations(40<<8|1, 40<<8|2, 41<<8|1, 41<<8|2, 42<<8|1, 42<<8|2, 42<<8|3, 42<<8|4))},
	{field: "dnp3.al.anaout.float", proto: "dnp3", ours: value(variations(40<<8|3, 41<<8|3, 42<<8|5, 42<<8|7))},
	{field: "dnp3.al.octet_string", proto: "dnp3", ours: text(groups(110, 111)), same: sameHex},
	{field: "dnp3.al.timestamp", proto: "dnp3", ours: stamp(absolute), theirs: absoluteTimes, same: sameTime},
	{field: "dnp3.al.reltimestamp", proto: "dnp3", ours: stamp(relative), theirs: relativeTimes, same: sameTime},
	{field: "dnp3.al.time_delay", proto: "dnp3", ours: own("time_delay_ms")},
	{field: "dnp3.ctl.op", proto: "dnp3", ours: controlled(func(p *protocols.Point) uint32 { return uint32(p.Control & 15) })},
	{field: "dnp3.ctl.clr", proto: "dnp3", ours: controlled(func(p *protocols.Point) uint32 { return uint32(p.Control >> 4 & 3) })},
	{field: "dnp3.ctl.trip", proto: "dnp3", ours: controlled(func(p *protocols.Point) uint32 { return uint32(p.Control >> 6) })},
	{field: "dnp3.al.count", proto: "dnp3", ours: controlled(func(p *protocols.Point) uint32 { return uint32(p.Count) })},
	{field: "dnp3.al.on_time", proto: "dnp3", ours: controlled(func(p *protocols.Point) uint32 { return p.OnMS })},
	{field: "dnp3.al.off_time", proto: "dnp3", ours: controlled(func(p *protocols.Point) uint32 { return p.OffMS })},
	{field: "dnp3.al.ctrlstatus", proto: "dnp3", ours: points(func(_ *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.Itoa(int(p.Status)), p.Has&protocols.HasStatus != 0
	})},
}

// shown is true unless the message opens a file for something else than writing: then tshark leaves the size and the
// time out.
func shown(m *protocols.Message) bool {
	mode := own("file_mode")(nil, m)
	return len(mode) == 0 || mode[0] == "2"
}

// dnp3Files leaves out permissions, which tshark reads from the place of the object's size.
var dnp3Files = []column{
	{field: "dnp3.al.file_name", proto: "dnp3", ours: points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		return string(m.Text(p)), p.Has&protocols.HasText != 0 && variations(70<<8|3)(m, p)
	})},
	{field: "dnp3.al.file.mode", proto: "dnp3", ours: own("file_mode", looked)},
	{field: "dnp3.al.file.size", proto: "dnp3", ours: own("file_size", shown, looked)},
	{field: "dnp3.al.file.maxblock", proto: "dnp3", ours: own("file_block_size", looked)},
	{field: "dnp3.al.file.reqID", proto: "dnp3", ours: own("file_request", looked)},
	{field: "dnp3.al.file.handle", proto: "dnp3", ours: own("file_handle", looked)},
	{field: "dnp3.al.file.blocknum", proto: "dnp3", ours: own("file_block", looked)},
	{field: "dnp3.al.file.status", proto: "dnp3", ours: own("file_status", looked)},
}
