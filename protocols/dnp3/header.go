package dnp3

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/wire"
)

// A header is one object header, IEEE 1815 4.2.2.7.
type header struct {
	group, variation uint8
	qualifier        uint8
	ranged           bool // start and stop mean something
	counted          bool // count means something
	start, stop      uint32
	count            uint64
}

// A prefix is what stands before each object, IEEE 1815 table 4-5.
type prefix struct {
	bytes int
	size  bool // the object's size; else its index
	known bool
}

var prefixes = [8]prefix{
	0: {known: true},
	1: {bytes: 1, known: true}, 2: {bytes: 2, known: true}, 3: {bytes: 4, known: true},
	4: {bytes: 1, size: true, known: true}, 5: {bytes: 2, size: true, known: true}, 6: {bytes: 4, size: true, known: true},
}

// A rangeCode is what the range field says, IEEE 1815 table 4-6. Codes 3 to 5 hold virtual addresses.
type rangeCode struct {
	bytes int
	run   bool // start and stop; else a count
	known bool
}

var rangeCodes = [16]rangeCode{
	0: {bytes: 1, run: true, known: true}, 1: {bytes: 2, run: true, known: true}, 2: {bytes: 4, run: true, known: true},
	3: {bytes: 1, run: true, known: true}, 4: {bytes: 2, run: true, known: true}, 5: {bytes: 4, run: true, known: true},
	6: {known: true},
	7: {bytes: 1, known: true}, 8: {bytes: 2, known: true}, 9: {bytes: 4, known: true},
	rangeFree: {bytes: 1, known: true},
}

const rangeFree = 11 // variable format: a count of objects that each say their size

func (h *header) prefix() prefix   { return prefixes[h.qualifier>>4&7] }
func (h *header) rng() rangeCode   { return rangeCodes[h.qualifier&15] }
func (h *header) typeCode() uint16 { return uint16(h.group)<<8 | uint16(h.variation) }

// read reads one object header up to its first object. Of h, which is zero, it fills as much as there is.
func (h *header) read(c *wire.Cursor) (f protocols.Faults) {
	h.group, h.variation, h.qualifier = c.U8(), c.U8(), c.U8()
	if c.Short {
		return protocols.Short
	}
	r := h.rng()
	if h.qualifier&0x80 != 0 || !h.prefix().known || !r.known {
		return protocols.BadHeader
	}
	switch {
	case r.run:
		h.ranged = true
		h.start, h.stop = uint32(c.LE(r.bytes)), uint32(c.LE(r.bytes))
		if h.stop < h.start {
			return protocols.BadQuantity
		}
		h.count = uint64(h.stop) - uint64(h.start) + 1
	case r.bytes > 0:
		h.counted = true
		h.count = c.LE(r.bytes)
	}
	if c.Short {
		f = protocols.Short
	}
	return f
}

// carries says whether objects follow the header in a fragment with that function. A READ asks by headers alone, but
// some objects ride in every request: those that say their size (file blocks), authentication, the time of a freeze.
func (fn *function) carries(h *header) bool {
	switch {
	case h.qualifier&15 == 6:
		return false
	case fn.data || h.group == groupAuth || h.qualifier&15 == rangeFree:
		return true
	}
	return h.group == groupTime && (fn.code == fnFreezeAtTime || fn.code == fnFreezeAtTimeN)
}

const (
	groupCROB     = 12
	groupSetpoint = 41
	groupTime     = 50
	groupClass    = 60
	groupFile     = 70
	groupIIN      = 80
	groupAuth     = 120
)

// A reader walks the object headers of one fragment.
type reader struct {
	d    *Detail
	m    *protocols.Message
	c    wire.Cursor
	cto  int64 // Unix nanoseconds: the common time of occurrence
	sync ctoState
	mask protocols.Point // the pattern control block (g12v2) that a pattern mask (g12v3) selects points for
	lost bool            // where the next header stands is not known
}

type ctoState uint8

const (
	noCTO ctoState = iota
	synchronised
	unsynchronised
)

// objects reads all object headers behind the application header and what they carry.
func (r *reader) objects(fn *function) {
	for r.c.Left() > 0 && !r.lost {
		mark := r.c.Pos()
		n := len(r.d.objects)
		r.d.objects = append(r.d.objects, header{})
		h := &r.d.objects[n]
		f := h.read(&r.c)
		if r.c.Pos() <= mark+2 {
			r.d.objects = r.d.objects[:n] // not even its three octets are there
		}
		if r.lost = f != 0; !r.lost {
			f = r.object(fn, h)
		}
		r.m.Faults |= f
		if r.lost {
			r.keepRest(mark)
		}
	}
}

// lose ends the walk: where the next header stands is not known.
func (r *reader) lose(f protocols.Faults) protocols.Faults {
	r.lost = true
	return f
}

// keepRest notes the bytes from mark on as not understood, unless they may hold a secret.
func (r *reader) keepRest(mark int) {
	n := len(r.d.objects)
	if n > 0 && (r.d.objects[n-1].group == groupFile || r.d.objects[n-1].group == groupAuth) {
		return
	}
	r.d.restAt, r.d.restTo = mark, len(r.m.Body)
}

