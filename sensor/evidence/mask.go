package evidence

import (
	"encoding/binary"

	"github.com/roje-ot/roje/rules/batch/headers"
)

// blank stands for what must not be kept.
const blank = '*'

// mask overwrites, in all frames, the payloads in which r has found user names or passwords, repetitions of them among
// them, and repairs the checksums.
func (r *reader) mask() {
	for _, s := range r.hide {
		for i := range r.frames {
			f := &r.frames[i]
			if f.Link != s.link || !s.touches(i, f) {
				continue
			}
			l := headers.Parse(f.Link, f.Data)
			switch {
			case l.Payload > 0:
				hide(f.Data[l.Payload:l.End])
			case l.Kind != 0: // a fragment, or headers that are not read: nothing of its content is kept
				fill(f.Data[min(len(f.Data), l.Network+40):])
			default:
				fill(f.Data)
			}
			headers.Repair(f.Link, f.Data)
			r.said[i] = "user name or password masked"
		}
	}
}

// touches says whether frame i carries bytes of s.
func (s *secret) touches(i int, f *Frame) bool {
	if i == s.frame {
		return true
	}
	l := headers.Parse(f.Link, f.Data)
	src, dst := sockets(&l, f.Data)
	if l.Payload == 0 {
		return l.Kind != 0 && l.Transport == 0 && len(src) <= len(s.src) && src == s.src[:len(src)] && dst == s.dst[:len(dst)]
	}
	if src != s.src || dst != s.dst || l.Payload >= l.End {
		return false
	}
	if l.Proto != headers.TCP {
		return false // a datagram repeats nothing
	}
	seq := binary.BigEndian.Uint32(f.Data[l.Transport+4:])
	end := seq + uint32(l.End-l.Payload)
	return int32(s.to-seq) > 0 && (s.whole || int32(end-s.from) > 0)
}

func fill(b []byte) {
	for i := range b {
		b[i] = blank
	}
}

// hide overwrites the payload b. Of whole DNP3 frames the headers stay, up to the function code, with their checks.
func hide(b []byte) {
	for len(b) > 0 {
		if len(b) < 10 || b[0] != 0x05 || b[1] != 0x64 || b[2] < 5 {
			fill(b)
			return
		}
		data := int(b[2]) - 5
		n := 10 + data + (data+15)/16*2
		if n > len(b) {
			fill(b)
			return
		}
		first := 0
		if data >= 3 && b[10]&0x40 != 0 { // transport FIR: application control and function follow
			first = 3
		}
		for at, left := 10, data; left > 0; {
			size := min(left, 16)
			fill(b[at+min(first, size) : at+size])
			first = 0
			binary.LittleEndian.PutUint16(b[at+size:], crc(b[at:at+size]))
			at, left = at+size+2, left-size
		}
		b = b[n:]
	}
}

// crc is the check of a block, IEEE 1815 9.2.4.3: polynomial 0x3D65, reflected.
func crc(b []byte) uint16 {
	c := uint16(0)
	for _, v := range b {
		c ^= uint16(v)
		for range 8 {
			if c&1 != 0 {
				c = c>>1 ^ 0xa6bc
			} else {
				c >>= 1
			}
		}
	}
	return ^c
}
