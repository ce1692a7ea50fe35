package evidence

import "encoding/binary"

// Ethertypes and protocol numbers that frames are read for.
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeIPv6 = 0x86dd
	typeVLAN = 0x8100
	typeQinQ = 0x88a8

	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58

	linkEthernet = 1
	linkRaw      = 101
)

// A layout says where the parts of a frame are. An offset of 0 means that there is no such part; network is 0 with kind
// typeIPv4 or typeIPv6 in raw captures.
type layout struct {
	kind      uint16 // ethertype behind all tags; 0 if unknown
	network   int    // start of the ARP or IP header
	end       int    // end of the IP packet as its header says, or of the frame
	whole     bool   // the frame holds all of the IP packet, which is no fragment
	proto     uint8  // of the transport header
	transport int    // start of the transport header
	payload   int    // start of its payload
	ethernet  bool
}

// parse reads the outermost headers of a frame. It never fails: what it does not know it leaves out.
func parse(link uint16, b []byte) (l layout) {
	switch link {
	case linkEthernet:
		if len(b) < 14 {
			return l
		}
		l.ethernet = true
		at := 12
		l.kind = binary.BigEndian.Uint16(b[at:])
		for (l.kind == typeVLAN || l.kind == typeQinQ) && at+6 <= len(b) {
			at += 4
			l.kind = binary.BigEndian.Uint16(b[at:])
		}
		l.network = at + 2
	case linkRaw, 12, 14, 228, 229:
		if len(b) == 0 {
			return l
		}
		l.kind = map[byte]uint16{4: typeIPv4, 6: typeIPv6}[b[0]>>4]
	default:
		return l
	}
	l.end = len(b)
	n := b[l.network:]
	switch {
	case l.kind == typeIPv4 && len(n) >= 20 && n[0]>>4 == 4 && int(n[0]&15)*4 >= 20 && int(n[0]&15)*4 <= len(n):
		total := int(binary.BigEndian.Uint16(n[2:]))
		fragment := binary.BigEndian.Uint16(n[6:])&0x3fff != 0
		l.whole = total >= int(n[0]&15)*4 && total <= len(n) && !fragment
		if total <= len(n) && total >= 20 {
			l.end = l.network + total
		}
		l.proto, l.transport = n[9], l.network+int(n[0]&15)*4
		if binary.BigEndian.Uint16(n[6:])&0x1fff != 0 {
			l.transport = 0
		}
	case l.kind == typeIPv6 && len(n) >= 40:
		total := 40 + int(binary.BigEndian.Uint16(n[4:]))
		l.whole = total <= len(n)
		l.proto, l.transport = n[6], l.network+40
		if total <= len(n) {
			l.end = l.network + total
		}
	case l.kind == typeARP && len(n) >= 28:
	default:
		l.kind = 0
	}
	l.payload = l.body(b)
	return l
}

// body finds the payload of TCP or UDP.
func (l *layout) body(b []byte) int {
	if l.transport == 0 || l.transport >= l.end {
		return 0
	}
	t := b[l.transport:l.end]
	switch {
	case l.proto == protoTCP && len(t) >= 20 && int(t[12]>>4)*4 >= 20 && int(t[12]>>4)*4 <= len(t):
		return l.transport + int(t[12]>>4)*4
	case l.proto == protoUDP && len(t) >= 8:
		return l.transport + 8
	}
	return 0
}

// ends are the addresses of the two ends: IP addresses, or the sender's and the target's of an ARP packet.
func (l *layout) ends(b []byte) (src, dst []byte) {
	n := b[l.network:]
	switch l.kind {
	case typeIPv4:
		return n[12:16], n[16:20]
	case typeIPv6:
		return n[8:24], n[24:40]
	case typeARP:
		return n[14:18], n[24:28]
	}
	if l.ethernet {
		return b[6:12], b[0:6]
	}
	return nil, nil
}

// repair computes the checksums of a frame anew: of the IPv4 header, and of TCP, UDP and ICMP where the packet is whole.
func repair(link uint16, b []byte) {
	l := parse(link, b)
	if l.kind != typeIPv4 && l.kind != typeIPv6 {
		return
	}
	if l.kind == typeIPv4 {
		h := b[l.network : l.network+int(b[l.network]&15)*4]
		h[10], h[11] = 0, 0
		binary.BigEndian.PutUint16(h[10:], ^fold(sum(h, 0)))
	}
	at, ok := map[uint8]int{protoTCP: 16, protoUDP: 6, protoICMP: 2, protoICMPv6: 2}[l.proto]
	if !ok || !l.whole || l.transport == 0 || l.transport+at+2 > l.end {
		return
	}
	t := b[l.transport:l.end]
	if l.proto == protoUDP && t[6]|t[7] == 0 {
		return // sent without a checksum
	}
	s := uint32(0)
	if l.proto != protoICMP {
		src, dst := l.ends(b)
		s = sum(dst, sum(src, uint32(l.proto)+uint32(len(t))))
	}
	t[at], t[at+1] = 0, 0
	c := ^fold(sum(t, s))
	if c == 0 && l.proto == protoUDP {
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
