package ledger

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// said is the detail of a test's messages: what their fields say.
type said map[string]int64

// fake is a protocol whose fields are read from said.
func fake(name string, fields ...string) *protocols.Protocol {
	p := &protocols.Protocol{Name: name, AppendStatus: func(dst []byte, s uint32) []byte { return fmt.Appendf(dst, "status %d", s) }}
	for _, f := range fields {
		p.Field = append(p.Field, protocols.Field{Name: f,
			Int:  func(m *protocols.Message) (int64, bool) { v, ok := m.Detail.(said)[f]; return v, ok },
			Bool: func(m *protocols.Message) (bool, bool) { v, ok := m.Detail.(said)[f]; return v == 1, ok }})
	}
	return p
}

var (
	modbusFake = fake("modbus", "tid", "asked_tid", "and_mask", "or_mask")
	dnp3Fake   = fake("dnp3", "seq", "broadcast")
	iec104Fake = fake("iec104", "cot", "select")
)

// A step is one thing that the ledger is shown.
type step struct {
	at     float64 // seconds
	what   rules.What
	proto  *protocols.Protocol
	conn   uint64
	server bool // the station sent it, or lost it
	code   uint16
	op     protocols.Op
	status uint32
	said   said
	points []protocols.Point
	unseen bool
	udp    bool
}

var (
	masterAt  = netip.MustParseAddrPort("10.0.0.1:40000")
	stationAt = netip.MustParseAddrPort("10.0.0.2:502")
)

// event makes what the ledger is shown of a step.
func (s *step) event(frame uint64) *rules.Event {
	e := &rules.Event{What: s.what, At: int64(s.at*1e9) + 1, Frame: frame}
	e.Flow = rules.Flow{Client: masterAt, Server: stationAt, Conn: s.conn + 1, Unseen: s.unseen, ServerLost: s.server}
	if s.udp {
		e.Flow.Transport = rules.UDP
	}
	if s.what != rules.Gap {
		m := &protocols.Message{Proto: s.proto, HasCode: true, HasStation: true, HasMaster: s.proto == dnp3Fake, Master: 1, Station: 5, Code: s.code, Op: s.op, Status: s.status, Detail: s.said, Points: s.points}
		if s.server {
			m.From = protocols.Server
		} else {
			m.Turn = protocols.Request
		}
		e.Msg = m
	}
	return e
}

// point is a control of addr with a value.
func point(kind protocols.Kind, addr uint32, value float64) []protocols.Point {
	return []protocols.Point{{Kind: kind, Addr: addr, N: 1, Has: protocols.HasValue | protocols.HasStatus, Value: value}}
}

// report is a reported value.
func report(kind protocols.Kind, addr uint32, value float64, group uint16) []protocols.Point {
	return []protocols.Point{{Kind: kind, Addr: addr, N: 1, Has: protocols.HasValue, Value: value, Type: group << 8}}
}

// ask and answer are DNP3 messages about the controls of some points.
func ask(at float64, code uint16, seq int64, points ...protocols.Point) step {
	op := protocols.Operate
	if code == 1 {
		op = protocols.Read
	}
	return step{at: at, proto: dnp3Fake, code: code, op: op, said: said{"seq": seq}, points: points}
}

func answer(at float64, seq int64, status uint8, points ...protocols.Point) step {
	s := step{at: at, proto: dnp3Fake, server: true, code: 129, op: protocols.Report, said: said{"seq": seq}, status: uint32(status) << 8}
	for _, p := range points {
		p.Status = status
		s.points = append(s.points, p)
	}
	return s
}

// asdu is a 104 command with a cause.
func asdu(at float64, cot, selects int64, value float64) step {
	return step{at: at, proto: iec104Fake, server: cot != cotActivation && cot != cotDeactivation, code: 45, op: protocols.Operate,
		said: said{"cot": cot, "select": selects}, points: []protocols.Point{{Kind: protocols.BinaryOut, Addr: 7, N: 1, Has: protocols.HasValue, Value: value}}}
}

func (s step) on(conn uint64) step   { s.conn = conn; return s }
func (s step) no(status uint32) step { s.status = status; return s }

// write is a Modbus write or its answer.
func write(at float64, server bool, tid int64, addr uint32, value float64) step {
	return step{at: at, proto: modbusFake, server: server, code: 6, op: protocols.Write, said: said{"tid": tid},
		points: report(protocols.AnalogOut, addr, value, 0)}
}

// later is a message that concerns no command.
func later(at float64, p *protocols.Protocol) step {
	return step{at: at, proto: p, server: true, code: 1, op: protocols.Read}
}

