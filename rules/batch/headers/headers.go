// Package headers reads and changes the outermost headers of captured frames: Ethernet with VLAN tags, ARP, IPv4 and IPv6,
// the head of TCP, UDP and ICMP. What evidence names, and what is given to others with pseudonyms in place of addresses,
// rests on it; it decodes no protocol of a plant.
package headers

import "encoding/binary"

// Ethertypes and protocol numbers that frames are read for.
const (
	IPv4 = 0x0800
	ARP  = 0x0806
	IPv6 = 0x86dd
	VLAN = 0x8100
	QinQ = 0x88a8

	ICMP   = 1
	TCP    = 6
	UDP    = 17
	ICMPv6 = 58

	Ethernet = 1
	Raw      = 101
)

// A Layout says where the parts of a frame are. An offset of 0 means that there is no such part; Network is 0 with Kind
// IPv4 or IPv6 in raw captures.
type Layout struct {
	Kind      uint16 // ethertype behind all tags; 0 if unknown
	Network   int    // start of the ARP or IP header
	End       int    // end of the IP packet as its header says, or of the frame
	Whole     bool   // the frame holds all of the IP packet, which is no fragment
	Proto     uint8  // of the transport header
	Transport int    // start of the transport header
	Payload   int    // start of its payload
	Ethernet  bool
}

// Parse reads the outermost headers of a frame. It never fails: what it does not know it leaves out.
func Parse(link uint16, b []byte) (l Layout) {
	switch link {
	case Ethernet:
		if len(b) < 14 {
			return l
		}
		l.Ethernet = true
		at := 12
		l.Kind = binary.BigEndian.Uint16(b[at:])
		for (l.Kind == VLAN || l.Kind == QinQ) && at+6 <= len(b) {
			at += 4
			l.Kind = binary.BigEndian.Uint16(b[at:])
		}
		l.Network = at + 2
	case Raw, 12, 14, 228, 229:
		if len(b) == 0 {
			return l
		}
		l.Kind = map[byte]uint16{4: IPv4, 6: IPv6}[b[0]>>4]
	default:
		return l
	}
	l.End = len(b)
	n := b[l.Network:]
	switch {
	case l.Kind == IPv4 && len(n) >= 20 && n[0]>>4 == 4 && int(n[0]&15)*4 >= 20 && int(n[0]&15)*4 <= len(n):
		total := int(binary.BigEndian.Uint16(n[2:]))
		fragment := binary.BigEndian.Uint16(n[6:])&0x3fff != 0
		l.Whole = total >= int(n[0]&15)*4 && total <= len(n) && !fragment
		if total <= len(n) && total >= 20 {
			l.End = l.Network + total
		}
		l.Proto, l.Transport = n[9], l.Network+int(n[0]&15)*4
		if binary.BigEndian.Uint16(n[6:])&0x1fff != 0 {
			l.Transport = 0
		}
	case l.Kind == IPv6 && len(n) >= 40:
		total := 40 + int(binary.BigEndian.Uint16(n[4:]))
		l.Whole = total <= len(n)
		l.Proto, l.Transport = n[6], l.Network+40
		if total <= len(n) {
			l.End = l.Network + total
		}
	case l.Kind == ARP && len(n) >= 28:
	default:
		l.Kind = 0
	}
	l.Payload = l.body(b)
	return l
}

// body finds the payload of TCP or UDP.
func (l *Layout) body(b []byte) int {
	if l.Transport == 0 || l.Transport >= l.End {
		return 0
	}
	t := b[l.Transport:l.End]
	switch {
	case l.Proto == TCP && len(t) >= 20 && int(t[12]>>4)*4 >= 20 && int(t[12]>>4)*4 <= len(t):
		return l.Transport + int(t[12]>>4)*4
	case l.Proto == UDP && len(t) >= 8:
		return l.Transport + 8
	}
	return 0
}

// Ends are the addresses of the two ends: IP addresses, or the sender's and the target's of an ARP packet.
func (l *Layout) Ends(b []byte) (src, dst []byte) {
	n := b[l.Network:]
	switch l.Kind {
	case IPv4:
		return n[12:16], n[16:20]
	case IPv6:
		return n[8:24], n[24:40]
	case ARP:
		return n[14:18], n[24:28]
	}
	if l.Ethernet {
		return b[6:12], b[0:6]
	}
	return nil, nil
}

// Repair computes the checksums of a frame anew: of the IPv4 header, and of TCP, UDP and ICMP where the packet is whole.
func Repair(link uint16, b []byte) {
	l := Parse(link, b)
	if l.Kind != IPv4 && l.Kind != IPv6 {
		return
	}
	if l.Kind == IPv4 {
		h := b[l.Network : l.Network+int(b[l.Network]&15)*4]
		h[10], h[11] = 0, 0
		binary.BigEndian.PutUint16(h[10:], ^fold(sum(h, 0)))
	}
	at, ok := map[uint8]int{TCP: 16, UDP: 6, ICMP: 2, ICMPv6: 2}[l.Proto]
	if !ok || !l.Whole || l.Transport == 0 || l.Transport+at+2 > l.End {
		return
	}
	t := b[l.Transport:l.End]
	if l.Proto == UDP && t[6]|t[7] == 0 {
		return // sent without a checksum
	}
	s := uint32(0)
	if l.Proto != ICMP {
		src, dst := l.Ends(b)
		s = sum(dst, sum(src, uint32(l.Proto)+uint32(len(t))))
	}
	t[at], t[at+1] = 0, 0
	c := ^fold(sum(t, s))
	if c == 0 && l.Proto == UDP {
		c = 0xffff
	}
	binary.BigEndian.PutUint16(t[at:], c)
}

// sum adds the 16-bit words of b to s, and fold makes 16 bits of it (RFC 1071).
func sum(b []byte, s uint32) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return uint32(fold(s))
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
