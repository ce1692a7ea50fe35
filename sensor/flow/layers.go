package flow

import (
	"encoding/binary"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/capture"
)

// view is what the layers of one packet say. It is filled in place, from the outside in; each inner header replaces
// what the outer one of its kind said.
type view struct {
	info       PacketInfo
	src, dst   [16]byte // of IPv4 the first four
	v6         bool
	proto      uint8
	ipid       uint16 // IPv4 identification
	sum        uint16 // UDP checksum
	vni        uint32
	sport      uint16
	dport      uint16
	payload    []byte
	missing    int // bytes of the payload that the capture cut off
	depth      int // headers and tunnels so far
	reassembly bool
	arp        ARP
}

const maxDepth = 24 // headers in a packet; more are made to waste time

// carry is the verdict on a layer: a Bucket, or go on with the transport payload.
const carry = buckets

// The EtherTypes that are read (IEEE 802 numbers).
const (
	typeIPv4       = 0x0800
	typeARP        = 0x0806
	typeTEB        = 0x6558 // transparent Ethernet bridging, in GRE
	typeVLAN       = 0x8100
	typeQinQ       = 0x88a8
	typeQinQOld    = 0x9100
	typeQinQOlder  = 0x9200
	typeIPv6       = 0x86dd
	typeMPLS       = 0x8847
	typeMPLSMulti  = 0x8848
	typePPPoE      = 0x8864
	typeERSPAN     = 0x88be // II, and I without header
	typeERSPAN3    = 0x22eb
	typeSmallest   = 0x0600 // smaller ones are lengths of 802.3
	pppIPv4        = 0x0021
	pppIPv6        = 0x0057
	pppMPLS        = 0x0281
	nflogPayload   = 9
	familyIPv4     = 2
	portVXLAN      = 4789
	portVXLANLinux = 8472
)

// link reads the link layer of b, of which the wire had more bytes if cut is set.
func (t *Table) link(v *view, link capture.LinkType, b []byte) Bucket {
	switch link {
	case capture.Ethernet:
		return t.ethernet(v, b)
	case capture.Null, capture.Loop:
		if len(b) < 4 {
			return v.short()
		}
		return t.family(v, b)
	case capture.RawIP, capture.RawBSD, capture.RawOpen, capture.IPv4, capture.IPv6:
		return t.ip(v, b)
	case capture.SLL:
		if len(b) < 16 {
			return v.short()
		}
		v.cooked(b[4:6], b[6:12])
		return t.ethertype(v, binary.BigEndian.Uint16(b[14:]), b[16:])
	case capture.SLL2:
		if len(b) < 20 {
			return v.short()
		}
		v.cooked([]byte{0, b[11]}, b[12:18])
		return t.ethertype(v, binary.BigEndian.Uint16(b), b[20:])
	case capture.PPP, capture.PPPSerial:
		if len(b) >= 2 && b[0] == 0xff && b[1] == 3 {
			b = b[2:]
		}
		return t.ppp(v, b)
	case capture.PPPEther:
		return t.pppoe(v, b)
	case capture.CHDLC:
		if len(b) < 4 {
			return v.short()
		}
		return t.ethertype(v, binary.BigEndian.Uint16(b[2:]), b[4:])
	case capture.FDDI:
		if len(b) < 13 {
			return v.short()
		}
		return t.llc(v, 0, b[13:])
	case capture.NFLOG:
		return t.nflog(v, b)
	}
	return Unread
}

// short is the verdict on a header that is not all there.
func (v *view) short() Bucket {
	if v.info.Len < v.info.Wire {
		return Cut
	}
	return Malformed
}

// cooked takes the sender's address of a Linux cooked header.
func (v *view) cooked(size, addr []byte) {
	if binary.BigEndian.Uint16(size) == 6 {
		v.info.MACs = [2]MAC{MAC(addr)}
		v.info.HasMAC = true
	}
}

func (t *Table) ethernet(v *view, b []byte) Bucket {
	if len(b) < 14 {
		return v.short()
	}
	copy(v.info.MACs[0][:], b[6:12])
	copy(v.info.MACs[1][:], b[:6])
	v.info.HasMAC = true
	return t.ethertype(v, binary.BigEndian.Uint16(b[12:]), b[14:])
}

// family reads BSD loopback: the address family is in the byte order of the host that captured.
func (t *Table) family(v *view, b []byte) Bucket {
	family := binary.LittleEndian.Uint32(b)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(b)
	}
	switch family {
	case familyIPv4, 10, 24, 28, 30: // AF_INET6 is 10 on Linux, 24, 28 and 30 on the BSDs
		return t.ip(v, b[4:])
	}
	return NotIP
}

