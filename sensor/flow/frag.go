package flow

import (
	"bytes"

	"github.com/roje-ot/roje/protocols"
)

// Bounds of reassembly. A datagram is dropped when it is older than fragmentLife of packet time, the oldest one when
// there are too many or they hold too much.
const (
	maxDatagrams     = 1024
	maxFragmentBytes = 8 << 20
	maxPieces        = 256 // ranges of one datagram that do not touch
	fragmentLife     = int64(30e9)
	maxDatagram      = 65535
)

type fragmentKey struct {
	src, dst [16]byte
	id       uint32
	vni      uint32
	proto    uint8 // IPv4 only: in IPv6 only the first fragment says the truth
	v6       bool
}

// A datagram is an IP datagram of which some fragments are here.
type datagram struct {
	key        fragmentKey
	at         int64 // of its first fragment
	buf        []byte
	pieces     []piece // what is here, sorted, no two touch
	total      int     // its length, if ended
	ended      bool
	proto      uint8
	faults     protocols.Faults
	prev, next *datagram
}

type piece struct{ from, to int }

// fragments holds the datagrams of a Table that wait for fragments.
type fragments struct {
	waiting map[fragmentKey]*datagram
	first   *datagram // oldest
	last    *datagram
	held    int
	done    []*datagram // complete ones, lent to the packet that completed them
	spare   []*datagram
}

func (f *fragments) init() { f.waiting = map[fragmentKey]*datagram{} }

// fragment takes one fragment, whose payload starts at offset off of the datagram, and goes on with the transport
// layer when it was the last one missing.
func (t *Table) fragment(v *view, id uint32, off int, more bool, b []byte) Bucket {
	switch {
	case v.missing > 0:
		return Cut
	case more && len(b)%8 != 0, len(b) == 0, off+len(b) > maxDatagram:
		return Malformed
	}
	f := &t.frags
	f.expire(v.info.At)
	k := fragmentKey{src: v.src, dst: v.dst, id: id, vni: v.vni, proto: v.proto, v6: v.v6}
	if v.v6 {
		k.proto = 0
	}
	d := f.waiting[k]
	if d == nil {
		d = f.make(k, v.info.At)
	}
	if off == 0 {
		d.proto = v.proto
	}
	if !d.take(off, more, b, f) {
		f.drop(d)
		return Malformed
	}
	f.fit(d)
	if !d.ended || len(d.pieces) != 1 || d.pieces[0] != (piece{0, d.total}) {
		return Fragment
	}
	f.unlink(d)
	f.done = append(f.done, d)
	v.info.Faults |= d.faults
	v.reassembly = true
	if v.v6 {
		return t.extensions(v, d.proto, d.buf[:d.total])
	}
	return t.transport(v, d.proto, d.buf[:d.total])
}

// take copies b to its place. Bytes that are there already stay, and are a fault where they differ. It returns false
// if the datagram makes no sense.
func (d *datagram) take(off int, more bool, b []byte, f *fragments) bool {
	end := off + len(b)
	if !more {
		if d.ended && d.total != end {
			d.faults |= protocols.Overlap
			return false
		}
		d.total, d.ended = end, true
	}
	if d.ended && (end > d.total || len(d.pieces) > 0 && d.pieces[len(d.pieces)-1].to > d.total) {
		return false
	}
	if grow := end - len(d.buf); grow > 0 {
		d.buf = append(d.buf, make([]byte, grow)...)
		f.held += grow
	}
	at := off
	for _, p := range d.pieces {
		if p.to <= at || p.from >= end {
			continue
		}
		if p.from > at {
			copy(d.buf[at:p.from], b[at-off:])
		}
		from, to := max(p.from, at), min(p.to, end)
		if !bytes.Equal(d.buf[from:to], b[from-off:to-off]) {
			d.faults |= protocols.Overlap
		}
		at = max(at, p.to)
	}
	if at < end {
		copy(d.buf[at:end], b[at-off:])
	}
	return d.merge(piece{off, end})
}

// merge adds p to the pieces and joins those that touch.
func (d *datagram) merge(p piece) bool {
	i := 0
	for i < len(d.pieces) && d.pieces[i].to < p.from {
		i++
	}
	j := i
	for j < len(d.pieces) && d.pieces[j].from <= p.to {
		p.from, p.to = min(p.from, d.pieces[j].from), max(p.to, d.pieces[j].to)
		j++
	}
	if j > i {
		d.pieces[i] = p
		d.pieces = append(d.pieces[:i+1], d.pieces[j:]...)
		return true
	}
	if len(d.pieces) == maxPieces {
		return false
	}
	d.pieces = append(d.pieces, piece{})
	copy(d.pieces[i+1:], d.pieces[i:])
	d.pieces[i] = p
	return true
}

func (f *fragments) make(k fragmentKey, at int64) *datagram {
	for len(f.waiting) >= maxDatagrams {
		f.drop(f.first)
	}
	var d *datagram
	if n := len(f.spare); n > 0 {
		d, f.spare = f.spare[n-1], f.spare[:n-1]
		*d = datagram{buf: d.buf[:0], pieces: d.pieces[:0]}
	} else {
		d = &datagram{}
	}
	d.key, d.at, d.proto, d.prev = k, at, k.proto, f.last
	if f.last != nil {
		f.last.next = d
	} else {
		f.first = d
	}
	f.last = d
	f.waiting[k] = d
	return d
}

// fit drops the oldest datagrams, but not d, until the others hold no more than they may.
func (f *fragments) fit(d *datagram) {
	for f.held > maxFragmentBytes {
		oldest := f.first
		if oldest == d {
			oldest = d.next
		}
		if oldest == nil {
			return
		}
		f.drop(oldest)
	}
}

// expire drops what has waited too long.
func (f *fragments) expire(now int64) {
	for f.first != nil && now-f.first.at > fragmentLife {
		f.drop(f.first)
	}
}

func (f *fragments) drop(d *datagram) {
	f.unlink(d)
	f.reuse(d)
}

func (f *fragments) unlink(d *datagram) {
	delete(f.waiting, d.key)
	f.held -= len(d.buf)
	if d.prev != nil {
		d.prev.next = d.next
	} else {
		f.first = d.next
	}
	if d.next != nil {
		d.next.prev = d.prev
	} else {
		f.last = d.prev
	}
	d.prev, d.next = nil, nil
}

// reuse keeps a few datagrams with their room, so that a link with fragments allocates nothing.
func (f *fragments) reuse(d *datagram) {
	if len(f.spare) < 16 {
		f.spare = append(f.spare, d)
	}
}

// release takes back the datagrams that the last packet has completed.
func (f *fragments) release() {
	for _, d := range f.done {
		f.reuse(d)
	}
	f.done = f.done[:0]
}

func (f *fragments) clear() {
	for f.first != nil {
		f.drop(f.first)
	}
}
