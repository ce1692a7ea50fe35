package flow

import (
	"bytes"

	"github.com/roje-ot/roje/protocols"
)

const firstRecent = 512

// remember keeps the bytes b, which end at h.next, to compare repetitions with.
func (t *Table) remember(c *Conn, h *half, b []byte) {
	if len(b) > maxRecent {
		b = b[len(b)-maxRecent:]
	}
	if len(h.recent) < maxRecent && int(h.valid)+len(b) > len(h.recent) {
		t.growRecent(c, h, len(b))
	}
	size := uint32(len(h.recent))
	at := (h.next - uint32(len(b))) & (size - 1)
	copied := copy(h.recent[at:], b)
	copy(h.recent, b[copied:])
	h.valid = min(h.valid+uint32(len(b)), size)
}

// growRecent makes room for n bytes more, up to maxRecent, and puts what is there in its new places.
func (t *Table) growRecent(c *Conn, h *half, n int) {
	size := max(len(h.recent), firstRecent)
	for size < maxRecent && size < int(h.valid)+n {
		size *= 2
	}
	if size == len(h.recent) {
		return
	}
	grown := make([]byte, size)
	before := h.next - uint32(n)
	for s := before - h.valid; s != before; s++ {
		grown[s&uint32(size-1)] = h.recent[s&uint32(len(h.recent)-1)]
	}
	t.hold(c, size-len(h.recent))
	h.recent = grown
}

// differ returns the part of b, at seq, that was delivered lately with other content, and that content; nil if there is
// none. The content is valid until the next call.
func (t *Table) differ(h *half, seq uint32, b []byte) (have, got []byte) {
	if h.valid == 0 {
		return nil, nil
	}
	if before := int32(h.next - h.valid - seq); before > 0 {
		if int(before) >= len(b) {
			return nil, nil
		}
		seq, b = seq+uint32(before), b[before:]
	}
	if known := int32(h.next - seq); known <= 0 {
		return nil, nil
	} else if int(known) < len(b) {
		b = b[:known]
	}
	at := seq & uint32(len(h.recent)-1)
	have = h.recent[at:min(int(at)+len(b), len(h.recent))]
	if bytes.Equal(have, b[:len(have)]) && bytes.Equal(h.recent[:len(b)-len(have)], b[len(have):]) {
		return nil, nil
	}
	t.scratch = append(append(t.scratch[:0], have...), h.recent[:len(b)-len(have)]...)
	return t.scratch, b
}

// compare says whether what b repeats is what was delivered, and tells the Handler where not.
func (t *Table) compare(c *Conn, dir protocols.Dir, seq uint32, b []byte, p *PacketInfo) bool {
	have, got := t.differ(&c.half[dir], seq, b)
	if got != nil {
		t.overlap(c, dir, have, got, p)
	}
	return got == nil
}

// overlap tells the Handler of a repetition that differs; have and got have the same length.
func (t *Table) overlap(c *Conn, dir protocols.Dir, have, got []byte, p *PacketInfo) {
	i := 0
	for i < len(have) && have[i] == got[i] {
		i++
	}
	c.Count.Overlaps++
	t.handler.Overlap(c, dir, have[i:], got[i:], p)
}
