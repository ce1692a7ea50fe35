package modbus

import (
	"encoding/binary"

	"github.com/roje-ot/roje/protocols/wire"
)

// RTU frames (Modbus over Serial Line V1.02, 2.5.1), here inside TCP or UDP.
const (
	leastRTU = 4   // unit, function code, CRC
	mostRTU  = 256 // the longest frame of a serial line
)

// serialCRC is the polynomial of the CRC (6.2.2), 0x8005, bit-reversed.
var serialCRC = wire.NewCRC16(0xa001)

func crc16(b []byte) uint16 { return serialCRC.Sum(0xffff, b) }

// crcOK reports whether the last two bytes of b are the CRC of those before them.
func crcOK(b []byte) bool {
	return len(b) >= leastRTU && crc16(b[:len(b)-2]) == binary.LittleEndian.Uint16(b[len(b)-2:])
}

// sizesRTU gives the lengths that the frame at the front of b can have, the smaller one first: as a request and as
// a response. A length is 0 while b is too short to tell, and -1 where the frame is none, or has no length of its own.
func sizesRTU(b []byte) (a, z int) {
	if len(b) < 2 {
		return 0, 0
	}
	p := b[1:]
	if p[0]&0x80 != 0 {
		if !known(p[0]) || p[0] == 0x80 {
			return -1, -1
		}
		return 5, 5
	}
	r := &rows[p[0]]
	a, z = sizeRTU(r.ask.size(p)), sizeRTU(r.reply.size(p))
	if z > 0 && (a <= 0 || z < a) {
		return z, a
	}
	return a, z
}

func sizeRTU(size int) int {
	switch {
	case size == moreBytes:
		return 0
	case size < 0 || size+3 > mostRTU:
		return -1
	}
	return size + 3
}

// frontRTU judges the frame at the front of b by its CRC; frames that end within the first seen bytes are known to fail.
func frontRTU(b []byte, seen int) verdict {
	a, z := sizesRTU(b)
	if z == a {
		z = -1 // one look is enough
	}
	state, end, wake := no, 2, mostRTU
	for _, n := range [2]int{a, z} {
		switch {
		case n < 0:
		case n == 0:
			state, wake = pending, len(b)+1
		case n > len(b):
			state, wake = pending, min(wake, n)
		case n > seen && crcOK(b[:n]):
			return verdict{state: yes, n: n, end: n}
		default:
			end = max(end, n)
		}
	}
	if state == pending {
		end = wake
	}
	return verdict{state: state, end: end}
}

// tryRTU judges the place i of b. A frame is proved by its CRC if it stands alone, else by the frame behind it, or by
// the end of the bytes if the connection is known to speak RTU. hope says that one frame is right so far.
func tryRTU(b []byte, i int, alone, locked bool, seen int, last bool) (v verdict, hope bool) {
	v = frontRTU(b[i:], seen-i)
	v.end += i
	if v.state == pending && last {
		return verdict{state: no, end: len(b)}, false
	}
	if v.state != yes || alone {
		return v, v.state == yes
	}
	next := b[i+v.n:]
	w := frontRTU(next, 0)
	switch {
	case w.state == yes:
		return verdict{state: yes, n: v.n, end: i + v.n + w.end}, true
	case last && locked && len(next) == 0:
		return verdict{state: yes, n: v.n, end: len(b)}, true
	case last:
		w.state = no
	}
	return verdict{state: w.state, end: i + v.n + w.end}, true
}

// followRTU judges b, which begins where a frame ended and whose first seen bytes were judged before. A wrong CRC is forgiven if a right frame follows; a function
// of unknown length ends at the first right CRC.
func followRTU(b []byte, seen int, last bool) verdict {
	v := frontRTU(b, 0)
	if v.state == yes || v.state == pending && !last {
		return v
	}
	a, z := sizesRTU(b)
	if a < 0 && z < 0 {
		return measureRTU(b, seen, last)
	}
	best, waits := verdict{state: no, end: len(b) + 1}, false
	for _, n := range [2]int{a, z} {
		if n <= 0 || n > len(b) {
			continue
		}
		next := frontRTU(b[n:], 0)
		if last && n == len(b) {
			next.state = yes
		}
		switch {
		case next.state == yes && n+next.end < best.end:
			best = verdict{state: yes, n: n, end: n + next.end}
		case next.state == pending && !last:
			waits = true
		}
	}
	if best.state == no && waits {
		return verdict{}
	}
	return best
}

// measureRTU looks for the end of a frame whose form says none: the first right CRC, of which none ends in the first
// seen bytes.
func measureRTU(b []byte, seen int, last bool) verdict {
	if len(b) >= 2 && b[1]&0x7f == 0 {
		return verdict{state: no}
	}
	i := min(max(leastRTU-2, seen-1), len(b))
	for c := crc16(b[:i]); i+2 <= len(b) && i+2 <= mostRTU; i++ {
		if c == binary.LittleEndian.Uint16(b[i:]) {
			return verdict{state: yes, n: i + 2}
		}
		c = serialCRC.Sum(c, b[i:i+1])
	}
	if len(b) < mostRTU && !last {
		return verdict{}
	}
	return verdict{state: no}
}
