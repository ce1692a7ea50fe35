package sensor

import (
	"encoding/binary"
	"slices"

	"github.com/roje-ot/roje/sensor/capture"
)

// loop plays a capture n times on the same connections: in each lap the sequence numbers go on where they ended in the
// lap before, and after the first one no connection is opened or closed. Only TCP over Ethernet and IPv4 can go on;
// all else is repeated as it is, later.
func loop(packets []capture.Packet, n int) []capture.Packet {
	const pause = 1e9 // nanoseconds between laps
	sent := map[string]uint32{}
	for i := range packets {
		if s, ok := segmentOf(packets[i].Data); ok {
			sent[s.from+s.to] += uint32(s.payload)
		}
	}
	var out []capture.Packet
	duration := packets[len(packets)-1].At - packets[0].At + pause
	for lap := range n {
		for _, p := range packets {
			s, ok := segmentOf(p.Data)
			if ok && s.flags&(fin|syn|rst) != 0 && (lap > 0 || s.flags&syn == 0) {
				continue
			}
			if ok {
				p.Data = slices.Clone(p.Data)
				seq, ack := p.Data[s.at+4:], p.Data[s.at+8:]
				binary.BigEndian.PutUint32(seq, binary.BigEndian.Uint32(seq)+uint32(lap)*sent[s.from+s.to])
				binary.BigEndian.PutUint32(ack, binary.BigEndian.Uint32(ack)+uint32(lap)*sent[s.to+s.from])
			}
			p.At += int64(lap) * duration
			p.Frame = uint64(len(out) + 1)
			out = append(out, p)
		}
	}
	return out
}

// TCP flags.
const (
	fin = 1 << iota
	syn
	rst
	psh
)

// segmentAt is a TCP segment in a frame.
type segmentAt struct {
	from, to string // address and port
	ip       int    // where the IPv4 header begins
	at       int    // where the TCP header begins
	payload  int    // its length
	data     int    // where it begins
	flags    byte
}

// segmentOf reads a frame of Ethernet, with a VLAN tag or without, that holds a whole TCP segment over IPv4.
func segmentOf(b []byte) (s segmentAt, ok bool) {
	const addresses, tag, vlan, ipv4, tcp = 12, 4, 0x8100, 0x0800, 6
	s.ip = addresses + 2
	if len(b) > s.ip && binary.BigEndian.Uint16(b[addresses:]) == vlan {
		s.ip += tag
	}
	if len(b) < s.ip+40 || binary.BigEndian.Uint16(b[s.ip-2:]) != ipv4 || b[s.ip+9] != tcp {
		return s, false
	}
	ip := b[s.ip:]
	total := int(binary.BigEndian.Uint16(ip[2:]))
	head := int(ip[0]&15) * 4
	if binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 || total > len(ip) || head < 20 || total < head+20 {
		return s, false
	}
	s.at = s.ip + head
	s.data = s.at + int(b[s.at+12]>>4)*4
	s.payload = s.ip + total - s.data
	s.from = string(ip[12:16]) + string(b[s.at:s.at+2])
	s.to = string(ip[16:20]) + string(b[s.at+2:s.at+4])
	s.flags = b[s.at+13]
	return s, s.payload >= 0
}