func gapOf(at float64, server bool) step { return step{at: at, what: rules.Gap, server: server} }

func TestOutcomes(t *testing.T) {
	crob := point(protocols.BinaryOut, 3, 1)[0]
	other := point(protocols.BinaryOut, 4, 1)[0]
	two := []protocols.Point{crob, other}
	unsolicited := func(at float64, addr uint32) step {
		return step{at: at, proto: dnp3Fake, server: true, code: 130, op: protocols.Report, said: said{"seq": 0}, points: report(protocols.BinaryIn, addr, 1, 2)}
	}
	returned := func(at float64, addr uint32) step {
		return step{at: at, proto: iec104Fake, server: true, code: 30, op: protocols.Report, said: said{"cot": cotReturnRemote}, points: report(protocols.BinaryIn, addr, 1, 0)}
	}
	mask := func(at float64, server bool) step {
		s := write(at, server, 1, 9, 0)
		s.code, s.said = 22, said{"tid": 1, "and_mask": 0xff00, "or_mask": 0x0042}
		s.points[0].Has = 0
		return s
	}
	readBack := func(at, value float64) step {
		s := later(at, modbusFake)
		s.points = report(protocols.AnalogOut, 9, value, 0)
		return s
	}
	broadcast := ask(0, 5, 1, crob)
	broadcast.said["broadcast"] = 1
	datagram := ask(0, 5, 1, crob)
	datagram.udp = true
	unseen := later(12, dnp3Fake)
	unseen.unseen = true
	for _, c := range []struct {
		name  string
		steps []step
		want  string // of each record: its outcome, the number of its commands, e for an effect, t for a termination
	}{
		{"modbus confirmed", []step{write(0, false, 1, 9, 5), write(1, true, 1, 9, 5)}, "confirmed 1"},
		{"modbus read back", []step{write(0, false, 1, 9, 5), write(1, true, 1, 9, 5), readBack(2, 5)}, "confirmed 1e"},
		{"modbus read back another value", []step{write(0, false, 1, 9, 5), write(1, true, 1, 9, 5), readBack(2, 6)}, "confirmed 1"},
		{"modbus mask written and read back", []step{mask(0, false), mask(1, true), readBack(2, 0x7742)}, "confirmed 1e"},
		{"modbus mask not in effect", []step{mask(0, false), mask(1, true), readBack(2, 0x7743)}, "confirmed 1"},
		{"modbus refused", []step{write(0, false, 1, 9, 5), write(1, true, 1, 9, 5).no(2)}, "refused 1"},
		{"modbus timeout", []step{write(0, false, 1, 9, 5), later(12, modbusFake)}, "timeout 1"},
		{"modbus asked again", []step{write(0, false, 1, 9, 5), write(2, false, 1, 9, 5), write(3, true, 1, 9, 5)}, "confirmed 2"},
		{"modbus two at once", []step{write(0, false, 1, 9, 5), write(0, false, 2, 10, 5), write(1, true, 2, 10, 5), write(1, true, 1, 9, 5).no(2)}, "refused 1, confirmed 1"},
		{"the capture ends", []step{write(0, false, 1, 9, 5)}, "unknown_gap 1"},
		{"the answer is lost", []step{write(0, false, 1, 9, 5), gapOf(2, true), later(12, modbusFake)}, "unknown_gap 1"},

		{"dnp3 selected and operated", []step{ask(0, 3, 1, crob), answer(1, 1, 0, crob), ask(2, 4, 2, crob), answer(3, 2, 0, crob)}, "confirmed 2"},
		{"dnp3 several objects", []step{ask(0, 3, 1, two...), answer(1, 1, 0, two...), ask(2, 4, 2, two...), answer(3, 2, 0, two...)}, "confirmed 2"},
		{"dnp3 one of several refused", []step{ask(0, 5, 1, two...), answer(1, 1, 4, two...)}, "refused 1"},
		{"dnp3 select refused", []step{ask(0, 3, 1, crob), answer(1, 1, 4, crob)}, "refused 1"},
		{"dnp3 function refused", []step{ask(0, 5, 1, crob), answer(1, 1, 0).no(1)}, "refused 1"},
		{"dnp3 no select", []step{ask(0, 4, 1, crob), answer(1, 1, 2, crob)}, "no_select 1"},
		{"dnp3 no select seen", []step{gapOf(0, false), ask(1, 4, 1, crob), answer(2, 1, 2, crob)}, "unknown_gap 1"},
		{"dnp3 select too old", []step{ask(0, 3, 1, crob), answer(1, 1, 0, crob), ask(2, 4, 2, crob), answer(3, 2, 1, crob)}, "timeout 2"},
		{"dnp3 other object operated", []step{ask(0, 3, 1, crob), answer(1, 1, 0, crob), ask(2, 4, 2, other), answer(3, 2, 2, other)}, "mismatch 2"},
		{"dnp3 other object answered", []step{ask(0, 5, 1, crob), answer(1, 1, 0, other)}, "mismatch 1"},
		{"dnp3 select ended by a read", []step{ask(0, 3, 1, crob), answer(1, 1, 0, crob), ask(2, 1, 2)}, "cancelled 1"},
		{"dnp3 a confirm ends no select", []step{ask(0, 3, 1, crob), answer(1, 1, 0, crob), ask(1.5, 0, 2), ask(2, 4, 2, crob), answer(3, 2, 0, crob)}, "confirmed 2"},
		{"dnp3 select never operated", []step{ask(0, 3, 1, crob), answer(1, 1, 0, crob), later(12, dnp3Fake)}, "timeout 1"},
		{"dnp3 operate lost", []step{ask(0, 3, 1, crob), answer(1, 1, 0, crob), gapOf(2, false), ask(3, 1, 3)}, "unknown_gap 1"},
		{"dnp3 operate resent", []step{ask(0, 3, 1, crob), answer(1, 1, 0, crob), ask(2, 4, 2, crob), answer(3, 2, 0, crob), ask(4, 4, 2, crob), answer(5, 2, 0, crob)}, "confirmed 3"},
		{"dnp3 without acknowledgement", []step{ask(0, 6, 1, crob), later(12, dnp3Fake)}, "unknown_gap 1"},
		{"dnp3 broadcast", []step{broadcast, later(12, dnp3Fake)}, "unknown_gap 1"},
		{"dnp3 over udp", []step{datagram, later(12, dnp3Fake)}, "unknown_gap 1"},
		{"dnp3 unseen bytes acknowledged", []step{ask(0, 5, 1, crob), unseen}, "unknown_gap 1"},
		{"dnp3 mapping learned", []step{
			ask(0, 5, 1, crob), answer(0, 1, 0, crob), unsolicited(1, 60),
			ask(20, 5, 2, crob), answer(20, 2, 0, crob), unsolicited(21, 60),
			ask(40, 5, 3, crob), answer(40, 3, 0, crob), unsolicited(41, 61), unsolicited(42, 60)}, "confirmed 1, confirmed 1, confirmed 1e"},

		{"104 direct", []step{asdu(0, 6, 0, 1), asdu(1, 7, 0, 1)}, "confirmed 1"},
		{"104 to the end", []step{asdu(0, 6, 1, 1), asdu(1, 7, 1, 1), asdu(2, 6, 0, 1), asdu(3, 7, 0, 1), returned(4, 70), asdu(5, 10, 0, 1)}, "confirmed 2et"},
		{"104 end of the selection, no word of the execution", []step{asdu(0, 6, 1, 1), asdu(1, 7, 1, 1), asdu(2, 6, 0, 1), asdu(3, 10, 1, 1), later(20, iec104Fake)}, "timeout 2"},
		{"104 an execute and a select lost between", []step{asdu(0, 6, 1, 1), asdu(1, 7, 1, 1), gapOf(2, false), asdu(3, 6, 0, 1), asdu(4, 7, 0, 1), later(20, iec104Fake)}, "unknown_gap 2"},
		{"104 refused", []step{asdu(0, 6, 0, 1), asdu(1, 7, 0, 1).no(1)}, "refused 1"},
		{"104 unknown object", []step{asdu(0, 6, 0, 1), asdu(1, 47, 0, 1).no(47)}, "refused 1"},
		{"104 cancelled", []step{asdu(0, 6, 1, 1), asdu(1, 7, 1, 1), asdu(2, 8, 1, 1), asdu(3, 9, 1, 1)}, "cancelled 1"},
		{"104 cancellation refused", []step{asdu(0, 6, 1, 1), asdu(1, 7, 1, 1), asdu(2, 8, 1, 1), asdu(3, 9, 1, 1).no(1), asdu(4, 6, 0, 1), asdu(5, 7, 0, 1)}, "confirmed 2"},
		{"104 other value executed", []step{asdu(0, 6, 1, 1), asdu(1, 7, 1, 1), asdu(2, 6, 0, 0), asdu(3, 7, 0, 0), later(20, iec104Fake)}, "mismatch 2"},
		{"104 select expired", []step{asdu(0, 6, 1, 1), asdu(1, 7, 1, 1), later(12, iec104Fake)}, "timeout 1"},
		{"104 without the select it needs", []step{asdu(0, 6, 1, 1), asdu(1, 7, 1, 1), asdu(2, 6, 0, 1), asdu(3, 7, 0, 1), asdu(30, 6, 0, 1), asdu(31, 7, 0, 1).no(1)}, "confirmed 2, no_select 1"},
		{"104 refused, and nothing is missing", []step{asdu(30, 6, 0, 1), asdu(31, 7, 0, 1).no(1)}, "refused 1"},
		{"104 refused, and the select may be what was lost long ago", []step{gapOf(0, true), asdu(90, 6, 0, 1), asdu(91, 7, 0, 1).no(1)}, "unknown_gap 1"},
		{"104 refused for a reason, after a loss", []step{gapOf(0, true), asdu(90, 6, 0, 1), asdu(91, 47, 0, 1).no(47)}, "refused 1"},
		{"104 refused what it takes without select", []step{asdu(0, 6, 0, 1), asdu(1, 7, 0, 1), gapOf(20, true), asdu(90, 6, 0, 1), asdu(91, 7, 0, 1).no(1)}, "confirmed 1, refused 1"},
		{"104 redundant connections", []step{asdu(0, 6, 0, 1), asdu(0.1, 6, 0, 1).on(1), asdu(0.2, 7, 0, 1), asdu(1, 10, 0, 1)}, "confirmed 2t"},
		{"104 confirmation lost, termination seen", []step{asdu(0, 6, 0, 1), gapOf(1, true), asdu(2, 10, 0, 1)}, "confirmed 1t"},
		{"104 two commands, one answer lost", []step{asdu(0, 6, 0, 1), asdu(1, 6, 0, 1), gapOf(2, true), asdu(3, 7, 0, 1)}, "unknown_gap 1, unknown_gap 1"},
	} {
		var got []string
		l := New(Config{}, func(r *Record) {
			text := fmt.Sprintf("%s %d", r.Outcome, r.commands)
			if r.Effect != nil {
				text += "e"
			}
			if r.Terminated != nil {
				text += "t"
			}
			got = append(got, text)
		})
		for i := range c.steps {
			l.Take(c.steps[i].event(uint64(i + 1)))
		}
		l.Flush()
		if l.count != 0 || len(l.open) != 0 || len(l.due) != 0 {
			t.Errorf("%s: %d actions are left, %d keys, %d wait for proof", c.name, l.count, len(l.open), len(l.due))
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %s, want %s", c.name, text, c.want)
		}
	}
}

