package dnp3

import (
	"encoding/binary"

	"github.com/roje-ot/roje/protocols/wire"
)

// ft3 is the polynomial of IEEE 1815 9.2.5, 0x3D65, bit-reversed.
var ft3 = wire.NewCRC16(0xa6bc)

// crc is the check of IEEE 1815 9.2.5 over b, sent least significant byte first behind it.
func crc(b []byte) uint16 { return ^ft3.Sum(0, b) }

// sealed says whether the last two bytes of b are the check of those before.
func sealed(b []byte) bool {
	n := len(b) - 2
	return n > 0 && crc(b[:n]) == binary.LittleEndian.Uint16(b[n:])
}
