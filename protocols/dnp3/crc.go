package dnp3

import "encoding/binary"

// crcTables holds the remainders of IEEE 1815 9.2.5 (polynomial 0x3D65, bit-reversed 0xA6BC) of each byte value with 0
// to 7 zero bytes behind it, so that eight bytes are eight independent look-ups.
var crcTables = func() (t [8][256]uint16) {
	for i := range t[0] {
		v := uint16(i)
		for range 8 {
			if v&1 != 0 {
				v = v>>1 ^ 0xa6bc
			} else {
				v >>= 1
			}
		}
		t[0][i] = v
	}
	for n := 1; n < len(t); n++ {
		for i, v := range t[n-1] {
			t[n][i] = v>>8 ^ t[0][byte(v)]
		}
	}
	return t
}()

// crc is the check of IEEE 1815 9.2.5 over b, sent least significant byte first behind it.
func crc(b []byte) uint16 {
	var v uint16
	t := &crcTables
	for len(b) >= 8 {
		v = t[7][byte(v)^b[0]] ^ t[6][byte(v>>8)^b[1]] ^ t[5][b[2]] ^ t[4][b[3]] ^ t[3][b[4]] ^ t[2][b[5]] ^ t[1][b[6]] ^ t[0][b[7]]
		b = b[8:]
	}
	for _, c := range b {
		v = v>>8 ^ t[0][byte(v)^c]
	}
	return ^v
}

// sealed says whether the last two bytes of b are the check of those before.
func sealed(b []byte) bool {
	n := len(b) - 2
	return n > 0 && crc(b[:n]) == binary.LittleEndian.Uint16(b[n:])
}
