package evidence

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch/headers"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
)

// mostSaid is how many messages the comment of one frame names.
const mostSaid = 8

// A reader decodes the frames of one file, to say what is in them and to find what must not be.
type reader struct {
	flow.Ignore
	frames []Frame
	labels rules.Labels // what points are called; may be nil
	said   map[int]string
	count  map[int]int
	until  map[way]uint32 // end of the last message, by direction
	hide   []secret
}

// A way is one direction of one connection.
type way struct {
	conn uint64
	dir  protocols.Dir
}

// A secret is a stretch of a direction's bytes in which a user name or a password goes by.
type secret struct {
	link     uint16
	src, dst string // addresses and ports
	from, to uint32 // sequence numbers; both 0 for a datagram
	frame    int
	whole    bool // from is not known: all before to
}

// read decodes frames. It gives them numbers of its own.
func read(frames []Frame, labels rules.Labels) *reader {
	r := &reader{frames: frames, labels: labels, said: map[int]string{}, count: map[int]int{}, until: map[way]uint32{}}
	table := flow.New(flow.Config{Protocols: catalog.All, MaxConns: 1024, MaxStrays: 1024, MaxBytes: 8 << 20}, r)
	for i := range frames {
		f := &frames[i]
		table.Packet(&capture.Packet{At: f.At, Frame: uint64(i + 1), Link: capture.LinkType(f.Link), Data: f.Data, OrigLen: f.Orig})
	}
	table.Flush()
	return r
}

// Message implements flow.Handler.
func (r *reader) Message(c *flow.Conn, m *protocols.Message, p *flow.PacketInfo) {
	i := int(p.Frame) - 1
	if i < 0 || i >= len(r.frames) {
		return
	}
	if r.count[i]++; r.count[i] <= mostSaid {
		if r.said[i] != "" {
			r.said[i] += "; "
		}
		r.said[i] += say(m, c.Ends[server(m)], r.labels)
	}
	f := &r.frames[i]
	l := headers.Parse(f.Link, f.Data)
	end := uint32(0)
	if l.Proto == headers.TCP && l.Payload > 0 {
		end = p.Seq + uint32(l.End-l.Payload)
	}
	from, known := r.until[way{c.ID, p.Dir}]
	if credentials(m) {
		s := secret{link: f.Link, frame: i, from: from, to: end, whole: !known}
		s.src, s.dst = sockets(&l, f.Data)
		r.hide = append(r.hide, s)
	}
	r.until[way{c.ID, p.Dir}] = end
}

// credentials says whether a user name or a password goes by in m.
func credentials(m *protocols.Message) bool {
	for i := range m.Proto.Field {
		if f := &m.Proto.Field[i]; f.Name == "credentials" {
			v, ok := f.Bool(m)
			return v && ok
		}
	}
	return false
}

// server is the end that acts as the server in m.
func server(m *protocols.Message) protocols.Dir {
	if m.From == protocols.Client {
		return m.Dir.Other()
	}
	return m.Dir
}

// say puts m, which at sent or was sent, into words. No word of it is a network address.
func say(m *protocols.Message, at netip.AddrPort, labels rules.Labels) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", m.Proto.Name, m.Name)
	if m.HasStation {
		fmt.Fprintf(&b, ", station %d", m.Station)
	}
	for i := range m.Points[:min(len(m.Points), 4)] {
		p := &m.Points[i]
		fmt.Fprintf(&b, ", %v %d", p.Kind, p.Addr)
		if p.N > 1 {
			fmt.Fprintf(&b, " to %d", uint64(p.Addr)+uint64(p.N)-1)
		}
		if labels != nil {
			if l := labels.Label(at, m, p); l != nil {
				fmt.Fprintf(&b, " (%s)", l.Text)
			}
		}
		if p.Has&protocols.HasValue != 0 {
			fmt.Fprintf(&b, " = %v", p.Value)
		}
	}
	if n := len(m.Points) - 4; n > 0 {
		fmt.Fprintf(&b, " and %d more", n)
	}
	if m.Status != 0 {
		fmt.Fprintf(&b, ": %s", m.AppendStatus(nil))
	}
	if m.Faults != 0 {
		fmt.Fprintf(&b, " (fault: %v)", m.Faults)
	}
	return b.String()
}

// sockets are the addresses and ports of the sender and the receiver.
func sockets(l *headers.Layout, b []byte) (src, dst string) {
	s, d := l.Ends(b)
	if l.Payload == 0 {
		return string(s), string(d)
	}
	t := b[l.Transport:]
	return string(s) + string(t[:2]), string(d) + string(t[2:4])
}
