package simnet

import "time"

// A Span is a second tap of the way to a host, beside the host; the network's own is at the other end of it. What is in
// between may change the data that goes through.
type Span struct {
	Beyond *Host
	Tap    Tap                                   // takes what goes to Beyond and comes from it
	Change func(toward bool, data []byte) []byte // what data on its way toward Beyond, or from it, becomes, as long as it was; nil: it stays
}

// Watch adds a span.
func (n *Net) Watch(s *Span) { n.spans = append(n.spans, s) }

// span is the one that a packet between two hosts goes through, nil for none.
func (n *Net) span(a, b *Host) *Span {
	for _, s := range n.spans {
		if s.Beyond == a || s.Beyond == b {
			return s
		}
	}
	return nil
}

// pass says what data from a host becomes on its way.
func (s *Span) pass(from *Host, data []byte) []byte {
	if s == nil || s.Change == nil || len(data) == 0 {
		return data
	}
	return s.Change(from != s.Beyond, append([]byte(nil), data...))
}

// record shows a packet, as it was sent and as it arrives, to the network's tap, where it comes by at t, and to that of s.
func (s *Span) record(n *Net, from *Host, t time.Time, sent, arriving []byte) {
	if s == nil {
		n.record(t, sent)
		return
	}
	near, far, there := sent, arriving, t.Add(s.Beyond.delay()/2)
	if from == s.Beyond {
		near, far, there = arriving, sent, t.Add(-s.Beyond.delay()/2)
	}
	n.record(t, near)
	n.at(there, func() { s.Tap(n.now, far) })
}
