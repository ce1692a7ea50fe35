package sensor

import (
	"fmt"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
)

// A trace is all messages of a load, and the packets that brought the bytes of each.
type trace struct {
	flow.Ignore
	now      int // index of the packet that is being read
	last     *sent
	messages []*sent
	streams  []*stream
}

// sent is a message, as one end sent it.
type sent struct {
	key    string
	stream *stream // nil where packets are not traced
	from   int     // the first and the last of the stream's arrivals that brought its bytes
	to     int
}

// stream is one direction of a connection.
type stream struct {
	arrivals []arrival
	consumed int // bytes that frames took or that were skipped
	open     int // where the message that is being read begins
}

type arrival struct{ packet, end int } // end is how many bytes have arrived with it

func (s *stream) arrived() int {
	if len(s.arrivals) == 0 {
		return 0
	}
	return s.arrivals[len(s.arrivals)-1].end
}

// A tracer stands before a decoder and notes which packets bring its bytes.
type tracer struct {
	protocols.Decoder
	trace *trace
	dirs  [2]*stream
}

// traced returns the catalog with a tracer before each decoder.
func (t *trace) traced() []*protocols.Protocol {
	var out []*protocols.Protocol
	for _, p := range catalog.All {
		q := *p
		q.New = func(h protocols.Hint) protocols.Decoder {
			d := &tracer{Decoder: p.New(h), trace: t}
			for i := range d.dirs {
				d.dirs[i] = &stream{}
				t.streams = append(t.streams, d.dirs[i])
			}
			return d
		}
		out = append(out, &q)
	}
	return out
}

// Split implements protocols.Decoder.
func (d *tracer) Split(dir protocols.Dir, b []byte, last bool) (skip, n int) {
	s := d.dirs[dir]
	if all := s.consumed + len(b); all > s.arrived() {
		s.arrivals = append(s.arrivals, arrival{packet: d.trace.now, end: all})
	}
	skip, n = d.Decoder.Split(dir, b, last)
	if skip > 0 {
		s.consumed += skip
		s.open = s.consumed
	}
	return skip, n
}

// Decode implements protocols.Decoder.
func (d *tracer) Decode(f protocols.Frame, m *protocols.Message) bool {
	s := d.dirs[f.Dir]
	s.consumed += len(f.Bytes)
	ok := d.Decoder.Decode(f, m)
	if !ok {
		return false
	}
	from, to := len(s.arrivals)-1, len(s.arrivals)-1
	for from > 0 && s.arrivals[from-1].end > s.open {
		from--
	}
	for to > from && s.arrivals[to-1].end >= s.consumed {
		to--
	}
	s.open = s.consumed
	d.trace.last = &sent{stream: s, from: from, to: to}
	return true
}

// Message implements flow.Handler.
func (t *trace) Message(c *flow.Conn, m *protocols.Message, _ *flow.PacketInfo) {
	one := t.last
	if one == nil {
		one = &sent{}
	}
	t.last = nil
	one.key = fmt.Sprintf("%s %v>%v %x", m.Proto.Name, c.Ends[m.Dir], c.Ends[m.Dir.Other()], m.Raw)
	t.messages = append(t.messages, one)
}

// follow decodes packets and traces which of them brought each message.
func follow(packets []capture.Packet) *trace {
	t := &trace{}
	table := flow.New(flow.Config{Protocols: t.traced()}, t)
	for i := range packets {
		t.now = i
		table.Packet(&packets[i])
	}
	table.Flush()
	return t
}

// decode decodes packets and counts each message by its key.
func decode(packets []capture.Packet) map[string]int {
	t := &trace{}
	table := flow.New(flow.Config{Protocols: catalog.All}, t)
	for i := range packets {
		table.Packet(&packets[i])
	}
	table.Flush()
	out := map[string]int{}
	for _, m := range t.messages {
		out[m.key]++
	}
	return out
}
