package iec104

import (
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

// A detail is what a 104 message says beyond protocols.Message. It belongs to its decoder and lasts as long as the
// message.
type detail struct {
	has       has
	format    format
	u         uKind
	sizing    uint8
	typ       uint8
	cause     uint8
	origin    uint8
	n         uint8
	inner     uint8 // type id of the ASDU inside an aggressive mode request
	qualifier uint8 // QU, QL, QOI, QCC, QRP, COI, QPM, QPA, FRQ, SRQ, SCQ, LSQ, AFQ
	ns, nr    uint16
	user      uint16
	common    uint32
	unacked   uint32 // with WindowExceeded: I frames that waited, or
	waited    int64  // how long one waited, in nanoseconds
	at        int64  // arrival, Unix nanoseconds
	sq        bool
	pn        bool
	test      bool
	selects   bool   // S/E: the command selects and does not execute
	active    bool   // with kin: the connection is the one of its group that transfers data
	switched  bool   // data transfer goes over to this connection from another of its group
	both      bool   // with switched: and the other was not stopped
	kin       uint32 // of a U frame: open connections of the redundancy group, if there are several
	file      file
	security  []byte
}

// A file is what a message says of a file transfer.
type file struct {
	name    uint16
	section uint8
	sum     uint8
	length  uint32
}

// has says which members of a detail mean something.
type has uint16

const (
	hasType has = 1 << iota
	hasVSQ
	hasCause
	hasOrigin
	hasCommon
	hasQualifier
	hasSelect
	hasFile
	hasSection
	hasLength
	hasSum
	hasUser
	hasInner
)

func detailOf(m *protocols.Message) *detail { return m.Detail.(*detail) }

func (d *detail) is(h has) bool { return d.has&h != 0 }

// number and truth make the rows of fields for members that are present where bit says so.
func number(name, doc string, bit has, get func(*detail) int64) protocols.Field {
	return protocols.Field{Name: name, Doc: doc, Int: func(m *protocols.Message) (int64, bool) {
		d := detailOf(m)
		return get(d), d.is(bit)
	}}
}

func truth(name, doc string, bit has, get func(*detail) bool) protocols.Field {
	return protocols.Field{Name: name, Doc: doc, Bool: func(m *protocols.Message) (v, ok bool) {
		d := detailOf(m)
		return get(d), d.is(bit)
	}}
}

var fields = []protocols.Field{
	{Name: "apci", Doc: "I, S or U", Text: func(m *protocols.Message) (string, bool) {
		d := detailOf(m)
		return formatNames[d.format], d.format != noFormat
	}},
	{Name: "ns", Doc: "send sequence number", Int: func(m *protocols.Message) (int64, bool) {
		d := detailOf(m)
		return int64(d.ns), d.format == formatI
	}},
	{Name: "nr", Doc: "receive sequence number", Int: func(m *protocols.Message) (int64, bool) {
		d := detailOf(m)
		return int64(d.nr), d.format == formatI || d.format == formatS
	}},
	{Name: "u", Doc: "unnumbered function", Text: func(m *protocols.Message) (string, bool) {
		d := detailOf(m)
		return uNames[d.u], d.format == formatU
	}},
	{Name: "connections", Doc: "of a U frame: open connections between the two stations, if there are several: a redundancy group", Int: func(m *protocols.Message) (int64, bool) {
		d := detailOf(m)
		return int64(d.kin), d.kin > 0
	}},
	{Name: "active", Doc: "of a U frame in a redundancy group: this connection is the one that transfers data", Bool: func(m *protocols.Message) (v, ok bool) {
		d := detailOf(m)
		return d.active, d.kin > 0
	}},
	{Name: "switched", Doc: "data transfer goes over to this connection from another of its redundancy group", Bool: func(m *protocols.Message) (v, ok bool) {
		d := detailOf(m)
		return true, d.switched
	}},
	{Name: "both_started", Doc: "with switched: the other connection was not stopped, and transfers data too", Bool: func(m *protocols.Message) (v, ok bool) {
		d := detailOf(m)
		return true, d.both
	}},
	number("type", "type id", hasType, func(d *detail) int64 { return int64(d.typ) }),
	number("cot", "cause of transmission", hasCause, func(d *detail) int64 { return int64(d.cause) }),
	{Name: "cause", Doc: "cause of transmission in words", Text: func(m *protocols.Message) (string, bool) {
		d := detailOf(m)
		return causeNames[d.cause], d.is(hasCause) && causeNames[d.cause] != ""
	}},
	truth("pn", "negative confirmation", hasCause, func(d *detail) bool { return d.pn }),
	truth("test", "sent for a test", hasCause, func(d *detail) bool { return d.test }),
	number("oa", "originator address", hasOrigin, func(d *detail) int64 { return int64(d.origin) }),
	number("ca", "common address", hasCommon, func(d *detail) int64 { return int64(d.common) }),
	truth("sq", "a run of elements behind one address", hasVSQ, func(d *detail) bool { return d.sq }),
	number("n", "number of information objects or elements", hasVSQ, func(d *detail) int64 { return int64(d.n) }),
	{Name: "ioa", Doc: "first information object address", Int: func(m *protocols.Message) (int64, bool) {
		if len(m.Points) == 0 {
			return 0, false
		}
		return int64(m.Points[0].Addr), true
	}},
	truth("select", "the command selects (S/E = 1) and does not execute", hasSelect, func(d *detail) bool { return d.selects }),
	number("qualifier", "QU or QL of a command, QOI, QCC, QRP, COI, QPM, QPA, FRQ, SRQ, SCQ, LSQ or AFQ", hasQualifier,
		func(d *detail) int64 { return int64(d.qualifier) }),
	number("file", "name of file", hasFile, func(d *detail) int64 { return int64(d.file.name) }),
	number("section", "name of section", hasSection, func(d *detail) int64 { return int64(d.file.section) }),
	number("length", "octets of the file, section or segment", hasLength, func(d *detail) int64 { return int64(d.file.length) }),
	number("checksum", "checksum of the section or file", hasSum, func(d *detail) int64 { return int64(d.file.sum) }),
	number("user", "user number or association of secure authentication", hasUser, func(d *detail) int64 { return int64(d.user) }),
	number("inner", "type id inside an aggressive mode request", hasInner, func(d *detail) int64 { return int64(d.inner) }),
	{Name: "sizes", Doc: "octets of cause, common address and object address, as learned", Text: func(m *protocols.Message) (string, bool) {
		d := detailOf(m)
		return sizingNames[d.sizing], d.is(hasType)
	}},
	{Name: "profile", Doc: "101 for types that IEC 60870-5-101 has and 104 has not", Text: func(m *protocols.Message) (string, bool) {
		d := detailOf(m)
		return "101", d.is(hasType) && rowOf[d.typ] != nil && rowOf[d.typ].form&only101 != 0
	}},
	{Name: "skew_ms", Doc: "first time tag minus arrival", Int: func(m *protocols.Message) (int64, bool) {
		if len(m.Points) == 0 || m.Points[0].Has&protocols.HasTime == 0 || m.Op == protocols.File {
			return 0, false // the times of files are of the past
		}
		return (m.Points[0].Time - detailOf(m).at) / 1e6, true
	}},
	{Name: "unacked", Doc: "I frames that waited for this acknowledgement, if more than k", Int: func(m *protocols.Message) (int64, bool) {
		d := detailOf(m)
		return int64(d.unacked), d.unacked > 0
	}},
	{Name: "waited_ms", Doc: "how long this acknowledgement was waited for, if longer than t1", Int: func(m *protocols.Message) (int64, bool) {
		d := detailOf(m)
		return d.waited / 1e6, d.waited > 0
	}},
	{Name: "security", Doc: "numbers of secure authentication, without keys", JSON: appendSecurity},
	{Name: "directory", Doc: "files of a directory: name, length, status", JSON: appendDirectory},
	perPoint("counter_seq", "sequence numbers of the counters", &bcr, func(p *protocols.Point) uint32 { return uint32(p.Count) }),
	perPoint("elapsed_ms", "elapsed, duration or delay times", &cp16, func(p *protocols.Point) uint32 { return p.OnMS }),
	perPoint("changed", "change bits of packed single points", &scd, func(p *protocols.Point) uint32 { return p.OnMS }),
}

// perPoint makes a field that lists, in the order of the points, an element that protocols.Point has no member for.
func perPoint(name, doc string, of *element, get func(*protocols.Point) uint32) protocols.Field {
	return protocols.Field{Name: name, Doc: doc, JSON: func(dst []byte, m *protocols.Message) []byte {
		d := detailOf(m)
		id := d.typ
		if d.is(hasInner) {
			id = d.inner
		}
		if len(m.Points) == 0 || !d.is(hasType) || !rowOf[id].holds(of) {
			return dst
		}
		dst = append(dst, '[')
		for i := range m.Points {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendUint(dst, uint64(get(&m.Points[i])), 10)
		}
		return append(dst, ']')
	}}
}

// holds says whether r's objects contain e.
func (r *row) holds(e *element) bool {
	if r == nil {
		return false
	}
	for _, have := range r.shape {
		if have == e {
			return true
		}
	}
	return false
}

// appendDirectory appends the entries of F_DR_TA_1; the lengths and times are the points' own.
func appendDirectory(dst []byte, m *protocols.Message) []byte {
	if d := detailOf(m); !d.is(hasType) || rowOf[d.typ] == nil || rowOf[d.typ].class != directory {
		return dst
	}
	dst = append(dst, '[')
	for i := range m.Points {
		p := &m.Points[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"file":`...)
		dst = strconv.AppendUint(dst, uint64(p.OffMS), 10)
		dst = append(dst, `,"length":`...)
		dst = protocols.AppendNumber(dst, p.Value)
		dst = append(dst, `,"status":`...)
		dst = strconv.AppendUint(dst, uint64(p.OnMS), 10)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
