package evidence

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/rules/batch/headers"
	"github.com/roje-ot/roje/sensor/capture"
)

// A Frame is one frame of a ring, in memory of its own.
type Frame struct {
	At   int64 // Unix nanoseconds
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
	header  = 16      // bytes before each frame in a tier: what is written costs more than all else (2026-11-22)
	wide    = 12      // further bytes, of a frame that is not as nearly all are
	ways    = 4       // pairs that share a place in the table
	places  = 1 << 14 // of the table
	carried = 128     // frames that a pair takes along when it first commands
)

// A Ring is the most recent frames, by pair of hosts. It belongs to one goroutine; Add allocates nothing.
type Ring struct {
	tiers  [2]tier
	table  []pair
	recent *pair // whose frame came last: an answer follows its request
	keep   int64
	now    int64
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
	r.recent = &r.table[0]
	r.tiers[0].buf, r.tiers[1].buf = room(c.Bytes), room(c.Hot)
	return r
}

// room is memory in pages as large as the kernel has them: with small ones a frame takes about a fifth longer, for its page
// has to be found (2026-11-22).
func room(n int) []byte {
	const large = 2 << 20
	b := make([]byte, n)
	first := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % large
	if last := (uintptr(n) - min(first, uintptr(n))) / large * large; last > 0 {
		_ = unix.Madvise(b[first:first+last], unix.MADV_HUGEPAGE) // a kernel that has none does without
	}
	return b
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
	e := r.recent
	if e.key != key {
		e = r.entry(key)
		r.recent = e
	}
	e.seen = p.At
	t := 0
	if e.hot >= p.At {
		t = 1
	} else {
		e.hot = 0 // for good, so that a frame of an earlier time does not come between
	}
	e.last[t] = r.tiers[t].put(e.last[t], p)
	return key
}

// entry finds the pair of key, or makes room for it: the one that was silent longest goes, commanding ones last.
func (r *Ring) entry(key uint64) *pair {
	set := (*[ways]pair)(r.table[key>>32%places*ways:])
	for i := range set {
		if set[i].key == key {
			set[i].seen = r.now
			return &set[i]
		}
	}
	oldest := &set[0]
	for i := range set {
		e := &set[i]
		if hot, old := e.hot >= r.now, oldest.hot >= r.now; hot == old && e.seen < oldest.seen || !hot && old {
			oldest = e
		}
	}
	*oldest = pair{key: key, seen: r.now}
	return oldest
}

// What the word after the time says of a frame, from its lowest bit: the tag that the kernel took out, whether there was
// one, whether the frame's own words follow, 16 bits of length, and 32 of the way back to the frame before it (0 for none, or
// one that is too far to be there still).
const (
	tagged   = 1 << 12
	unusual  = 1 << 15 // link, tag, length here and on the wire follow: it is cut, long, or of no Ethernet
	lengthAt = 16
	backAt   = 32
)

// put appends a frame and returns 1 + its place; frames too long for the tier are left out.
func (t *tier) put(previous uint64, p *capture.Packet) uint64 {
	head, tag := header, uint64(0)
	if p.HasVLAN {
		tag = tagged | uint64(p.VLAN)
	}
	if p.OrigLen != len(p.Data) || p.Link != headers.Ethernet || len(p.Data) > math.MaxUint16 || tag >= 2*tagged {
		head, tag = header+wide, unusual
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
	t.head, t.at = t.head+uint64(n), t.at+n
	back := place + 1 - previous
	if previous == 0 || back > math.MaxUint32 {
		back = 0
	}
	le := binary.LittleEndian
	le.PutUint64(b, uint64(p.At))
	if tag == unusual {
		vlan := uint16(noVLAN)
		if p.HasVLAN {
			vlan = p.VLAN
		}
		le.PutUint64(b[8:], back<<backAt|unusual)
		le.PutUint32(b[header:], uint32(p.Link)<<16|uint32(vlan))
		le.PutUint32(b[header+4:], uint32(len(p.Data)))
		le.PutUint32(b[header+8:], uint32(p.OrigLen))
		copy(b[header+wide:], p.Data)
		return place + 1
	}
	le.PutUint64(b[8:], back<<backAt|uint64(len(p.Data))<<lengthAt|tag)
	copy(b[header:], p.Data)
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
		e.last[1] = r.tiers[1].put(e.last[1], &capture.Packet{At: f.At, Link: capture.LinkType(f.Link), Data: f.Data, OrigLen: f.Orig})
	}
}

// Frames returns the newest frames of a pair, oldest first, at most most. Those in the tier of pairs that do not command
// came after all that are in the other one: a command takes the newest of them along, and cuts the way to the rest.
func (r *Ring) Frames(key uint64, most int) []Frame {
	e := r.entry(key)
	out := r.tiers[0].walk(nil, e.last[0], most)
	if len(out) < most {
		out = r.tiers[1].walk(out, e.last[1], most-len(out))
	}
	slices.Reverse(out)
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
		word := le.Uint64(b[8:])
		n, vlan, back := int(word>>lengthAt&0xffff), uint16(noVLAN), word>>backAt
		f := Frame{At: int64(le.Uint64(b)), Link: headers.Ethernet, Orig: n}
		b = b[header:]
		switch {
		case word&unusual != 0:
			f.Link, vlan = uint16(le.Uint32(b)>>16), le.Uint16(b)
			n, f.Orig = int(le.Uint32(b[4:])), int(le.Uint32(b[8:]))
			b = b[wide:]
		case word&tagged != 0:
			vlan = uint16(word) & (tagged - 1)
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
		last -= back
	}
	return out
}
