package events

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"reflect"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

func appendInt(dst []byte, v int64) []byte { return binary.AppendUvarint(dst, zigzag(v)) }

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendFloat appends a number by how it differs from was: nothing changed is one byte, round numbers are few.
func appendFloat(dst []byte, v, was float64) []byte {
	return binary.AppendUvarint(dst, bits.ReverseBytes64(math.Float64bits(v)^math.Float64bits(was)))
}

func bit(set bool, n uint) uint64 {
	if set {
		return 1 << n
	}
	return 0
}

func appendAddr(dst []byte, a netip.AddrPort) []byte {
	b, _ := a.Addr().MarshalBinary() // never fails
	dst = append(append(dst, byte(len(b))), b...)
	return binary.LittleEndian.AppendUint16(dst, a.Port())
}

func appendFlow(dst []byte, f *rules.Flow) []byte {
	dst = appendAddr(appendAddr(dst, f.Client), f.Server)
	dst = append(append(dst, f.ClientMAC[:]...), f.ServerMAC[:]...)
	dst = append(dst, byte(f.Transport), byte(f.Outcome), f.NVLAN, byte(bit(f.Unseen, 0)|bit(f.ServerLost, 1)|bit(f.TTL != 0, 2)|bit(f.OtherMAC, 3)))
	if f.TTL != 0 { // as bit 2 says: files from before it have none
		dst = append(dst, f.TTL, f.SessionTTL)
	}
	for _, v := range f.VLANs {
		dst = binary.LittleEndian.AppendUint16(dst, v)
	}
	return binary.AppendUvarint(dst, f.Conn)
}

func appendFacts(dst []byte, f *rules.Facts) []byte {
	return appendFields(dst, reflect.ValueOf(f).Elem())
}

// pointStatic is what a point says beside where it is, its value and its time.
type pointStatic struct {
	kind                   protocols.Kind
	has                    protocols.Has
	control, status, count uint8
	typ                    uint16
	n, onMS, offMS         uint32
	quality                protocols.Quality
}

func staticOf(p *protocols.Point) pointStatic {
	return pointStatic{p.Kind, p.Has, p.Control, p.Status, p.Count, p.Type, p.N, p.OnMS, p.OffMS, p.Quality}
}

func appendStatic(dst []byte, s *pointStatic) []byte {
	dst = append(dst, byte(s.kind), byte(s.has), s.control, s.status, s.count)
	for _, v := range [...]uint32{uint32(s.typ), s.n, s.onMS, s.offMS, uint32(s.quality)} {
		dst = binary.AppendUvarint(dst, uint64(v))
	}
	return dst
}

// A cursor reads what the functions above have written. After the end of its bytes it reads zeros, and bad is set.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) u8() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) int() int64 { return unzigzag(c.uint()) }

func (c *cursor) float(was float64) float64 {
	return math.Float64frombits(bits.ReverseBytes64(c.uint()) ^ math.Float64bits(was))
}

func (c *cursor) string() string {
	n := c.uint()
	if n > uint64(len(c.b)) {
		c.bad, c.b = true, nil
		return ""
	}
	return string(c.take(int(n)))
}

func (c *cursor) addr() netip.AddrPort {
	var a netip.Addr
	if b := c.take(int(c.u8())); len(b) > 0 && a.UnmarshalBinary(b) != nil {
		c.bad = true
	}
	return netip.AddrPortFrom(a, c.u16())
}

func (c *cursor) flow() (f rules.Flow) {
	f.Client, f.Server = c.addr(), c.addr()
	copy(f.ClientMAC[:], c.take(len(f.ClientMAC)))
	copy(f.ServerMAC[:], c.take(len(f.ServerMAC)))
	f.Transport, f.Outcome, f.NVLAN = rules.Transport(c.u8()&1), rules.Outcome(min(c.u8(), byte(rules.Refused))), min(c.u8(), byte(len(f.VLANs)))
	marks := c.u8()
	f.Unseen, f.ServerLost, f.OtherMAC = marks&1 != 0, marks&2 != 0, marks&8 != 0
	if marks&4 != 0 {
		f.TTL, f.SessionTTL = c.u8(), c.u8()
	}
	for i := range f.VLANs {
		f.VLANs[i] = c.u16()
	}
	f.Conn = c.uint()
	return f
}

func (c *cursor) facts(names []string) (f rules.Facts) {
	c.fields(reflect.ValueOf(&f).Elem(), names)
	f.Phase = min(f.Phase, rules.Enforce)
	return f
}

func (c *cursor) act(names []string) *rules.Act {
	a := &rules.Act{}
	c.fields(reflect.ValueOf(a).Elem(), names)
	a.Ended = min(a.Ended, rules.Ending(len(rules.EndingNames())-1))
	a.Effect = min(a.Effect, rules.Effect(len(rules.EffectNames())-1))
	return a
}

func (c *cursor) static() (s pointStatic) {
	s.kind, s.has = protocols.Kind(min(c.u8(), byte(protocols.Counter))), protocols.Has(c.u8())
	s.control, s.status, s.count = c.u8(), c.u8(), c.u8()
	s.typ, s.n, s.onMS, s.offMS, s.quality = uint16(c.uint()), uint32(c.uint()), uint32(c.uint()), uint32(c.uint()), protocols.Quality(c.uint())
	return s
}
