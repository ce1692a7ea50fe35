package evidence

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/roje-ot/roje/rules/batch/headers"
	"github.com/roje-ot/roje/sensor/capture"
)

// A Frame is one frame of a ring, in memory of its own.
type Frame struct {
	At   int64  // Unix nanoseconds
	Num  uint64 // order in which the ring took it
	Link uint16
	Orig int // length on the wire
	Data []byte
}

// Config bounds a Ring. The zero value works.
type Config struct {
	Bytes int           // of frames of pairs that have not commanded; 0 means 24 MiB
	Hot   int           // of frames of pairs that have; 0 means 40 MiB
	Keep  time.Duration // how long a pair counts as commanding after its last command; 0 means an hour
}

const (
	header  = 24      // bytes before each frame in a tier: what is written costs more than all else (2026-11-22)
	wide    = 8       // further bytes, of a frame that was cut or is long
	ways    = 4       // pairs that share a place in the table
	places  = 1 << 14 // of the table
	carried = 128     // frames that a pair takes along when it first commands
)

// A Ring is the most recent frames, by pair of hosts. It belongs to one goroutine; Add allocates nothing.
type Ring struct {
	tiers [2]tier
	table []pair
	keep  int64
	now   int64
	count uint64
}

// A pair is the state of one pair of hosts.
type pair struct {
	key  uint64
	last [2]uint64 // 1 + place of its newest frame, by tier; 0 for none
	hot  int64     // packet time until which it counts as commanding
	seen int64
}

// A tier is a circular log of frames. Places count up for ever; those more than len(buf) behind head are overwritten.
type tier struct {
	buf  []byte
	head uint64
	at   int // head modulo len(buf)
}

// NewRing makes an empty ring.
func NewRing(c Config) *Ring {
	if c.Bytes == 0 {
		c.Bytes = 24 << 20
	}
	if c.Hot == 0 {
		c.Hot = 40 << 20
	}
	if c.Keep == 0 {
		c.Keep = time.Hour
	}
	r := &Ring{table: make([]pair, places*ways), keep: int64(c.Keep)}
	r.tiers[0].buf, r.tiers[1].buf = make([]byte, c.Bytes), make([]byte, c.Hot)
	return r
}

// keyOf names the pair of hosts of a frame, whichever of the two sent it.
func keyOf(p *capture.Packet) uint64 {
	if b := p.Data; p.Link == headers.Ethernet && len(b) >= 38 { // what nearly all frames are, without the rest of parse
		at := 12
		kind := binary.BigEndian.Uint16(b[at:])
		if kind == headers.VLAN {
			at += 4
			kind = binary.BigEndian.Uint16(b[at:])
		}
		if kind == headers.IPv4 {
			return join(uint64(binary.BigEndian.Uint32(b[at+14:])), uint64(binary.BigEndian.Uint32(b[at+18:])))
		}
	}
	l := headers.Parse(uint16(p.Link), p.Data)
	src, dst := l.Ends(p.Data)
	if l.Kind == headers.IPv4 || l.Kind == headers.ARP {
		return join(uint64(binary.BigEndian.Uint32(src)), uint64(binary.BigEndian.Uint32(dst)))
	}
	return join(hash(src), hash(dst))
}

// keyOfHosts is keyOf of the frames between two addresses.
func keyOfHosts(a, b netip.Addr) uint64 {
	if a.Is4() && b.Is4() {
		x, y := a.As4(), b.As4()
		return join(uint64(binary.BigEndian.Uint32(x[:])), uint64(binary.BigEndian.Uint32(y[:])))
	}
	return join(hash(a.AsSlice()), hash(b.AsSlice()))
}

// holds says whether a pair is known, without making room for it.
func (r *Ring) holds(key uint64) bool {
	return slices.ContainsFunc(r.table[key>>32%places*ways:][:ways], func(e pair) bool { return e.key == key })
}

// join makes one key of two hosts, in whichever order.
func join(a, b uint64) uint64 {
	if a > b {
		a, b = b, a
	}
	h := (a ^ b<<32 ^ b>>32) * 0x9e3779b97f4a7c15
	h ^= h >> 29
	return (h*0xbf58476d1ce4e5b9 ^ h>>31) | 1
}

// hash is FNV-1a, spread.
func hash(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h ^= h >> 32
	return h * 0xff51afd7ed558ccd
}

// Add keeps a frame and returns the key of its pair.
func (r *Ring) Add(p *capture.Packet) uint64 {
	r.now = p.At
	key := keyOf(p)
	e := r.entry(key)
	t := 0
	if e.hot >= p.At {
		t = 1
	}
	r.count++
	e.last[t] = r.tiers[t].put(e.last[t], r.count, p)
	return key
}

