// Package wire reads fields out of bytes: a cursor in either byte order, with one sticky error.
package wire

import "encoding/binary"

// A Cursor reads b from front to back. Once a read finds too few bytes, Short is set, that read and all later ones
// return zero values, and the position stays: a caller checks once, at the end. It never reads past the end and never
// allocates; slices it returns alias b.
type Cursor struct {
	b     []byte
	pos   int
	Short bool
}

// New returns a cursor at the front of b.
func New(b []byte) Cursor { return Cursor{b: b} }

// Reset puts c at the front of b. In a struct it writes in place, where a New would be built elsewhere and copied.
func (c *Cursor) Reset(b []byte) { c.b, c.pos, c.Short = b, 0, false }

// Pos is the offset of the next byte.
func (c *Cursor) Pos() int { return c.pos }

// Left is the number of bytes not yet read.
func (c *Cursor) Left() int { return len(c.b) - c.pos }

// Take returns the next n bytes, or nil.
func (c *Cursor) Take(n int) []byte {
	if c.Short || n < 0 || n > len(c.b)-c.pos {
		c.Short = true
		return nil
	}
	s := c.b[c.pos : c.pos+n : c.pos+n]
	c.pos += n
	return s
}

// Skip passes over n bytes.
func (c *Cursor) Skip(n int) { c.Take(n) }

// Rest returns all that is left.
func (c *Cursor) Rest() []byte { return c.Take(c.Left()) }

// U8 reads one byte.
func (c *Cursor) U8() uint8 {
	if c.Short || c.pos >= len(c.b) {
		c.Short = true
		return 0
	}
	v := c.b[c.pos]
	c.pos++
	return v
}

// BE16 reads two bytes, most significant first.
func (c *Cursor) BE16() uint16 {
	if s := c.Take(2); s != nil {
		return binary.BigEndian.Uint16(s)
	}
	return 0
}

// BE32 reads four bytes, most significant first.
func (c *Cursor) BE32() uint32 {
	if s := c.Take(4); s != nil {
		return binary.BigEndian.Uint32(s)
	}
	return 0
}

// LE16 reads two bytes, least significant first.
func (c *Cursor) LE16() uint16 {
	if s := c.Take(2); s != nil {
		return binary.LittleEndian.Uint16(s)
	}
	return 0
}

// LE24 reads three bytes, least significant first.
func (c *Cursor) LE24() uint32 {
	if s := c.Take(3); s != nil {
		return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16
	}
	return 0
}

// LE32 reads four bytes, least significant first.
func (c *Cursor) LE32() uint32 {
	if s := c.Take(4); s != nil {
		return binary.LittleEndian.Uint32(s)
	}
	return 0
}

// LE48 reads six bytes, least significant first: DNP3 and 104 both count milliseconds in them.
func (c *Cursor) LE48() uint64 {
	if s := c.Take(6); s != nil {
		return uint64(binary.LittleEndian.Uint32(s)) | uint64(binary.LittleEndian.Uint16(s[4:]))<<32
	}
	return 0
}

// LE64 reads eight bytes, least significant first.
func (c *Cursor) LE64() uint64 {
	if s := c.Take(8); s != nil {
		return binary.LittleEndian.Uint64(s)
	}
	return 0
}

// LE reads an unsigned number of n bytes (0 to 8), least significant first.
func (c *Cursor) LE(n int) uint64 {
	switch n {
	case 0:
		return 0
	case 1:
		return uint64(c.U8())
	case 2:
		return uint64(c.LE16())
	case 4:
		return uint64(c.LE32())
	}
	var v uint64
	for i, b := range c.Take(n) {
		v |= uint64(b) << (8 * i)
	}
	return v
}
