package flow

import "encoding/binary"

// gre reads a GRE header (RFC 2784, RFC 2890; version 1 is PPTP's, RFC 2637).
func (t *Table) gre(v *view, b []byte) Bucket {
	if len(b) < 4 {
		return v.cutOr(Malformed)
	}
	flags, kind := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	const checksum, routing, key, sequence, acknowledged = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
	version := flags & 7
	if version > 1 || flags&routing != 0 {
		return OtherIP
	}
	size := 4
	for _, option := range [...]uint16{checksum, key, sequence} {
		if flags&option != 0 {
			size += 4
		}
	}
	if version == 1 && flags&acknowledged != 0 {
		size += 4
	}
	if len(b) < size {
		return v.cutOr(Malformed)
	}
	b = b[size:]
	v.info.Tunnel = GRE
	switch {
	case version == 1:
		if len(b) >= 2 && b[0] == 0xff && b[1] == 3 {
			b = b[2:]
		}
		if len(b) == 0 {
			return OtherIP
		}
		return t.ppp(v, b)
	case kind == typeERSPAN:
		return t.erspan(v, b, flags&sequence != 0)
	case kind == typeERSPAN3:
		return t.erspan3(v, b)
	}
	return t.ethertype(v, kind, b)
}

// erspan reads a mirrored frame of type II, or of type I, which has no header and no GRE sequence number
// (draft-foschiano-erspan §4).
func (t *Table) erspan(v *view, b []byte, second bool) Bucket {
	v.info.Tunnel = ERSPAN
	v.info.Tags = Tags{}
	if second {
		if len(b) < 8 {
			return v.cutOr(Malformed)
		}
		b = b[8:]
	}
	return t.ethernet(v, b)
}

// erspan3 reads a mirrored frame of type III: twelve bytes, and eight more if bit O is set.
func (t *Table) erspan3(v *view, b []byte) Bucket {
	v.info.Tunnel = ERSPAN
	v.info.Tags = Tags{}
	if len(b) < 12 {
		return v.cutOr(Malformed)
	}
	size, kind := 12, b[10]>>2&0x1f // P and FT: frame type 0 is Ethernet, 2 is IP
	if b[11]&1 != 0 {
		size = 20
	}
	if len(b) < size {
		return v.cutOr(Malformed)
	}
	if kind == 2 {
		return t.ip(v, b[size:])
	}
	return t.ethernet(v, b[size:])
}

// vxlan reads a VXLAN header (RFC 7348 §5). What has another form is an ordinary datagram.
func (t *Table) vxlan(v *view, b []byte) (Bucket, bool) {
	if len(b) < 8+14 || b[0] != 8 || b[1]|b[2]|b[3]|b[7] != 0 {
		return 0, false
	}
	v.info.Tunnel = VXLAN
	v.info.Tags = Tags{}
	v.vni = binary.BigEndian.Uint32(b[4:]) >> 8
	return t.ethernet(v, b[8:]), true
}
