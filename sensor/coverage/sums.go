package coverage

import "github.com/roje-ot/roje/sensor/flow"

// Sums add up the counts of connections. Over a stretch of time a member can be negative: the first bytes of a
// connection whose protocol is recognised late are counted anew.
type Sums struct {
	Packets  int64 `json:"packets"`
	Seen     int64 `json:"bytes_seen"`
	Decoded  int64 `json:"bytes_decoded"`
	Skipped  int64 `json:"bytes_skipped"`        // = Unframed + TLS + Other
	Waiting  int64 `json:"bytes_waiting"`        // for the rest of their frame, at the end less at the beginning
	Unframed int64 `json:"bytes_unframed"`       // in no frame of a protocol that is decoded
	TLS      int64 `json:"bytes_tls"`            // encrypted
	Other    int64 `json:"bytes_other_protocol"` // of no protocol that is decoded
	Gaps     int64 `json:"gaps"`                 // runs of bytes that were not captured
	GapBytes int64 `json:"gap_bytes"`            //
	Resyncs  int64 `json:"resyncs"`              // runs of skipped bytes
	Messages int64 `json:"messages"`             //
	Unpaired int64 `json:"unpaired"`             // answers whose request was not seen
	Repeated int64 `json:"repeated"`             // packets that brought nothing new
	Copies   int64 `json:"copies"`               // of those: copies as a second mirror gives
	Overlaps int64 `json:"overlaps"`             // packets that repeated bytes with other content
}

// Exact says whether the bytes add up.
func (s *Sums) Exact() bool {
	return s.Seen == s.Decoded+s.Skipped+s.Waiting && s.Skipped == s.Unframed+s.TLS+s.Other
}

// Add adds the sums of b.
func (s *Sums) Add(b *Sums) {
	s.Packets += b.Packets
	s.Seen += b.Seen
	s.Decoded += b.Decoded
	s.Skipped += b.Skipped
	s.Waiting += b.Waiting
	s.Unframed += b.Unframed
	s.TLS += b.TLS
	s.Other += b.Other
	s.Gaps += b.Gaps
	s.GapBytes += b.GapBytes
	s.Resyncs += b.Resyncs
	s.Messages += b.Messages
	s.Unpaired += b.Unpaired
	s.Repeated += b.Repeated
	s.Copies += b.Copies
	s.Overlaps += b.Overlaps
}

// reason is the member that counts why bytes of a connection with this name were skipped.
func (s *Sums) reason(name string) *int64 {
	switch name {
	case "tls":
		return &s.TLS
	case "other":
		return &s.Other
	}
	return &s.Unframed
}

// A trace is what was last taken of a connection. It is the connection's User.
type trace struct {
	link    *Link // nil while it is worth none
	last    flow.Counters
	waiting int64
	name    string
}

// since is what c has counted since the last time, and notes it.
func (t *trace) since(c *flow.Conn) (s Sums) {
	d, waiting, name := c.Count.Since(&t.last), int64(c.Waiting()), c.Name()
	s = Sums{
		Packets: int64(d.Packets), Seen: int64(d.Seen), Decoded: int64(d.Decoded), Skipped: int64(d.Skipped), Waiting: waiting - t.waiting,
		Gaps: int64(d.Gaps), GapBytes: int64(d.GapBytes), Resyncs: int64(d.Resyncs), Messages: int64(d.Messages), Unpaired: int64(d.Unpaired),
		Repeated: int64(d.Repeated), Copies: int64(d.Copies), Overlaps: int64(d.Overlaps),
	}
	*s.reason(t.name) -= int64(t.last.Skipped) // its name may be another by now
	*s.reason(name) += int64(c.Count.Skipped)
	t.last, t.waiting, t.name = c.Count, waiting, name
	return s
}
