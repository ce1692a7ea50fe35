package coverage

import "github.com/roje-ot/roje/sensor/flow"

// reason is the member that counts why bytes of a connection with this name were skipped.
func reason(s *Sums, name string) *int64 {
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
	*reason(&s, t.name) -= int64(t.last.Skipped) // its name may be another by now
	*reason(&s, name) += int64(c.Count.Skipped)
	t.last, t.waiting, t.name = c.Count, waiting, name
	return s
}
