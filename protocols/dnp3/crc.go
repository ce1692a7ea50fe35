package dnp3

import "encoding/binary"

// crcTable holds the remainders of IEEE 1815 9.2.5: polynomial 0x3D65, bit-reversed 0xA6BC.
var crcTable = func() (t [256]uint16) {
	for i := range t {
		v := uint16(i)
		for range 8 {
			if v&1 != 0 {
				v = v>>1 ^ 0xa6bc
			} else {
				v >>= 1
			}
		}
		t[i] = v
	}
	return t
}()

// crc is the check of IEEE 1815 9.2.5 over b, sent least significant byte first behind it.
func crc(b []byte) uint16 {
	var v uint16
	for _, c := range b {
		v = v>>8 ^ crcTable[byte(v)^c]
	}
	return ^v
}

// sealed says whether the last two bytes of b are the check of those before.
func sealed(b []byte) bool {
	n := len(b) - 2
	return n > 0 && crc(b[:n]) == binary.LittleEndian.Uint16(b[n:])
}
