package lang

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// fixtureStart is when the first event of a test happens: 2026-01-05 08:00 UTC, a Monday.
const fixtureStart = 1767600000_000000000

// Each calls judge with the test's events in their order. An event is valid during its call.
func (t *Test) Each(judge func(*rules.Event)) {
	frame := uint64(0)
	for i := range t.events {
		f := &t.events[i]
		for k := range f.repeat {
			frame++
			e := t.event(f, int64(k))
			e.Frame = frame
			judge(e)
		}
	}
}

// Words returns the names of the words that the test gives values to.
func (t *Test) Words() []string {
	var names []string
	for i := range t.events {
		for _, a := range t.events[i].set {
			names = append(names, a.word.Name)
		}
	}
	return names
}

// played is the Detail of a fixture's message: values of protocol words by their place in the field table.
type played struct{ set map[int]assignment }

// status is what the fixture says of the message's status, or a word for a refusal that has no words.
func (f *fixture) status() string {
	for _, a := range f.set {
		if a.word.Name == "status" {
			return a.text
		}
	}
	return "refused"
}

// settable tells whether a test may give w a value.
func settable(w *Word) bool {
	if _, ok := putters[w.Name]; ok {
		return true
	}
	_, _, member := split(w.Name)
	return member || w.Name == "status" || slices.Contains(rules.NovelNames(), w.Name) || slices.Contains(rules.OddNames(), w.Name)
}

// event makes the k-th repeat of f.
func (t *Test) event(f *fixture, k int64) *rules.Event {
	proto := t.proto
	for _, a := range f.set {
		if a.word.Name == "proto" {
			proto, _ = t.v.proto(a.text)
		}
	}
	m := &protocols.Message{Name: "unknown", Points: slices.Clone(f.points)}
	p := &played{set: map[int]assignment{}}
	m.Detail = p
	e := &rules.Event{Msg: m, At: fixtureStart + f.at + k*f.every, Flow: rules.Flow{
		Client: netip.MustParseAddrPort("10.0.0.10:40000"), Server: netip.MustParseAddrPort("10.0.0.1:0"), Conn: 1,
		ClientMAC: rules.MAC{2, 0, 0, 0, 0, 10}, ServerMAC: rules.MAC{2, 0, 0, 0, 0, 1},
	}}
	if proto != nil {
		m.Proto = stand(proto, f.status())
		if len(proto.TCP) > 0 {
			e.Flow.Server = netip.AddrPortFrom(e.Flow.Server.Addr(), proto.TCP[0])
		}
	}
	for _, a := range f.set {
		if slices.Contains(f.vary, a.word.Name) {
			a = a.plus(k)
		}
		if put, ok := putters[a.word.Name]; ok {
			put(e, a)
			continue
		}
		if slices.Contains(rules.NovelNames(), a.word.Name) {
			if a.bool {
				e.Facts.Novel |= 1 << slices.Index(rules.NovelNames(), a.word.Name)
			}
			e.Facts.Phase = rules.Enforce
			continue
		}
		if i := slices.Index(rules.OddNames(), a.word.Name); i >= 0 {
			if a.bool {
				known(e).Odd |= 1 << i
			}
			continue
		}
		if group, member, ok := split(a.word.Name); ok && proto != nil && proto.Name == group {
			p.set[slices.IndexFunc(proto.Field, func(f protocols.Field) bool { return f.Name == member })] = a
		} else if a.word.Name == "status" {
			if a.text != "ok" {
				m.Status = 1
			}
		}
	}
	if c, ok := codeOf(proto, m); ok {
		if m.Name == "unknown" {
			m.Name = c.Name
		}
		if !m.HasCode {
			m.Code, m.HasCode = c.Code, true
		}
		if m.Op == protocols.Other {
			m.Op = c.Op
		}
	}
	if e.What != rules.Message && e.What != rules.Unframed && e.What != rules.Action {
		e.Msg = nil
	}
	return e
}

// codeOf finds the row of the message's code, or of its name.
func codeOf(proto *protocols.Protocol, m *protocols.Message) (*protocols.Code, bool) {
	if proto == nil {
		return nil, false
	}
	if m.HasCode {
		return proto.Code(m.Code)
	}
	i := slices.IndexFunc(proto.Codes, func(c protocols.Code) bool { return c.Name == m.Name })
	if i < 0 {
		return nil, false
	}
	return &proto.Codes[i], true
}

