package engine

import (
	"fmt"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

// TestSilence: a key that was heard regularly and is heard no more is said once, while time passes; time that nobody
// watched proves nothing.
func TestSilence(t *testing.T) {
	const rule = "when: {from: server}\n  state: {silence: true, by: [server], window: 10s}\n  per: [server]\n  observed: \"{quiet_s} after {longest_s}\""
	beat := func(r *run, server string, from, n, every int64) int64 {
		for i := range n {
			e := message((from+i*every)*second, "10.0.0.9", server, 1, 1)
			e.Msg.From = protocols.Server
			r.Judge(e)
		}
		return from + n*every
	}
	for _, test := range []struct {
		name string
		play func(*run)
		want []string // servers said silent
	}{
		{"one of two stops", func(r *run) {
			for i := range int64(100) {
				beat(r, "10.0.0.1", i, 1, 1)
				beat(r, "10.0.0.2", i, 1, 1)
			}
			beat(r, "10.0.0.2", 100, 60, 1)
		}, []string{"10.0.0.1"}},
		{"it comes back and stops again", func(r *run) {
			beat(r, "10.0.0.1", 0, 100, 1)
			beat(r, "10.0.0.2", 100, 20, 1)
			beat(r, "10.0.0.1", 120, 100, 1)
			beat(r, "10.0.0.2", 900, 20, 1)
		}, []string{"10.0.0.1", "10.0.0.1"}},
		{"too few to be regular", func(r *run) {
			beat(r, "10.0.0.1", 0, 20, 1)
			beat(r, "10.0.0.2", 20, 200, 1)
		}, nil},
		{"a pause no longer than thrice the longest", func(r *run) {
			beat(r, "10.0.0.1", 0, 60, 1)
			beat(r, "10.0.0.1", 68, 607, 1)
			for at := int64(675); at < 700; at++ {
				beat(r, "10.0.0.2", at, 1, 1)
			}
			beat(r, "10.0.0.1", 700, 10, 1)
		}, nil},
		{"nobody watched for an hour", func(r *run) {
			beat(r, "10.0.0.1", 0, 100, 1)
			beat(r, "10.0.0.2", 3700, 10, 1)
		}, nil},
		{"time runs back, as between captures", func(r *run) {
			beat(r, "10.0.0.1", 50000, 100, 1)
			beat(r, "10.0.0.2", 0, 100, 1)
		}, nil},
		{"packets stop altogether and the clock goes on", func(r *run) {
			beat(r, "10.0.0.1", 0, 100, 1)
			for at := int64(100); at < 130; at++ {
				r.Tick(at * second)
			}
		}, []string{"10.0.0.1"}},
	} {
		r := start(load(t, rule))
		test.play(r)
		var got []string
		for _, a := range r.alerts {
			got = append(got, a.Server)
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestExpect: an event that is not followed by the expected one within the window is said as of when the window was over.
func TestExpect(t *testing.T) {
	const rule = "when: {proto: toy}\n  state: {by: [client, server, addr], window: 10s, expect: code == 5}\n  where: code == 1"
	for _, test := range []struct {
		name  string
		codes []uint16 // one each four seconds; 0 is a message of neither kind
		want  int
	}{
		{"followed", []uint16{1, 5, 0, 0, 0, 0}, 0},
		{"not followed", []uint16{1, 0, 0, 0, 0, 0}, 1},
		{"followed too late", []uint16{1, 0, 0, 0, 5, 0}, 1},
		{"asked twice", []uint16{1, 1, 0, 0, 0, 0}, 1},
		{"the end came before the window was over", []uint16{1, 0}, 0},
	} {
		r := start(load(t, rule))
		for i, code := range test.codes {
			m := message(int64(i)*4*second, "10.0.0.1", "10.0.0.2", code, 1)
			m.Msg.Points = []protocols.Point{{Addr: 7, N: 1}}
			r.Judge(m)
		}
		if len(r.alerts) != test.want {
			t.Errorf("%s: %d alerts, want %d", test.name, len(r.alerts), test.want)
		}
		for _, a := range r.alerts {
			if len(a.Points) != 1 || a.Points[0].Addr != 7 || a.Last.Unix() != 10 {
				t.Errorf("%s: points %v at %v", test.name, a.Points, a.Last)
			}
		}
	}
}

// TestAnswered: how many times in a row the expected event came before it did not. It begins anew after that.
func TestAnswered(t *testing.T) {
	const rule = "when: {proto: toy}\n  state: {by: [client, server], window: 10s, expect: code == 5}\n  where: code == 1 and answered >= 3"
	for _, test := range []struct {
		name  string
		codes []uint16 // one each four seconds; 0 is a message of neither kind
		want  int
	}{
		{"never", []uint16{1, 0, 0, 0, 1, 0, 0, 0}, 0},
		{"twice, and then not", []uint16{1, 5, 1, 5, 1, 0, 0, 0}, 0},
		{"three times, and then not", []uint16{1, 5, 1, 5, 1, 5, 1, 0, 0, 0}, 1},
		{"what comes unasked does not count", []uint16{1, 5, 5, 5, 5, 1, 0, 0, 0}, 0},
		{"nor what came before it once did not", []uint16{1, 5, 1, 5, 1, 0, 0, 0, 1, 5, 1, 0, 0, 0}, 0},
		{"one after the other, told once each", []uint16{1, 5, 1, 5, 1, 5, 1, 0, 0, 0, 1, 0, 0, 0}, 1},
	} {
		r := start(load(t, rule))
		for i, code := range test.codes {
			r.Judge(message(int64(i)*4*second, "10.0.0.1", "10.0.0.2", code, 1))
		}
		if len(r.alerts) != test.want {
			t.Errorf("%s: %d alerts, want %d", test.name, len(r.alerts), test.want)
		}
	}
}

// TestWords: what a state tells of what came before.
func TestWords(t *testing.T) {
	type step struct {
		at    int64
		code  uint16
		value float64
	}
	for _, test := range []struct {
		name, rule string
		steps      []step
		want       int
	}{
		{"prior within the window", "state: {by: [server], window: 10s, prior: code == 5}\n  where: not (code != 1 or not prior)", []step{{0, 5, 0}, {3, 1, 0}}, 1},
		{"prior out of the window", "state: {by: [server], window: 10s, prior: code == 5}\n  where: not (code != 1 or not prior)", []step{{0, 5, 0}, {13, 1, 0}}, 0},
		{"prior is remembered though the rule is about others", "state: {by: [server], window: 10s, prior: code == 5}\n  where: code == 1 and prior and prior_s > 2", []step{{0, 5, 0}, {3, 1, 0}}, 1},
		{"an event is not its own prior", "state: {by: [server], window: 10s, prior: code == 1}\n  where: prior", []step{{0, 1, 0}}, 0},
		{"changed", "state: {by: [server], window: 10s, last: value}\n  where: changed and value < previous", []step{{0, 1, 4}, {1, 1, 4}, {2, 1, 3}}, 1},
		{"only what counts", "state: {by: [server], window: 10s, only: code == 5}\n  where: count >= 2", []step{{0, 1, 0}, {1, 1, 0}, {2, 5, 0}}, 0},
	} {
		r := start(load(t, "when: {proto: toy}\n  "+test.rule))
		for _, s := range test.steps {
			m := message(s.at*second, "10.0.0.1", "10.0.0.2", s.code, 1)
			m.Msg.Points = []protocols.Point{{Addr: 7, N: 1, Value: s.value, Has: protocols.HasValue}}
			r.Judge(m)
		}
		if len(r.alerts) != test.want {
			t.Errorf("%s: %d alerts, want %d", test.name, len(r.alerts), test.want)
		}
	}
}

// TestEach: a rule may be asked for each point of a message.
func TestEach(t *testing.T) {
	r := start(load(t, "when: {proto: toy}\n  state: {each: true, by: [server, addr], window: 10s, last: value}\n  where: changed and value < previous\n  per: [addr]\n  observed: \"{addr}: {previous} to {value}\""))
	for i, values := range [][]float64{{1, 2, 3}, {1, 1, 4}, {1, 1, 2}} {
		m := message(int64(i)*second, "10.0.0.1", "10.0.0.2", 1, 1)
		for k, v := range values {
			m.Msg.Points = append(m.Msg.Points, protocols.Point{Addr: uint32(k), N: 1, Value: v, Has: protocols.HasValue})
		}
		r.Judge(m)
	}
	var got []string
	for _, a := range r.alerts {
		got = append(got, a.Observed)
	}
	if want := "[1: 2 to 1 2: 4 to 2]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// TestRate: windows follow each other, empty ones count, and what lies far above the usual does not become usual.
func TestRate(t *testing.T) {
	var r rate
	add := func(at int64) (int64, float64, float64, int64) {
		count := r.add(at*second, 60*second)
		return count, r.known.Usual, r.known.Most, r.known.Windows
	}
	at := int64(600)
	for range 20 {
		for range 6 {
			add(at)
			at += 10
		}
	}
	if n, usual, most, windows := add(at); n != 1 || usual != 6 || most != 6 || windows != 20 {
		t.Errorf("steady: count %d, usual %v, most %v, windows %d", n, usual, most, windows)
	}
	for range 600 {
		add(at)
	}
	if _, usual, most, _ := add(at + 60); usual > 7 || most > 6+3*3 {
		t.Errorf("a flood became usual: %v, most %v", usual, most)
	}
	if _, usual, _, windows := add(at + 600); usual > 6.1 || windows < 28 {
		t.Errorf("empty windows: usual %v of %d", usual, windows)
	}
	if n, _, _, windows := add(10); n != 1 || windows != 0 {
		t.Errorf("time ran back: count %d, windows %d", n, windows)
	}
}
