package flow

import "github.com/roje-ot/roje/protocols"

// Touched calls f for each connection that is open and has had a packet since mark, and returns the mark of now. A mark
// of 0 stands for the beginning. It costs as much as there are such connections, however many others are open.
func (t *Table) Touched(mark uint64, f func(*Conn)) uint64 {
	for _, l := range t.lists.all() {
		for c := l.last; c != nil && c.touched > mark; c = c.prev {
			f(c)
		}
	}
	return t.cover.Packets
}

// hear notes that end dir has sent a packet. It is called once the connection is at the young end of its list.
func (t *Table) hear(c *Conn, dir protocols.Dir, at int64) {
	c.Heard[dir], c.touched = at, t.cover.Packets+1
}

// Waiting is how many bytes wait for the rest of their frame. While a connection is open, Seen = Decoded + Skipped +
// Waiting.
func (c *Conn) Waiting() int { return len(c.half[0].tail) + len(c.half[1].tail) }

// Missing says whether the other end of a TCP connection has acknowledged bytes of end dir that were not seen, and that
// no later segment has shown to be lost: either they are about to come, or what dir sends does not reach the capture.
func (c *Conn) Missing(dir protocols.Dir) bool { return c.half[dir].unseen() }

// segmentName tells the segments of one direction apart. A retransmission is no copy: it comes later, or with another IPv4
// identification.
func segmentName(seq uint32, n int) uint64 { return uint64(seq)<<32 | uint64(uint32(n)) }

// Add adds the counts of b; of LastDecoded the later one stays.
func (a *Counters) Add(b *Counters) { a.add(b) }

// Since is what has come on top of b, an earlier state of the same connection. A connection whose protocol is recognised
// late has its first bytes counted anew, so that a member may be less than it was: the difference then is negative, as
// int64.
func (a *Counters) Since(b *Counters) Counters {
	return Counters{
		Packets: a.Packets - b.Packets, Seen: a.Seen - b.Seen, Decoded: a.Decoded - b.Decoded, Skipped: a.Skipped - b.Skipped, Gaps: a.Gaps - b.Gaps,
		GapBytes: a.GapBytes - b.GapBytes, Resyncs: a.Resyncs - b.Resyncs, Messages: a.Messages - b.Messages, Unpaired: a.Unpaired - b.Unpaired,
		LastDecoded: a.LastDecoded, Repeated: a.Repeated - b.Repeated, Overlaps: a.Overlaps - b.Overlaps, Copies: a.Copies - b.Copies,
	}
}