func (t *Table) ethertype(v *view, kind uint16, b []byte) Bucket {
	for {
		if v.depth++; v.depth > maxDepth {
			return Malformed
		}
		switch kind {
		case typeIPv4, typeIPv6:
			return t.ip(v, b)
		case typeVLAN, typeQinQ, typeQinQOld, typeQinQOlder:
			if len(b) < 4 {
				return v.short()
			}
			v.info.Tags.add(binary.BigEndian.Uint16(b))
			kind, b = binary.BigEndian.Uint16(b[2:]), b[4:]
		case typeARP:
			return t.readARP(v, b)
		case typeMPLS, typeMPLSMulti:
			return t.mpls(v, b)
		case typePPPoE:
			return t.pppoe(v, b)
		case typeTEB:
			v.info.Tags = Tags{}
			return t.ethernet(v, b)
		default:
			return t.llc(v, kind, b)
		}
	}
}

// llc reads a frame of 802.3: its type field is a length, and with SNAP the EtherType comes behind it.
func (t *Table) llc(v *view, kind uint16, b []byte) Bucket {
	if kind < typeSmallest && len(b) >= 8 && b[0] == 0xaa && b[1] == 0xaa && b[2] == 3 && b[3]|b[4]|b[5] == 0 {
		return t.ethertype(v, binary.BigEndian.Uint16(b[6:]), b[8:])
	}
	return NotIP
}

func (t *Table) readARP(v *view, b []byte) Bucket {
	if len(b) < 28 {
		return v.short()
	}
	if binary.BigEndian.Uint32(b) != 0x0001_0800 || b[4] != 6 || b[5] != 4 {
		return Arp
	}
	v.arp = ARP{Op: binary.BigEndian.Uint16(b[6:]), SenderMAC: MAC(b[8:]), SenderIP: addr4(b[14:]), TargetMAC: MAC(b[18:]), TargetIP: addr4(b[24:])}
	t.handler.ARP(&v.arp, &v.info)
	return Arp
}

// mpls pops all labels (RFC 3032). What is inside is told by its first four bits; a pseudowire's control word starts
// with zeros and an Ethernet frame follows (RFC 4448).
func (t *Table) mpls(v *view, b []byte) Bucket {
	for {
		if v.depth++; v.depth > maxDepth {
			return Malformed
		}
		if len(b) < 5 {
			return v.short()
		}
		bottom := b[2]&1 != 0
		b = b[4:]
		if bottom {
			break
		}
	}
	v.info.Tunnel = MPLS
	switch {
	case b[0]>>4 == 4 || b[0]>>4 == 6:
		return t.ip(v, b)
	case b[0] == 0 && len(b) >= 4:
		v.info.Tags = Tags{}
		return t.ethernet(v, b[4:])
	}
	return NotIP
}

// pppoe reads a PPPoE session header (RFC 2516).
func (t *Table) pppoe(v *view, b []byte) Bucket {
	if len(b) < 6 {
		return v.short()
	}
	if b[0] != 0x11 || b[1] != 0 {
		return NotIP
	}
	v.info.Tunnel = PPPoE
	b = b[6:]
	return t.ppp(v, b)
}

func (t *Table) ppp(v *view, b []byte) Bucket {
	if len(b) < 2 {
		return v.short()
	}
	kind := uint16(b[0])
	if kind&1 != 0 { // a compressed protocol field (RFC 1661 §6.5)
		b = b[1:]
	} else {
		kind, b = binary.BigEndian.Uint16(b), b[2:]
	}
	switch kind {
	case pppIPv4, pppIPv6:
		return t.ip(v, b)
	case pppMPLS:
		return t.mpls(v, b)
	}
	return NotIP
}

// nflog finds the packet among the items behind the header.
func (t *Table) nflog(v *view, b []byte) Bucket {
	if len(b) < 4 {
		return v.short()
	}
	if b[0] != familyIPv4 && b[0] != 10 {
		return NotIP
	}
	for b = b[4:]; len(b) >= 4; {
		size, kind := int(binary.LittleEndian.Uint16(b)), binary.LittleEndian.Uint16(b[2:])
		if size < 4 {
			return Malformed
		}
		if kind&0x7fff == nflogPayload {
			return t.ip(v, b[4:min(size, len(b))])
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return v.short()
}

// truncated notes that n bytes of what the packet carries were not captured.
func (v *view) truncated(n int) {
	v.missing = n
	if n > 0 {
		v.info.Faults |= protocols.Truncated
	}
}
