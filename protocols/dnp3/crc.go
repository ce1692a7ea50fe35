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
		x := binary.LittleEndian.Uint64(b) ^ uint64(v)
		v = t[7][byte(x)] ^ t[6][byte(x>>8)] ^ t[5][byte(x>>16)] ^ t[4][byte(x>>24)] ^
			t[3][byte(x>>32)] ^ t[2][byte(x>>40)] ^ t[1][byte(x>>48)] ^ t[0][byte(x>>56)]
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
