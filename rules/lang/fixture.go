package lang

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A Test is one of a rule's own tests: events in their order, and whether the rule must fire on them.
type Test struct {
	Name  string
	Fires bool
	Line  int
	Col   int

	proto  *protocols.Protocol // of events that do not say theirs; may be nil
	v      *Vocabulary
	events []fixture
}

// A fixture is an event as a rule's test writes it: words and their values.
type fixture struct {
	set    []assignment
	vary   []string // words that grow by one with each repeat
	points []protocols.Point
	at     int64 // nanoseconds after the first event
	every  int64
	repeat int
}

type assignment struct {
	word  *Word
	int   int64
	num   float64
	text  string
	addr  netip.AddrPort
	mac   rules.MAC
	bool  bool
	fault protocols.Faults
}

// maxRepeats bounds the events of one fixture.
const maxRepeats = 2000

func (r *reader) tests(n *yaml.Node, rule *Rule) {
	if n.Kind != yaml.SequenceNode {
		r.errorf(n, "", "tests must be a list")
		return
	}
	var fires, quiet bool
	for _, item := range n.Content {
		t := Test{Line: item.Line, Col: item.Column, v: r.v}
		if len(rule.When.Protos) > 0 {
			t.proto, _ = r.v.proto(rule.When.Protos[0])
		}
		seen := r.fields(item, "a test", map[string]func(*yaml.Node){
			"name": func(n *yaml.Node) { r.text(n, &t.Name) },
			"fires": func(n *yaml.Node) {
				if i, ok := r.oneOf(n, "answer", []string{"false", "true"}); ok {
					t.Fires = i == 1
				}
			},
			"event": func(n *yaml.Node) { t.events = append(t.events, r.fixture(n)) },
			"events": func(n *yaml.Node) {
				for _, e := range n.Content {
					t.events = append(t.events, r.fixture(e))
				}
			},
		})
		if !seen["fires"] {
			r.errorf(item, "", "the test does not say whether the rule fires")
		}
		if len(t.events) == 0 {
			r.errorf(item, "write `event: {...}` or `events: [...]`", "the test has no event")
		}
		fires, quiet = fires || t.Fires, quiet || !t.Fires
		rule.Tests = append(rule.Tests, t)
	}
	if !fires || !quiet {
		r.errorf(n, "", "rule %s needs a test on which it fires and one on which it does not", rule.ID)
	}
}

func (r *reader) fixture(n *yaml.Node) fixture {
	f := fixture{repeat: 1, every: int64(time.Second)}
	table := map[string]func(*yaml.Node){
		"at": func(n *yaml.Node) {
			if n.Value != "0s" {
				r.duration(n, &f.at)
			}
		},
		"every":  func(n *yaml.Node) { r.duration(n, &f.every) },
		"repeat": func(n *yaml.Node) { r.whole(n, 1, maxRepeats, &f.repeat) },
		"vary": func(n *yaml.Node) {
			for _, w := range r.words(n) {
				f.vary = append(f.vary, w.Name)
			}
		},
		"points": func(n *yaml.Node) {
			for _, item := range n.Content {
				f.points = append(f.points, r.point(item))
			}
		},
	}
	for _, w := range r.v.order {
		if _, special := table[w.Name]; !special && settable(w) {
			table[w.Name] = func(n *yaml.Node) { f.set = append(f.set, r.assignment(n, w)) }
		}
	}
	r.fields(n, "an event", table)
	for _, name := range f.vary {
		if !slices.ContainsFunc(f.set, func(a assignment) bool { return a.word.Name == name }) {
			r.errorf(n, "give it a first value", "%s varies from nothing", name)
		}
	}
	return f
}

func (r *reader) point(n *yaml.Node) protocols.Point {
	p := protocols.Point{N: 1}
	var i int
	r.fields(n, "a point", map[string]func(*yaml.Node){
		"kind": func(n *yaml.Node) {
			if i, ok := r.oneOf(n, "kind", pointKinds); ok {
				p.Kind = protocols.Kind(i)
			}
		},
		"addr":    func(n *yaml.Node) { r.whole(n, 0, math.MaxUint32, &i); p.Addr = uint32(i) },
		"n":       func(n *yaml.Node) { r.whole(n, 1, math.MaxUint16+1, &i); p.N = uint32(i) },
		"control": func(n *yaml.Node) { r.whole(n, 0, 255, &i); p.Control, p.Has = uint8(i), p.Has|protocols.HasControl },
		"value":   func(n *yaml.Node) { p.Value, p.Has = r.number(n), p.Has|protocols.HasValue },
	})
	return p
}

func (r *reader) number(n *yaml.Node) float64 {
	f, err := strconv.ParseFloat(n.Value, 64)
	if err != nil {
		r.errorf(n, "", "%q is not a number", n.Value)
	}
	return f
}

// assignment reads a value of w's kind.
func (r *reader) assignment(n *yaml.Node, w *Word) assignment {
	a := assignment{word: w}
	var err error
	switch {
	case w.Names != nil:
		i, _ := r.oneOf(n, w.Name, w.Names)
		a.int, a.text = int64(i), n.Value
	case w.Kind == Bool:
		a.bool, err = strconv.ParseBool(n.Value)
	case w.Kind == Int:
		a.int, err = strconv.ParseInt(n.Value, 0, 64)
	case w.Kind == Float:
		a.num = r.number(n)
	case w.Kind == Text:
		a.text = n.Value
	case w.Kind == Addr:
		if a.addr, err = netip.ParseAddrPort(n.Value); err != nil {
			var addr netip.Addr
			addr, err = netip.ParseAddr(n.Value)
			a.addr = netip.AddrPortFrom(addr, 0)
		}
	case w.Kind == MAC:
		a.mac, err = parseMAC(n.Value)
	case w.Kind == Faults:
		r.list(n, func(item *yaml.Node) {
			if i, ok := r.oneOf(item, "fault", protocols.FaultNames()); ok {
				a.fault |= 1 << i
			}
		})
	}
	if err != nil {
		r.errorf(n, "", "%q is no %s", n.Value, w.Kind)
	}
	return a
}