// object reads what stands behind one header.
func (r *reader) object(fn *function, h *header) (f protocols.Faults) {
	o := objectOf(h.group, h.variation)
	if !fn.carries(h) {
		return r.asked(o, h)
	}
	p := h.prefix()
	if o == nil || o.shape == nil {
		if !p.size {
			return r.lose(protocols.BadCode)
		}
		o = &stranger
		f = protocols.BadCode
	}
	if o.shape[0].how == packed && p.bytes == 0 {
		return f | r.packed(o, h)
	}
	if p.bytes == 0 && o.plain() {
		return f | r.flagged(o, h)
	}
	if !p.size && needsSize(o.shape) {
		return r.lose(protocols.BadHeader)
	}
	for i := range h.count {
		before := r.c.Pos()
		pt := r.next()
		begin(pt, o.kind, h.typeCode(), h.start+uint32(i))
		g := r.one(o, h, p, pt)
		f |= g
		if r.lost {
			return f
		}
		if r.c.Pos() == before { // objects of no bytes: one stands for all
			pt.N = clampRun(h.count)
		}
		if pt.Type == patternBlock {
			r.mask = *pt
		}
		if !o.quiet && g&protocols.BadLength == 0 {
			f |= r.keep()
		}
		if r.c.Pos() == before {
			break
		}
	}
	return f
}

// one reads one object with its prefix.
func (r *reader) one(o *object, h *header, p prefix, pt *protocols.Point) (f protocols.Faults) {
	v := uint32(r.c.LE(p.bytes))
	if !p.size {
		if p.bytes > 0 {
			pt.Addr = v
		}
		f = r.fields(o, h, &r.c, pt)
		if r.c.Short {
			r.lose(0)
			f |= protocols.Short
		}
		return f
	}
	at := r.c.Pos()
	body := r.c.Take(int(v))
	if r.c.Short {
		return r.lose(protocols.Short)
	}
	c := wire.New(r.m.Body[:at+len(body)])
	c.Skip(at)
	f = r.fields(o, h, &c, pt)
	switch {
	case c.Short:
		f |= protocols.BadLength
	case c.Left() > 0:
		f |= protocols.TrailingBytes
	}
	return f
}

// stranger stands for objects without a row that say their size.
var stranger = object{quiet: true, shape: opaque}

// needsSize says whether an object of that shape ends only where its size prefix says.
func needsSize(s []step) bool {
	last := s[len(s)-1].how
	return last == remainder || last == hidden
}

// asked notes what a header without objects asks for: a run of points, single indexes, or nothing countable.
func (r *reader) asked(o *object, h *header) (f protocols.Faults) {
	kind := protocols.OtherKind
	switch {
	case o != nil:
		kind = o.kind
	case groupRows[h.group][1] == 0:
		f = protocols.BadCode
	default:
		kind, f = objects[groupRows[h.group][0]].kind, protocols.BadCode
	}
	pt := protocols.Point{Kind: kind, Type: h.typeCode(), Addr: h.start, N: 1}
	p := h.prefix()
	switch {
	case p.bytes > 0 && h.counted:
		for range h.count {
			pt.Addr = uint32(r.c.LE(p.bytes))
			if r.c.Short {
				return r.lose(f | protocols.Short)
			}
			f |= r.point(&pt)
		}
	case h.ranged && h.group != groupClass:
		pt.N = clampRun(h.count)
		f |= r.point(&pt)
	}
	return f
}

// Objects that work together: the block says what to do, the mask to which points.
const (
	patternBlock = groupCROB<<8 | 2
	patternMask  = groupCROB<<8 | 3
)

func clampRun(n uint64) uint32 { return uint32(min(n, 1<<32-1)) }

// maxPoints bounds the points of one message: a full index range in packed format.
const maxPoints = 1 << 16

// next is the room of the next point, behind those of the message; keep makes it one of them.
func (r *reader) next() *protocols.Point {
	n := len(r.m.Points)
	if n == cap(r.m.Points) {
		r.m.Points = append(r.m.Points, protocols.Point{})[:n]
	}
	return &r.m.Points[:n+1][n]
}

// begin makes pt a point of which only what the header says is known. It writes in place: a literal would be built
// elsewhere and copied, which costs more than reading the object.
func begin(pt *protocols.Point, kind protocols.Kind, code uint16, addr uint32) {
	*pt = protocols.Point{}
	pt.Kind, pt.Type, pt.Addr, pt.N = kind, code, addr, 1
}

func (r *reader) keep() protocols.Faults {
	if len(r.m.Points) >= maxPoints {
		return protocols.BadQuantity
	}
	r.m.Points = r.m.Points[:len(r.m.Points)+1]
	return 0
}

func (r *reader) point(p *protocols.Point) protocols.Faults {
	*r.next() = *p
	return r.keep()
}

// packed reads a run of 1-bit or 2-bit points, least significant first.
func (r *reader) packed(o *object, h *header) (f protocols.Faults) {
	width := uint64(o.shape[0].n)
	if h.count > uint64(r.c.Left())*8/width {
		return r.lose(protocols.Short)
	}
	bits := r.c.Take(int((h.count*width + 7) / 8))
	mask := byte(1<<width - 1)
	pattern := h.typeCode() == patternMask
	for i := range h.count {
		at := i * width
		v := bits[at/8] >> (at % 8) & mask
		if pattern && v == 0 {
			continue
		}
		pt := r.next()
		if pattern {
			*pt = r.mask
			pt.Kind, pt.Type, pt.N, pt.Addr = o.kind, h.typeCode(), 1, h.start+uint32(i)
		} else {
			begin(pt, o.kind, h.typeCode(), h.start+uint32(i))
			pt.Value, pt.Has = float64(v), protocols.HasValue
		}
		f |= r.keep()
	}
	return f
}
