package lang

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"

	"github.com/roje-ot/roje/rules"
)

// Hash is a running 64-bit hash of values. Start it from a seed of the process's own, so that nobody on the wire can
// choose values that collide; nothing that leaves the program depends on it.
type Hash uint64

const (
	hashMul1 = 0x9e3779b97f4a7c15
	hashMul2 = 0xd6e8feb86659fd93
)

// Uint64 mixes v in.
func (h Hash) Uint64(v uint64) Hash {
	hi, lo := bits.Mul64(uint64(h)^v^hashMul1, hashMul2^bits.RotateLeft64(uint64(h), 32))
	return Hash(hi ^ lo ^ v)
}

// Float64 mixes v in.
func (h Hash) Float64(v float64) Hash { return h.Uint64(math.Float64bits(v)) }

// String mixes s and its length in.
func (h Hash) String(s string) Hash { return mix(h, s) }

// Bytes mixes b in as String does the same text.
func (h Hash) Bytes(b []byte) Hash { return mix(h, b) }

func mix[T string | []byte](h Hash, s T) Hash {
	h = h.Uint64(uint64(len(s)))
	for len(s) >= 8 {
		h = h.Uint64(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56)
		s = s[8:]
	}
	var v uint64
	for i := range len(s) {
		v |= uint64(s[i]) << (8 * i)
	}
	return h.Uint64(v)
}

// Addr mixes a in.
func (h Hash) Addr(a netip.Addr) Hash {
	b := a.As16()
	return h.Uint64(binary.BigEndian.Uint64(b[:8])).Uint64(binary.BigEndian.Uint64(b[8:]))
}

// MAC mixes m in.
func (h Hash) MAC(m rules.MAC) Hash {
	var v uint64
	for _, b := range m {
		v = v<<8 | uint64(b)
	}
	return h.Uint64(v)
}

// Absent mixes in that there is no value.
func (h Hash) Absent() Hash { return h.Uint64(0x6e6f7468696e6721) }
