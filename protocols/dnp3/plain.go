package dnp3

import (
	"encoding/binary"

	"github.com/roje-ot/roje/protocols"
)

// plain says whether an object is an octet of flags, alone or with a whole number behind it, as most are: flagged reads
// those, and fields could.
func (o *object) plain() bool {
	if o.quiet || len(o.shape) == 0 || o.shape[0].how != flags {
		return false
	}
	switch len(o.shape) {
	case 1:
		return true
	case 2:
		s := &o.shape[1]
		return s.how == signed || s.how == unsigned && s.to == toValue
	}
	return false
}

// flagged reads a run of plain objects without an index of their own.
func (r *reader) flagged(o *object, h *header) (f protocols.Faults) {
	size, whole := 1, true
	if len(o.shape) > 1 {
		size += o.shape[1].n
	}
	count := int(h.count)
	if have := r.c.Left() / size; h.count > uint64(have) {
		count, whole = have, false
	}
	b := r.c.Take(count * size)
	for i := range count {
		pt := r.next()
		begin(pt, o.kind, h.typeCode(), h.start+uint32(i))
		object := b[i*size : (i+1)*size]
		r.flags(o.shape[0].n, object[0], pt)
		if size > 1 {
			pt.Value, pt.Has = number(object[1:], o.shape[1].how == signed), pt.Has|protocols.HasValue
		}
		f |= r.keep()
	}
	if !whole {
		f |= r.lose(protocols.Short)
	}
	return f
}

// number reads two or four octets, the least significant first.
func number(b []byte, signed bool) float64 {
	switch {
	case len(b) == 2 && signed:
		return float64(int16(binary.LittleEndian.Uint16(b)))
	case len(b) == 2:
		return float64(binary.LittleEndian.Uint16(b))
	case signed:
		return float64(int32(binary.LittleEndian.Uint32(b)))
	}
	return float64(binary.LittleEndian.Uint32(b))
}
