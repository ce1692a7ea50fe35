package sensor

import (
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/flow"
)

// A Pipeline takes what flow finds, sets it in context and hands it on, in this order: baseline (what is new), events
// out, ledger, rules. It is a flow.Handler and runs on the table's goroutine. It allocates nothing for a message that
// no rule fires on and that nobody writes down.
type Pipeline struct {
	Know   func(*rules.Event) // fills in Facts; never nil
	Record func(*rules.Event) // the ledger; never nil
	Judge  func(*rules.Event) // the rules; never nil
	Events *Lines             // each message as a line
	Closed func(*flow.Conn)   // a connection's account is final; may be nil
	Base   uint64             // added to the numbers of connections, so that those of several tables differ

	// Over hears that the connection of a number ends as the wire showed, or otherwise; unseen is flow's. May be nil.
	Over func(conn uint64, ended, unseen bool)

	event    rules.Event
	odd      protocols.Message // for bytes that are no message
	line     func([]byte) []byte
	Messages uint64 // judged so far
	Last     int64  // greatest packet time so far
}

// connections is more than one table numbers: the distance of Base between tables.
const connections = 1 << 48

var _ flow.Handler = (*handler)(nil)

// handler keeps flow's calls out of Pipeline's own methods.
type handler struct{ *Pipeline }

// Handler returns p as the handler of a flow.Table.
func (p *Pipeline) Handler() flow.Handler {
	p.line = p.event.AppendJSON
	return handler{p}
}

// begin sets up the event for one thing that was seen. from is the end that acts as the client.
func (p *Pipeline) begin(what rules.What, c *flow.Conn, client protocols.Dir, info *flow.PacketInfo) *rules.Event {
	e := &p.event
	*e = rules.Event{What: what, At: info.At, Frame: info.Frame}
	server := client.Other()
	e.Flow.Client, e.Flow.Server = c.Ends[client], c.Ends[server]
	e.Flow.ClientMAC, e.Flow.ServerMAC = c.MACs[client], c.MACs[server]
	e.Flow.TTL, e.Flow.SessionTTL = info.TTL, c.TTLs[info.Dir]
	if first := c.Senders[info.Dir]; first != (flow.MAC{}) && info.HasMAC {
		e.Flow.OtherMAC = first != info.MACs[0]
	}
	e.Flow.Conn, e.Flow.Unseen = p.Base+c.ID, c.Unseen()
	if c.Transport == flow.UDP {
		e.Flow.Transport = rules.UDP
	}
	e.Flow.NVLAN = uint8(copy(e.Flow.VLANs[:], info.Tags.All()))
	return e
}

// client is the end of c that acts as the client in m.
func client(m *protocols.Message) protocols.Dir {
	if m.From == protocols.Client {
		return m.Dir
	}
	return m.Dir.Other()
}

// finish sends the event on.
func (p *Pipeline) finish(e *rules.Event) {
	p.Last = max(p.Last, e.At)
	p.Know(e)
	if e.What == rules.Message && p.Events.On() {
		p.Events.Append(p.line)
	}
	p.Record(e)
	p.Judge(e)
}

// Message implements flow.Handler.
func (h handler) Message(c *flow.Conn, m *protocols.Message, info *flow.PacketInfo) {
	e := h.begin(rules.Message, c, client(m), info)
	e.Msg = m
	h.Messages++
	h.finish(e)
}

// bytes makes an event of bytes that are no message: faults say why.
func (h handler) bytes(c *flow.Conn, dir protocols.Dir, raw []byte, faults protocols.Faults, info *flow.PacketInfo) {
	if c.Proto == nil {
		return
	}
	m := &h.odd
	m.Reset()
	m.Proto, m.Dir, m.Raw, m.Faults, m.Name = c.Proto, dir, raw, faults, "unframed"
	if c.ServerKnown && dir == c.Server {
		m.From = protocols.Server
	}
	e := h.begin(rules.Unframed, c, client(m), info)
	e.Msg = m
	h.finish(e)
}

// Unframed implements flow.Handler.
func (h handler) Unframed(c *flow.Conn, dir protocols.Dir, _ int, first []byte, info *flow.PacketInfo) {
	h.bytes(c, dir, first, protocols.Unframed, info)
}

// Overlap implements flow.Handler.
func (h handler) Overlap(c *flow.Conn, dir protocols.Dir, _, got []byte, info *flow.PacketInfo) {
	h.bytes(c, dir, got, protocols.Overlap, info)
}

// AfterEnd implements flow.Handler.
func (h handler) AfterEnd(c *flow.Conn, dir protocols.Dir, got []byte, info *flow.PacketInfo) {
	h.bytes(c, dir, got, protocols.AfterEnd, info)
}

// Gap implements flow.Handler.
func (h handler) Gap(c *flow.Conn, dir protocols.Dir, _ int, info *flow.PacketInfo) {
	e := h.begin(rules.Gap, c, c.Server.Other(), info)
	e.Flow.ServerLost = c.ServerKnown && dir == c.Server
	h.finish(e)
}

// outcomes are the edges that rules hear of.
var outcomes = map[flow.Edge]rules.Outcome{flow.Called: rules.Attempted, flow.Answered: rules.Accepted, flow.Refused: rules.Refused}

// Edge implements flow.Handler.
func (h handler) Edge(c *flow.Conn, edge flow.Edge, dir protocols.Dir, info *flow.PacketInfo) {
	outcome, ok := outcomes[edge]
	if !ok {
		return
	}
	caller := dir
	if edge != flow.Called {
		caller = dir.Other()
	}
	e := h.begin(rules.Connection, c, caller, info)
	e.Flow.Outcome = outcome
	h.finish(e)
}

// ARP implements flow.Handler.
func (h handler) ARP(a *flow.ARP, info *flow.PacketInfo) {
	e := &h.event
	*e = rules.Event{What: rules.ARP, At: info.At, Frame: info.Frame}
	e.Flow.Client, e.Flow.Server = address(a.SenderIP), address(a.TargetIP)
	e.Flow.ClientMAC, e.Flow.ServerMAC = a.SenderMAC, a.TargetMAC
	e.Flow.NVLAN = uint8(copy(e.Flow.VLANs[:], info.Tags.All()))
	h.finish(e)
}

// Closed implements flow.Handler.
func (h handler) Closed(c *flow.Conn, why flow.Reason) {
	if h.Over != nil {
		h.Over(h.Base+c.ID, why == flow.Ended || why == flow.Reused, c.Unseen())
	}
	if h.Pipeline.Closed != nil {
		h.Pipeline.Closed(c)
	}
}

// address is an ARP's end: no port belongs to it.
func address(ip netip.Addr) netip.AddrPort { return netip.AddrPortFrom(ip, 0) }