// entry finds the pair of key, or makes room for it: the one that was silent longest goes, commanding ones last.
func (r *Ring) entry(key uint64) *pair {
	set := r.table[key>>32%places*ways:][:ways]
	oldest := &set[0]
	for i := range set {
		e := &set[i]
		if e.key == key {
			e.seen = r.now
			return e
		}
		if hot, old := e.hot >= r.now, oldest.hot >= r.now; hot == old && e.seen < oldest.seen || !hot && old {
			oldest = e
		}
	}
	*oldest = pair{key: key, seen: r.now}
	return oldest
}

// isWide stands for the length of a frame whose lengths follow.
const isWide = 0xffff

// put appends a frame and returns 1 + its place; frames too long for the tier are left out. Before its bytes are the time,
// its number in 48 bits and its length in 16, the way back to the frame before it in 32 bits (0 for none, or too far to
// be there still), the tag that the kernel took out and the link.
func (t *tier) put(previous, num uint64, p *capture.Packet) uint64 {
	length, head := uint64(len(p.Data)), header
	if len(p.Data) >= isWide || p.OrigLen != len(p.Data) {
		length, head = isWide, header+wide
	}
	n := head + len(p.Data)
	if n > len(t.buf)/4 {
		return previous
	}
	if rest := len(t.buf) - t.at; n > rest {
		t.head, t.at = t.head+uint64(rest), 0
	}
	place := t.head
	b := t.buf[t.at : t.at+n]
	back := place + 1 - previous
	if previous == 0 || back > math.MaxUint32 {
		back = 0
	}
	vlan := uint64(noVLAN)
	if p.HasVLAN {
		vlan = uint64(p.VLAN)
	}
	le := binary.LittleEndian
	le.PutUint64(b, uint64(p.At))
	le.PutUint64(b[8:], num<<16|length)
	le.PutUint64(b[16:], back<<32|vlan<<16|uint64(p.Link))
	if length == isWide {
		le.PutUint32(b[header:], uint32(len(p.Data)))
		le.PutUint32(b[header+4:], uint32(p.OrigLen))
	}
	copy(b[head:], p.Data)
	t.head, t.at = t.head+uint64(n), t.at+n
	return place + 1
}

// noVLAN is no tag's identifier: those have 12 bits.
const noVLAN = 0xffff

// Mark says that a pair has commanded: from now on its frames are kept in the tier that a flood does not reach, and the
// newest before go along.
func (r *Ring) Mark(key uint64) {
	e := r.entry(key)
	was := e.hot >= r.now
	e.hot = r.now + r.keep
	if was {
		return
	}
	frames := r.tiers[0].walk(nil, e.last[0], carried)
	e.last[0] = 0
	for i := len(frames) - 1; i >= 0; i-- {
		f := &frames[i]
		e.last[1] = r.tiers[1].put(e.last[1], f.Num, &capture.Packet{At: f.At, Link: capture.LinkType(f.Link), Data: f.Data, OrigLen: f.Orig})
	}
}

// Frames returns the newest frames of a pair, oldest first, at most most.
func (r *Ring) Frames(key uint64, most int) []Frame {
	e := r.entry(key)
	out := r.tiers[1].walk(nil, e.last[1], most)
	if len(out) < most {
		out = r.tiers[0].walk(out, e.last[0], most-len(out))
	}
	sortFrames(out)
	return out
}

// walk appends copies of up to most frames, the newest first, as far back as they are not overwritten.
func (t *tier) walk(out []Frame, last uint64, most int) []Frame {
	size := uint64(len(t.buf))
	le := binary.LittleEndian
	for ; last > 0 && most > 0; most-- {
		place := last - 1
		if place+size < t.head {
			break
		}
		b := t.buf[place%size:]
		f := Frame{At: int64(le.Uint64(b)), Num: le.Uint64(b[8:]) >> 16, Link: le.Uint16(b[16:])}
		vlan, back := le.Uint16(b[18:]), le.Uint32(b[20:])
		n := int(le.Uint16(b[8:]))
		b, f.Orig = b[header:], n
		if n == isWide {
			n, f.Orig = int(le.Uint32(b)), int(le.Uint32(b[4:]))
			b = b[wide:]
		}
		data := b[:n]
		if vlan != noVLAN && f.Link == headers.Ethernet && n >= 12 { // the tag that the kernel took out
			f.Data = append(append(f.Data, data[:12]...), headers.VLAN>>8, headers.VLAN&0xff, byte(vlan>>8), byte(vlan))
			data = data[12:]
			f.Orig += 4
		}
		f.Data = append(f.Data, data...)
		out = append(out, f)
		if back == 0 {
			break
		}
		last -= uint64(back)
	}
	return out
}
