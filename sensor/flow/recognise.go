package flow

import (
	"slices"

	"github.com/roje-ot/roje/protocols"
)

// A probe keeps the first bytes of a connection, in the order in which they came, until its protocol is known.
type probe struct {
	bytes   [2][]byte
	chunks  []chunk
	refused int // how often all protocols have said no
}

// chunk is what one packet brought.
type chunk struct {
	dir  protocols.Dir
	from int // in bytes
	to   int
	info PacketInfo
}

// A connection is given up as of no protocol after so many packets, if they brought more than a few bytes, or after so
// many that all protocols refused.
const (
	maxChunks  = 16
	fewBytes   = 128 // no more than two short requests and their responses
	mostChunks = fewBytes + 1
	maxRefused = 4
)

// consider keeps b and asks the protocols. If none takes it, the connection is only counted.
func (t *Table) consider(c *Conn, dir protocols.Dir, b []byte, p *PacketInfo) {
	if !t.log(c, dir, b, p) {
		t.giveUpProbe(c)
		return
	}
	t.recognise(c, dir, false)
	if pr := c.probe; c.state == probing && (pr.full() || pr.refused == maxRefused) {
		t.giveUpProbe(c)
	}
}

// full says whether enough was kept to tell that no protocol is recognised.
func (pr *probe) full() bool {
	return len(pr.chunks) >= mostChunks || len(pr.chunks) >= maxChunks && len(pr.bytes[0])+len(pr.bytes[1]) > fewBytes
}

// reconsider asks again about a connection that was given up: after 16, 32, 64, ... packets.
func (t *Table) reconsider(c *Conn, dir protocols.Dir, b []byte, p *PacketInfo) {
	if c.tries++; c.tries < 16 || c.tries&(c.tries-1) != 0 {
		return
	}
	c.state = probing
	t.consider(c, dir, b, p)
}

func (t *Table) giveUpProbe(c *Conn) {
	t.forget(c)
	c.state = other
}

// doubt looks for another protocol when the registered one has made no frame of all bytes so far.
func (t *Table) doubt(c *Conn, dir protocols.Dir, b []byte, p *PacketInfo) {
	const doubted = 1
	if c.tries >= doubted && c.probe == nil || c.Count.Gaps > 0 || c.Proto.Probe == nil {
		return
	}
	c.tries = doubted
	if !t.log(c, dir, b, p) || len(c.probe.chunks) == maxChunks {
		t.forget(c)
		return
	}
	if c.Count.Skipped > 0 && c.Proto.Probe(c.probe.bytes[dir], false) == protocols.No {
		t.recognise(c, dir, false)
	}
}

// log keeps b, and returns false if that is too much.
func (t *Table) log(c *Conn, dir protocols.Dir, b []byte, p *PacketInfo) bool {
	pr := c.probe
	if pr == nil {
		pr = t.newProbe()
		c.probe = pr
		t.hold(c, pr.room())
	}
	room := pr.room()
	have := pr.bytes[dir]
	if len(have) > 0 && len(have)+len(b) > maxProbe {
		return false
	}
	pr.bytes[dir] = append(have, b...)
	pr.chunks = append(pr.chunks, chunk{dir: dir, from: len(have), to: len(have) + len(b), info: *p})
	t.hold(c, pr.room()-room)
	return true
}

// room is the memory that pr occupies.
func (pr *probe) room() int {
	const chunkRoom = 160 // of one chunk, about
	return cap(pr.bytes[0]) + cap(pr.bytes[1]) + chunkRoom*cap(pr.chunks)
}

// recognise asks all protocols about what dir has sent, and gives c to the first that says yes.
func (t *Table) recognise(c *Conn, dir protocols.Dir, last bool) {
	b := c.probe.bytes[dir]
	if len(b) == 0 {
		return
	}
	maybe := false
	for _, p := range t.config.Protocols {
		if p == c.Proto || p.Probe == nil || p.New == nil {
			continue
		}
		switch p.Probe(b, last) {
		case protocols.Yes:
			t.become(c, p)
			return
		case protocols.Maybe:
			maybe = true
		}
	}
	if !maybe && c.state == probing {
		c.probe.refused++
		c.probe.restart(dir)
	}
}

// restart forgets what dir has sent: a chain of frames may begin with its next packet.
func (pr *probe) restart(dir protocols.Dir) {
	pr.bytes[dir] = pr.bytes[dir][:0]
	pr.chunks = slices.DeleteFunc(pr.chunks, func(k chunk) bool { return k.dir == dir })
}

// become makes c a connection of p, which gets the bytes that were kept.
func (t *Table) become(c *Conn, p *protocols.Protocol) {
	pr := c.probe
	kept := uint64(len(pr.bytes[0]) + len(pr.bytes[1]))
	if c.state == probing {
		t.cover.Buckets[Unknown] -= uint64(len(pr.chunks)) - 1 // the last of them is not counted yet
		t.cover.Buckets[Decoded] += uint64(len(pr.chunks)) - 1
	}
	c.Count.Decoded, c.Count.Resyncs = 0, 0
	c.Count.Skipped = c.Count.Seen - kept
	for i := range c.half {
		h := &c.half[i]
		h.tail, h.run = h.tail[:0], 0
	}
	t.adopt(c, p, c.half[0].hasISN && c.half[1].hasISN)
	c.probe = nil
	for i := range pr.chunks {
		k := &pr.chunks[i]
		t.feed(c, k.dir, pr.bytes[k.dir][k.from:k.to], &k.info)
	}
	c.probe = pr
	t.forget(c)
}

func (t *Table) newProbe() *probe {
	if n := len(t.probes); n > 0 {
		pr := t.probes[n-1]
		t.probes = t.probes[:n-1]
		return pr
	}
	return &probe{}
}

// forget drops what was kept of c to recognise it.
func (t *Table) forget(c *Conn) {
	pr := c.probe
	if pr == nil {
		return
	}
	c.probe = nil
	t.hold(c, -pr.room())
	if len(t.probes) == 64 || cap(pr.bytes[0])+cap(pr.bytes[1]) > 4*maxProbe {
		return
	}
	*pr = probe{bytes: [2][]byte{pr.bytes[0][:0], pr.bytes[1][:0]}, chunks: pr.chunks[:0]}
	t.probes = append(t.probes, pr)
}