// plus returns a with its value raised by k.
func (a assignment) plus(k int64) assignment {
	a.int += k
	a.num += float64(k)
	addr := a.addr.Addr()
	for range k {
		addr = addr.Next()
	}
	a.addr = netip.AddrPortFrom(addr, a.addr.Port())
	for i := 5; k > 0 && i >= 0; i-- {
		k += int64(a.mac[i])
		a.mac[i] = byte(k)
		k >>= 8
	}
	return a
}

// stand returns a stand-in for p whose fields read what a test wrote.
func stand(p *protocols.Protocol, status string) *protocols.Protocol {
	s := &protocols.Protocol{Name: p.Name, Title: p.Title, TCP: p.TCP, UDP: p.UDP, Codes: p.Codes}
	s.AppendStatus = func(dst []byte, _ uint32) []byte { return append(dst, status...) }
	for i, f := range p.Field {
		get := func(m *protocols.Message) (assignment, bool) { a, ok := m.Detail.(*played).set[i]; return a, ok }
		row := protocols.Field{Name: f.Name}
		switch {
		case f.Int != nil:
			row.Int = func(m *protocols.Message) (int64, bool) { a, ok := get(m); return a.int, ok }
		case f.Bool != nil:
			row.Bool = func(m *protocols.Message) (bool, bool) { a, ok := get(m); return a.bool, ok }
		case f.Text != nil:
			row.Text = func(m *protocols.Message) (string, bool) { a, ok := get(m); return a.text, ok }
		default:
			row.JSON = func(dst []byte, _ *protocols.Message) []byte { return dst }
		}
		s.Field = append(s.Field, row)
	}
	return s
}

// first returns the message's first point, made if there is none.
func first(e *rules.Event) *protocols.Point {
	if len(e.Msg.Points) == 0 {
		e.Msg.Points = append(e.Msg.Points, protocols.Point{N: 1})
	}
	return &e.Msg.Points[0]
}

// known marks that a fixture speaks of what a baseline learned.
func known(e *rules.Event) *rules.Facts {
	e.Facts.Phase, e.Facts.Masters = rules.Enforce, max(e.Facts.Masters, 1)
	return &e.Facts
}

func keepPort(old, given netip.AddrPort) netip.AddrPort {
	if given.Port() == 0 {
		return netip.AddrPortFrom(given.Addr(), old.Port())
	}
	return given
}

func port(a netip.AddrPort, p int64) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), uint16(p)) }

// quality marks the first point of an event.
func quality(bits protocols.Quality) func(*rules.Event, assignment) {
	return func(e *rules.Event, a assignment) {
		p := first(e)
		p.Has |= protocols.HasQuality
		if a.bool {
			p.Quality |= bits
		}
	}
}

