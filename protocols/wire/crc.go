package wire

import "encoding/binary"

// A CRC16 holds the remainders of one reflected polynomial of 16 bits: of each byte value with 0 to 7 zero bytes behind
// it, so that eight bytes are eight independent look-ups.
type CRC16 [8][256]uint16

// NewCRC16 makes the table of a polynomial whose lowest term stands in the highest bit.
func NewCRC16(reflected uint16) *CRC16 {
	t := new(CRC16)
	for i := range t[0] {
		v := uint16(i)
		for range 8 {
			if v&1 != 0 {
				v = v>>1 ^ reflected
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
}

// Sum returns the remainder of b behind bytes whose remainder is v.
func (t *CRC16) Sum(v uint16, b []byte) uint16 {
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b) ^ uint64(v)
		v = t[7][byte(x)] ^ t[6][byte(x>>8)] ^ t[5][byte(x>>16)] ^ t[4][byte(x>>24)] ^
			t[3][byte(x>>32)] ^ t[2][byte(x>>40)] ^ t[1][byte(x>>48)] ^ t[0][byte(x>>56)]
		b = b[8:]
	}
	for _, c := range b {
		v = v>>8 ^ t[0][byte(v)^c]
	}
	return v
}
