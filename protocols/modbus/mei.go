package modbus

import (
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

// Types of encapsulated interface (6.19).
const (
	canOpen  = 13
	deviceID = 14
)

// Read device identification (6.21).
const (
	leastReadCode = 1
	mostReadCode  = 4
	moreFollows   = 0xff
)

// conformities are the levels that a device may state; bit 7 says that single objects can be read too.
var conformities = [256]bool{1: true, 2: true, 3: true, 0x81: true, 0x82: true, 0x83: true}

// objectNames names the objects of the basic and regular categories; 7 to 0x7f are reserved, those above the maker's own.
var objectNames = [...]string{"vendor_name", "product_code", "major_minor_revision", "vendor_url", "product_name", "model_name",
	"user_application_name"}

// An identification is what a device has said of itself so far, or what was asked of it.
type identification struct {
	unit       byte
	code       byte
	first      byte // object that was asked for first
	next       byte
	conformity byte
	more       bool
	parts      int
	objects    []object
	text       []byte // of all objects
}

// An object is one of a device's texts.
type object struct {
	id       byte
	off, end uint32
}

// mostParts bounds how many responses are joined into one identification.
const mostParts = 64

// parts holds the identifications that are being joined, one per unit.
type parts struct {
	all  []identification
	next int
	ask  identification
}

const mostUnits = 4

func (p *parts) clear() {
	for i := range p.all {
		p.all[i].more = false
	}
}

// of finds the identification that a response of unit goes on with, where it begins at first, or makes room for a new
// one.
func (p *parts) of(unit, first byte) *identification {
	for i := range p.all {
		if id := &p.all[i]; id.more && id.unit == unit && id.parts < mostParts && first == id.next {
			return id
		}
	}
	if p.all == nil {
		p.all = make([]identification, mostUnits)
	}
	id := &p.all[p.next]
	p.next = (p.next + 1) % mostUnits
	*id = identification{unit: unit, first: first, objects: id.objects[:0], text: id.text[:0]}
	return id
}

// meiAskForm and meiTellForm measure function 43 (6.19 to 6.21).
func meiAskForm(p []byte) int {
	switch {
	case len(p) < 3:
		return moreBytes
	case p[1] == deviceID && p[2] >= leastReadCode && p[2] <= mostReadCode:
		return 4
	case p[1] == deviceID:
		return noForm
	}
	return anySize
}

func meiTellForm(p []byte) int {
	if len(p) < 2 {
		return moreBytes
	}
	if p[1] != deviceID {
		return anySize
	}
	if len(p) < 7 {
		return moreBytes
	}
	if !conformities[p[3]] || p[4] != 0 && p[4] != moreFollows {
		return noForm
	}
	end := 7
	for range p[6] {
		if len(p) < end+2 {
			return moreBytes
		}
		end += 2 + int(p[end+1])
	}
	return end
}

// askMEI decodes the request of function 43.
func (d *decoder) askMEI(m *protocols.Message) {
	kind := d.c.U8()
	if d.c.Short {
		return
	}
	d.detail.mei, d.now.mei = kind, kind
	d.detail.has |= hasMEI
	if kind != deviceID {
		d.otherMEI(m)
		return
	}
	id := &d.parts.ask
	*id = identification{code: d.c.U8(), first: d.c.U8()}
	if d.c.Short {
		return
	}
	d.now.sub = uint16(id.code)<<8 | uint16(id.first)
	d.detail.id = id
	d.detail.has |= hasID
	if id.code < leastReadCode || id.code > mostReadCode {
		m.Faults |= protocols.BadValue
	}
}

// otherMEI keeps what is encapsulated: CANopen's general reference, or an interface that no standard defines.
func (d *decoder) otherMEI(m *protocols.Message) {
	if d.detail.mei != canOpen {
		m.Faults |= protocols.BadCode
	}
	d.detail.data = d.c.Rest()
}

// tellMEI decodes the response of function 43; the objects of a device that answers in parts are joined.
func (d *decoder) tellMEI(m *protocols.Message) {
	kind := d.c.U8()
	if d.c.Short {
		return
	}
	d.detail.mei = kind
	d.detail.has |= hasMEI
	if kind != deviceID {
		d.otherMEI(m)
		return
	}
	code, conformity, more, next, count := d.c.U8(), d.c.U8(), d.c.U8(), d.c.U8(), d.c.U8()
	if d.c.Short {
		return
	}
	if code < leastReadCode || code > mostReadCode || !conformities[conformity] || more != 0 && more != moreFollows {
		m.Faults |= protocols.BadValue
	}
	first := byte(0)
	if d.now != nil {
		first = byte(d.now.sub)
	} else if d.c.Left() > 0 {
		first = d.pdu[1+d.c.Pos()] // the request was not seen: the first object that comes
	}
	id := d.parts.of(byte(m.Station), first)
	id.code, id.conformity, id.next, id.more = code, conformity, next, more == moreFollows
	id.parts++
	d.detail.id = id
	d.detail.has |= hasID
	for range count {
		which, n := d.c.U8(), d.c.U8()
		b := d.c.Take(int(n))
		if d.c.Short {
			break
		}
		off := len(id.text)
		id.text = append(id.text, b...)
		id.objects = append(id.objects, object{which, uint32(off), uint32(len(id.text))})
	}
}

// appendObjects writes the objects of an identification: number, name where it has one, and text.
func appendObjects(dst []byte, m *protocols.Message) []byte {
	d := of(m)
	if d.has&hasID == 0 || len(d.id.objects) == 0 {
		return dst
	}
	for i, o := range d.id.objects {
		if i == 0 {
			dst = append(dst, '[')
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"id":`...)
		dst = strconv.AppendUint(dst, uint64(o.id), 10)
		if int(o.id) < len(objectNames) {
			dst = append(dst, `,"name":"`...)
			dst = append(append(dst, objectNames[o.id]...), '"')
		}
		dst = append(dst, `,"text":`...)
		dst = append(protocols.AppendString(dst, d.id.text[o.off:o.end]), '}')
	}
	return append(dst, ']')
}