// TestBounds holds that a flood of commands without answers keeps at most Config.Open of them.
func TestBounds(t *testing.T) {
	closed := 0
	l := New(Config{Open: 100}, func(*Record) { closed++ })
	for i := range 5000 {
		s := write(float64(i)/1000, false, int64(i), uint32(i), 1)
		l.Take(s.event(uint64(i + 1)))
		lost := gapOf(float64(i)/1000, false)
		lost.conn = uint64(i)
		l.Take(lost.event(uint64(i + 1)))
	}
	if l.count > 100 || len(l.losses) > maxLosses || closed != 4900 {
		t.Errorf("%d open, %d losses remembered, %d closed", l.count, len(l.losses), closed)
	}
}

// polls are two messages of ordinary polling.
func polls() []*rules.Event {
	request, response := later(1, modbusFake), later(1, modbusFake)
	request.server = false
	response.points = report(protocols.AnalogOut, 200, 7, 0)
	return []*rules.Event{request.event(1), response.event(2)}
}

func TestPollingAllocatesNothing(t *testing.T) {
	l, events := New(Config{}, func(*Record) {}), polls()
	busy := New(Config{}, func(*Record) {})
	open := write(0, false, 1, 9, 5)
	busy.Take(open.event(1))
	if n := testing.AllocsPerRun(100, func() {
		for _, e := range events {
			l.Take(e)
			busy.Take(e)
		}
	}); n != 0 {
		t.Errorf("%v allocations per poll, want none", n)
	}
}

// BenchmarkPolling is the cost of one message of ordinary polling: with no action open, and with one at the station.
func BenchmarkPolling(b *testing.B) {
	for _, name := range []string{"quiet", "open"} {
		b.Run(name, func(b *testing.B) {
			l, events := New(Config{}, func(*Record) {}), polls()
			if name == "open" {
				s := write(0, false, 1, 9, 5)
				l.Take(s.event(1))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				l.Take(events[i&1])
				i++
			}
		})
	}
}
