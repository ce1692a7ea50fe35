package engine

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"net/netip"

	"github.com/roje-ot/roje/rules"
)

// A Coder writes events of what a rule waits for, and reads them.
type Coder interface {
	Append(dst []byte, e *rules.Event) []byte
	// Read returns the event that b begins with, valid until the next call, and what follows it.
	Read(b []byte) (e *rules.Event, rest []byte, err error)
}

// A codec goes through what an engine remembers and writes it or reads it: one description of each type serves both, so
// that they cannot differ. Once something makes no sense it reads zeros, and bad is set.
type codec struct {
	b      []byte // what was written, or what is still to be read
	read   bool
	bad    bool
	events Coder
}

func (c *codec) fail() { c.bad, c.b = true, nil }

// take returns the next n bytes, or nil.
func (c *codec) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.fail()
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

// number goes through a whole number, small ones in few bytes.
func number[T ~int | ~int32 | ~int64 | ~uint8 | ~uint32 | ~uint64](c *codec, v *T) {
	if !c.read {
		c.b = binary.AppendVarint(c.b, int64(*v))
		return
	}
	n, size := binary.Varint(c.b)
	if *v = T(n); size <= 0 || int64(*v) != n {
		*v = 0
		c.fail()
		return
	}
	c.b = c.b[size:]
}

// hash goes through a number all of whose bits count.
func (c *codec) hash(v *uint64) {
	if !c.read {
		c.b = binary.LittleEndian.AppendUint64(c.b, *v)
	} else if b := c.take(8); b != nil {
		*v = binary.LittleEndian.Uint64(b)
	}
}

func (c *codec) float(v *float64) {
	bits := math.Float64bits(*v)
	c.hash(&bits)
	*v = math.Float64frombits(bits)
}

func (c *codec) bool(v *bool) {
	n := 0
	if *v {
		n = 1
	}
	number(c, &n)
	*v = n == 1
}

func (c *codec) text(v *string) {
	n := len(*v)
	if number(c, &n); c.read {
		*v = string(c.take(n))
	} else {
		c.b = append(c.b, *v...)
	}
}

func (c *codec) addr(v *netip.Addr) {
	b, _ := v.MarshalBinary() // never fails
	text := string(b)
	if c.text(&text); c.read && v.UnmarshalBinary([]byte(text)) != nil {
		c.fail()
	}
}

// json goes through a value that has a JSON form.
func (c *codec) json(v any) {
	var text string
	if !c.read {
		b, _ := json.Marshal(v) // alerts and plain fields have a form
		text = string(b)
	}
	if c.text(&text); c.read && json.Unmarshal([]byte(text), v) != nil {
		c.fail()
	}
}

// slice goes through a slice of at most most elements.
func slice[T any](c *codec, v *[]T, most int, one func(*T)) {
	n := len(*v)
	if number(c, &n); c.read {
		if n < 0 || n > most || n > len(c.b) {
			c.fail()
			return
		}
		*v = make([]T, n)
		if n == 0 {
			*v = nil
		}
	}
	for i := range *v {
		one(&(*v)[i])
	}
}

// table goes through a map of at most most entries.
func table[K comparable, V any](c *codec, m *map[K]V, most int, one func(*K, *V)) {
	n := len(*m)
	number(c, &n)
	if !c.read {
		for k, v := range *m {
			one(&k, &v)
		}
		return
	}
	if n < 0 || n > most || n > len(c.b) {
		c.fail()
		return
	}
	if *m == nil {
		*m = make(map[K]V, n)
	}
	for range n {
		var k K
		var v V
		if one(&k, &v); c.bad {
			return
		}
		(*m)[k] = v
	}
}

// maxPart bounds what is written of one rule: where its table takes more, the keys that were longest unused are left out.
const maxPart = 8 << 20

// recent goes through the cells of a memory, the one used last first, with the number of each. Reading, one finds an empty cell, and
// says whether its key is the memory's from then on.
func recent[K comparable, C any](c *codec, m *memory[K, C], most int, one func(i int32, key *K, x *C) bool) {
	if c.read {
		for n := int32(0); ; n++ {
			more := false
			if c.bool(&more); !more || c.bad {
				break
			}
			if int(n) >= most {
				c.fail()
				break
			}
			var key K
			var x C
			m.keys, m.cells = append(m.keys, key), append(m.cells, x)
			m.used.push(n)
			if one(n, &m.keys[n], &m.cells[n]) {
				m.index[m.keys[n]] = n
			}
		}
		for i := len(m.used.links) - 2; i >= 0; i-- {
			m.used.touch(int32(i))
		}
		return
	}
	start, more := len(c.b), true
	for e := m.used.links[0].prev; e != 0 && len(c.b)-start < maxPart; e = m.used.links[e].prev {
		c.bool(&more)
		one(e-1, &m.keys[e-1], &m.cells[e-1])
	}
	more = false
	c.bool(&more)
}