// putters write the words that are not of one protocol.
var putters = map[string]func(e *rules.Event, a assignment){
	"proto":       func(*rules.Event, assignment) {},
	"what":        func(e *rules.Event, a assignment) { e.What = rules.What(a.int) },
	"client":      func(e *rules.Event, a assignment) { e.Flow.Client = keepPort(e.Flow.Client, a.addr) },
	"server":      func(e *rules.Event, a assignment) { e.Flow.Server = keepPort(e.Flow.Server, a.addr) },
	"client_port": func(e *rules.Event, a assignment) { e.Flow.Client = port(e.Flow.Client, a.int) },
	"server_port": func(e *rules.Event, a assignment) { e.Flow.Server = port(e.Flow.Server, a.int) },
	"client_mac":  func(e *rules.Event, a assignment) { e.Flow.ClientMAC = a.mac },
	"server_mac":  func(e *rules.Event, a assignment) { e.Flow.ServerMAC = a.mac },
	"transport":   func(e *rules.Event, a assignment) { e.Flow.Transport = rules.Transport(a.int) },
	"outcome":     func(e *rules.Event, a assignment) { e.What, e.Flow.Outcome = rules.Connection, rules.Outcome(a.int) },
	"vlan":        func(e *rules.Event, a assignment) { e.Flow.VLANs[0], e.Flow.NVLAN = uint16(a.int), 1 },
	"ttl":         func(e *rules.Event, a assignment) { e.Flow.TTL = uint8(a.int) },
	"other_mac":   func(e *rules.Event, a assignment) { e.Flow.OtherMAC = a.bool },
	"session_ttl": func(e *rules.Event, a assignment) { e.Flow.SessionTTL = uint8(a.int) },
	"connection":  func(e *rules.Event, a assignment) { e.Flow.Conn = uint64(a.int) },
	"op":          func(e *rules.Event, a assignment) { e.Msg.Op = protocols.Op(a.int) },
	"name":        func(e *rules.Event, a assignment) { e.Msg.Name = a.text },
	"code":        func(e *rules.Event, a assignment) { e.Msg.Code, e.Msg.HasCode = uint16(a.int), true },
	"from":        func(e *rules.Event, a assignment) { e.Msg.From = protocols.Side(a.int) },
	"station":     func(e *rules.Event, a assignment) { e.Msg.Station, e.Msg.HasStation = uint32(a.int), true },
	"master":      func(e *rules.Event, a assignment) { e.Msg.Master, e.Msg.HasMaster = uint32(a.int), true },
	"turn":        func(e *rules.Event, a assignment) { e.Msg.Turn = protocols.Turn(a.int) },
	"rtt_ms":      func(e *rules.Event, a assignment) { e.Msg.RTT = int64(a.num * 1e6) },
	"faults":      func(e *rules.Event, a assignment) { e.Msg.Faults = a.fault },
	"ok": func(e *rules.Event, a assignment) {
		if !a.bool {
			e.Msg.Status = 1
		}
	},
	"content": func(e *rules.Event, a assignment) { e.Msg.Body = strconv.AppendInt(nil, a.int, 10) },
	"skew_ms": func(e *rules.Event, a assignment) {
		p := first(e)
		p.Time, p.Has = e.At+int64(a.num*1e6), p.Has|protocols.HasTime
	},
	"invalid":  quality(protocols.Invalid),
	"forced":   quality(protocols.Substituted),
	"outdated": quality(protocols.NotTopical),
	"addr":     func(e *rules.Event, a assignment) { first(e).Addr = uint32(a.int) },
	"kind":     func(e *rules.Event, a assignment) { first(e).Kind = protocols.Kind(a.int) },
	"value":    func(e *rules.Event, a assignment) { p := first(e); p.Value, p.Has = a.num, p.Has|protocols.HasValue },
	"control": func(e *rules.Event, a assignment) {
		p := first(e)
		p.Control, p.Has = uint8(a.int), p.Has|protocols.HasControl
	},

	"phase":                  func(e *rules.Event, a assignment) { e.Facts.Phase = rules.Phase(a.int) },
	"approved":               func(e *rules.Event, a assignment) { known(e).Approved = a.bool },
	"outside_zones":          func(e *rules.Event, a assignment) { e.Facts.Outside = a.bool },
	"held":                   func(e *rules.Event, a assignment) { known(e).Held = a.bool },
	"client_serves":          func(e *rules.Event, a assignment) { e.Facts.ClientServes = a.bool },
	"server_serves":          func(e *rules.Event, a assignment) { e.Facts.ServerServes = a.bool },
	"client_asks":            func(e *rules.Event, a assignment) { e.Facts.ClientAsks = a.bool },
	"client_commands":        func(e *rules.Event, a assignment) { known(e).ClientCommand = a.bool },
	"link_writes":            func(e *rules.Event, a assignment) { known(e).LinkWrites = a.bool },
	"learned_masters":        func(e *rules.Event, a assignment) { known(e).Masters = int(a.int) },
	"learned_writers":        func(e *rules.Event, a assignment) { known(e).Writers = int(a.int) },
	"learned_command_points": func(e *rules.Event, a assignment) { known(e).CommandPoints = int(a.int) },
	"learned_low":            func(e *rules.Event, a assignment) { f := known(e); f.Low, f.Ranged = a.num, true },
	"learned_high":           func(e *rules.Event, a assignment) { f := known(e); f.High, f.Ranged = a.num, true },
	"odd_addr":               func(e *rules.Event, a assignment) { known(e).OddAddr = uint32(a.int) },
	"odd_value":              func(e *rules.Event, a assignment) { known(e).OddValue = a.num },
	"odd_before":             func(e *rules.Event, a assignment) { known(e).OddBefore = a.num },
	"odd_s":                  func(e *rules.Event, a assignment) { known(e).OddSeconds = a.num },
	"slow":                   func(e *rules.Event, a assignment) { known(e).Slow = a.bool },
	"delay_ms":               func(e *rules.Event, a assignment) { known(e).Delay = a.num },
	"learned_delay_ms":       func(e *rules.Event, a assignment) { known(e).UsualDelay = a.num },
	"learned_days":           func(e *rules.Event, a assignment) { known(e).Days = a.num },
}
