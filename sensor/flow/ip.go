package flow

import (
	"encoding/binary"
	"net/netip"
)

// The IP protocol numbers that are read (IANA).
const (
	protoHopByHop = 0
	protoIPv4     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoAH       = 51
	protoNone     = 59
	protoDestOpts = 60
	protoMobility = 135
	protoHIP      = 139
	protoShim6    = 140
)

func addr4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }

// ip reads an IPv4 or IPv6 header and goes on with what it carries. The lengths in the header decide where the payload
// ends, not the frame, which may be padded; a length of 0 is one that the sending network card had still to fill in.
func (t *Table) ip(v *view, b []byte) Bucket {
	if v.depth++; v.depth > maxDepth {
		return Malformed
	}
	if len(b) < 1 {
		return v.short()
	}
	switch b[0] >> 4 {
	case 4:
		return t.ipv4(v, b)
	case 6:
		return t.ipv6(v, b)
	}
	return Malformed
}

func (t *Table) ipv4(v *view, b []byte) Bucket {
	if len(b) < 20 {
		return v.short()
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		total = len(b) + v.info.Wire - v.info.Len
	}
	if header < 20 || total < header {
		return Malformed
	}
	if len(b) < header {
		return v.short()
	}
	v.v6 = false
	copy(v.src[:4], b[12:16])
	copy(v.dst[:4], b[16:20])
	v.info.TTL, v.proto = b[8], b[9]
	v.ipid = binary.BigEndian.Uint16(b[4:])
	v.truncated(max(total-len(b), 0))
	fragment := binary.BigEndian.Uint16(b[6:])
	payload := b[header:min(total, len(b))]
	if fragment&0x3fff != 0 {
		return t.fragment(v, uint32(v.ipid), int(fragment&0x1fff)*8, fragment&0x2000 != 0, payload)
	}
	return t.transport(v, v.proto, payload)
}

func (t *Table) ipv6(v *view, b []byte) Bucket {
	if len(b) < 40 {
		return v.short()
	}
	total := int(binary.BigEndian.Uint16(b[4:])) + 40
	if total == 40 && b[6] != protoNone {
		total = len(b) + v.info.Wire - v.info.Len
	}
	v.v6 = true
	copy(v.src[:], b[8:24])
	copy(v.dst[:], b[24:40])
	v.info.TTL = b[7]
	v.truncated(max(total-len(b), 0))
	return t.extensions(v, b[6], b[40:min(total, len(b))])
}

// extensions walks the extension headers of IPv6 (RFC 8200 §4).
func (t *Table) extensions(v *view, next uint8, b []byte) Bucket {
	for {
		if v.depth++; v.depth > maxDepth {
			return Malformed
		}
		size := 0
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts, protoMobility, protoHIP, protoShim6:
			if len(b) >= 2 {
				size = int(b[1])*8 + 8
			}
		case protoAH:
			if len(b) >= 2 {
				size = int(b[1])*4 + 8
			}
		case protoFragment:
			if len(b) < 8 {
				return v.short()
			}
			field := binary.BigEndian.Uint16(b[2:])
			v.proto = b[0]
			if field&^6 == 0 { // an atomic fragment (RFC 6946)
				next, b = b[0], b[8:]
				continue
			}
			return t.fragment(v, binary.BigEndian.Uint32(b[4:]), int(field&^7), field&1 != 0, b[8:])
		default:
			v.proto = next
			return t.transport(v, next, b)
		}
		if size == 0 || len(b) < size {
			return v.short()
		}
		next, b = b[0], b[size:]
	}
}

// transport reads what an IP header carries. It returns carry when v describes a TCP segment or a UDP datagram.
func (t *Table) transport(v *view, proto uint8, b []byte) Bucket {
	switch proto {
	case protoTCP:
		return v.tcp(b)
	case protoUDP:
		return t.udp(v, b)
	case protoIPv4, protoIPv6:
		v.info.Tunnel = IPinIP
		return t.ip(v, b)
	case protoGRE:
		return t.gre(v, b)
	case protoAH:
		if !v.v6 {
			return t.extensions(v, proto, b)
		}
	}
	return OtherIP
}

// tcp reads a TCP header (RFC 9293 §3.1).
func (v *view) tcp(b []byte) Bucket {
	if len(b) < 20 {
		return v.cutOr(Malformed)
	}
	header := int(b[12]>>4) * 4
	if header < 20 {
		return Malformed
	}
	if len(b) < header {
		return v.cutOr(Malformed)
	}
	v.proto = protoTCP
	v.sport, v.dport = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	v.info.Seq, v.info.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	v.info.Flags, v.info.Window = TCPFlags(b[13])&0x3f, binary.BigEndian.Uint16(b[14:])
	v.payload = b[header:]
	return carry
}

// cutOr is the verdict on a transport header that is not all there.
func (v *view) cutOr(whole Bucket) Bucket {
	if v.missing > 0 {
		return Cut
	}
	return whole
}

// udp reads a UDP header (RFC 768).
func (t *Table) udp(v *view, b []byte) Bucket {
	if len(b) < 8 {
		return v.cutOr(Malformed)
	}
	size := int(binary.BigEndian.Uint16(b[4:]))
	if size == 0 { // a jumbogram, or one that the network card had still to fill in
		size = len(b) + v.missing
	}
	if size < 8 {
		return Malformed
	}
	v.proto = protoUDP
	v.sport, v.dport = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	v.sum = binary.BigEndian.Uint16(b[6:])
	if size <= len(b) {
		b, v.missing = b[:size], 0
	} else {
		v.truncated(size - len(b))
	}
	v.payload = b[8:]
	if v.dport == portVXLAN || v.dport == portVXLANLinux {
		if bucket, ok := t.vxlan(v, v.payload); ok {
			return bucket
		}
	}
	return carry
}
