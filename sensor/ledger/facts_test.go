package ledger

import (
	"fmt"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// told shows steps to a ledger and returns what it tells the rules, in short.
func told(before func(*Ledger), steps []step) string {
	var list []string
	l := New(Config{Tell: func(e *rules.Event) {
		a := e.Act
		if a.Unasked {
			list = append(list, fmt.Sprintf("%v alone", e.Msg.Points[0].Addr))
			return
		}
		list = append(list, fmt.Sprintf("%v %v", a.Ended, a.Effect))
	}}, func(*Record) {})
	if before != nil {
		before(l)
	}
	for i := range steps {
		l.Take(steps[i].event(uint64(i + 1)))
	}
	return strings.Join(list, ", ")
}

// position is a spontaneous report of the breaker that command 7 moves.
func position(at, value float64) step {
	return step{at: at, proto: iec104Fake, server: true, code: 30, op: protocols.Report, said: said{"cot": cotSpontaneous}, points: report(protocols.BinaryIn, 70, value, 0)}
}

// switched is a command, its confirmation, and the breaker's report, a minute and a half after the one before.
func switched(n int) []step {
	at, value := 90*float64(n), float64(n&1)
	return []step{asdu(at, 6, 0, value), asdu(at+1, 7, 0, value), position(at+2, value), later(at+20, iec104Fake)}
}

func repeatedly(n int, then ...step) (list []step) {
	for i := range n {
		list = append(list, switched(i)...)
	}
	return append(list, then...)
}

// TestEffect holds when an effect is missed, and when a change is nobody's.
func TestEffect(t *testing.T) {
	seen := func(n int) string {
		list := []string{"confirmed unknown", "confirmed unknown"}[:min(n, 2)] // while the mapping is learned
		for range n - 2 {
			list = append(list, "confirmed seen")
		}
		return strings.Join(list, ", ")
	}
	silent := func(at, value float64) []step {
		return []step{asdu(at, 6, 0, value), asdu(at+1, 7, 0, value), later(at+20, iec104Fake)}
	}
	lost := []step{asdu(900, 6, 0, 0), asdu(901, 7, 0, 0), gapOf(902, true), later(920, iec104Fake)}
	long := []step{asdu(900, 6, 0, 0), asdu(901, 7, 0, 0), later(2000, iec104Fake)}
	for _, c := range []struct {
		name  string
		steps []step
		want  string
	}{
		{"it follows", repeatedly(8), seen(8)},
		{"it does not follow", repeatedly(8, silent(900, 0)...), seen(8) + ", confirmed missing"},
		{"the state that it has", repeatedly(8, silent(900, 1)...), seen(8) + ", confirmed unknown"},
		{"seldom seen to follow", repeatedly(4, silent(900, 0)...), seen(4) + ", confirmed unknown"},
		{"the report may be lost", repeatedly(8, lost...), seen(8) + ", confirmed unknown"},
		{"nobody watched", repeatedly(8, long...), seen(8) + ", confirmed unknown"},
		{"refused", repeatedly(8, asdu(900, 6, 0, 0), asdu(901, 7, 0, 0).no(1)), seen(8) + ", refused unknown"},
		{"alone", repeatedly(8, position(900, 0)), seen(8) + ", 70 alone"},
		{"the value that it had", repeatedly(8, position(900, 1)), seen(8)},
		{"soon after a command", repeatedly(8, position(660, 0)), seen(8)},
		{"seldom seen", repeatedly(5, position(900, 1)), seen(5)},
		{"alone again and again", repeatedly(8, position(900, 0), position(1000, 1), position(1100, 0)), seen(8) + ", 70 alone"},
		{"a command may be lost", repeatedly(8, gapOf(880, false), position(900, 0)), seen(8)},
		{"after a change of its own the state is not known", repeatedly(8, append([]step{position(900, 0)}, silent(990, 0)...)...), seen(8) + ", 70 alone, confirmed unknown"},
	} {
		if got := told(nil, c.steps); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestMap holds that an imported mapping is believed at once, and that nothing is learned against it.
func TestMap(t *testing.T) {
	command, breaker := protocols.Point{Kind: protocols.BinaryOut, Addr: 7}, protocols.Point{Kind: protocols.BinaryIn, Addr: 70}
	var l *Ledger
	got := told(func(made *Ledger) {
		l = made
		l.Map(iec104Fake, stationAt, 5, Mapping{Command: command, Indicates: breaker, Reported: true})
	}, repeatedly(2))
	if want := "confirmed seen, confirmed seen"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for i := range 5 {
		at := 1000 + 90*float64(i)
		for _, s := range []step{asdu(at, 6, 0, 1), asdu(at+1, 7, 0, 1), {at: at + 2, proto: iec104Fake, server: true, code: 30, op: protocols.Report,
			said: said{"cot": cotSpontaneous}, points: report(protocols.BinaryIn, 99, float64(i&1), 0)}, later(at+20, iec104Fake)} {
			l.Take(s.event(1))
		}
	}
	if p, ok := l.Mapped(iec104Fake, stationAt, 5, command); !ok || p.Addr != 70 || p.Kind != protocols.BinaryIn {
		t.Errorf("the command is mapped to %+v, %v", p, ok)
	}
	if _, ok := l.Mapped(iec104Fake, stationAt, 6, command); ok {
		t.Error("a command of another station is mapped")
	}
}

// TestMasters holds the figures of a client's actions.
func TestMasters(t *testing.T) {
	var last rules.Act
	l := New(Config{Tell: func(e *rules.Event) { last = *e.Act }}, func(*Record) {})
	at := 0.0
	do := func(addr uint32, refused bool) {
		at++
		answer := write(at, true, int64(at), addr, 5)
		if refused {
			answer = answer.no(2)
		}
		for _, s := range []step{write(at, false, int64(at), addr, 5), answer} {
			l.Take(s.event(1))
		}
		if !refused {
			at += 20
			s := later(at, modbusFake)
			l.Take(s.event(1))
		}
	}
	for range 100 {
		do(9, false)
	}
	if last.Actions != 100 || last.NotDone != 0 || last.NewPoints != 0 {
		t.Errorf("after a hundred of one point: %+v", last)
	}
	for i := range 12 {
		do(uint32(100+i), i%2 == 0)
	}
	if last.Actions != 112 || last.NotDone != 6 || last.NewPoints != 12 {
		t.Errorf("after twelve of new points, half of them refused: %+v", last)
	}
	for range rules.RecentActs {
		do(9, false)
	}
	if last.NotDone != 0 || last.NewPoints != 0 {
		t.Errorf("after as many as are looked back upon: %+v", last)
	}
}

// TestWords holds that the outcomes are the endings of rules, in their order.
func TestWords(t *testing.T) {
	for i, o := range Outcomes {
		if rules.Ending(i+1).String() != string(o) {
			t.Errorf("ending %d is %v, the outcome is %s", i+1, rules.Ending(i+1), o)
		}
	}
	if len(rules.EndingNames()) != len(Outcomes)+1 {
		t.Errorf("%d endings, %d outcomes", len(rules.EndingNames()), len(Outcomes))
	}
}
