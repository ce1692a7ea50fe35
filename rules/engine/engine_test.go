package engine

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
)

// proto is a small protocol of the tests' own.
var proto = &protocols.Protocol{Name: "toy", Title: "Toy", TCP: []uint16{7}, Codes: []protocols.Code{
	{Code: 1, Name: "read", Op: protocols.Read}, {Code: 5, Name: "write", Op: protocols.Write}, {Code: 9, Name: "restart", Op: protocols.Restart}}}

// load compiles rules; each text is the body of a rule without what every rule has.
func load(t testing.TB, bodies ...string) []*lang.Rule {
	t.Helper()
	text := ""
	for i, body := range bodies {
		text += fmt.Sprintf(`
- id: T%d
  name: test
  severity: high
  attack: T0814
  message: "{client} sent {name} to {server}"
  help: {meaning: m, do: d}
  tests: [{fires: true, event: {}}, {fires: false, event: {}}]
  %s
`, i, body)
	}
	set, err := lang.NewVocabulary([]*protocols.Protocol{proto}).Load("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// run judges events and gathers the alerts; the last of those with one id is what counts.
type run struct {
	*Engine
	alerts []*rules.Alert
	last   map[string]*rules.Alert
	frame  uint64
}

func start(set []*lang.Rule) *run {
	r := &run{last: map[string]*rules.Alert{}}
	r.Engine = New(set, Options{Sensor: "s", Emit: func(a *rules.Alert) {
		if r.last[a.ID] == nil {
			r.alerts = append(r.alerts, a)
		}
		r.last[a.ID] = a
	}})
	return r
}

const second = int64(time.Second)

// message makes an event; the code's row names it.
func message(at int64, client, server string, code uint16, station uint32) *rules.Event {
	row, ok := proto.Code(code)
	if !ok {
		row = &protocols.Code{Name: "unknown"}
	}
	return &rules.Event{At: at, Msg: &protocols.Message{Proto: proto, HasCode: true, Code: code, Name: row.Name, Op: row.Op, HasStation: true, Station: station},
		Flow: rules.Flow{Client: netip.MustParseAddrPort(client + ":1000"), Server: netip.MustParseAddrPort(server + ":7"), Conn: 1}}
}

func (r *run) send(at int64, client, server string, code uint16, station uint32) {
	e := message(at, client, server, code, station)
	r.frame++
	e.Frame = r.frame
	r.Judge(e)
}

func TestIndex(t *testing.T) {
	for _, test := range []struct {
		name, when string
		edit       func(*rules.Event)
		fires      bool
	}{
		{"code", "{code: 5}", nil, true},
		{"other code", "{code: 1}", nil, false},
		{"op", "{op: write}", nil, true},
		{"other op", "{op: [read, restart]}", nil, false},
		{"name", "{name: write}", nil, true},
		{"other name", "{name: read}", nil, false},
		{"side", "{from: client}", nil, true},
		{"other side", "{from: server}", nil, false},
		{"proto", "{proto: toy}", nil, true},
		{"ok", "{ok: true}", nil, true},
		{"refused", "{ok: false}", nil, false},
		{"refusal", "{ok: false}", func(e *rules.Event) { e.Msg.Status = 2 }, true},
		{"fault", "{fault: [short, bad_code]}", func(e *rules.Event) { e.Msg.Faults = protocols.BadCode }, true},
		{"other fault", "{fault: short}", func(e *rules.Event) { e.Msg.Faults = protocols.BadCode }, false},
		{"no fault", "{fault: short}", nil, false},
		{"code above 255", "{code: 300}", func(e *rules.Event) { e.Msg.Code = 300 }, true},
		{"other code above 255", "{code: 300}", func(e *rules.Event) { e.Msg.Code = 301 }, false},
		{"codes that the index calls none", "{code: 256}", func(e *rules.Event) { e.Msg.HasCode = false }, false},
		{"name without code", "{name: keep alive}", func(e *rules.Event) { e.Msg.HasCode, e.Msg.Name = false, "keep alive" }, true},
		{"another protocol", "{op: write}", func(e *rules.Event) { e.Msg.Proto = &protocols.Protocol{Name: "other"} }, true},
		{"not another protocol", "{proto: toy}", func(e *rules.Event) { e.Msg.Proto = &protocols.Protocol{Name: "other"} }, false},
		{"kind of event", "{what: gap}", func(e *rules.Event) { e.What, e.Msg = rules.Gap, nil }, true},
		{"other kind of event", "{what: [gap, arp]}", func(e *rules.Event) { e.What, e.Msg = rules.Connection, nil }, false},
		{"outcome", "{what: connection, outcome: refused}", func(e *rules.Event) { e.What, e.Msg, e.Flow.Outcome = rules.Connection, nil, rules.Refused }, true},
		{"other outcome", "{what: connection, outcome: refused}", func(e *rules.Event) { e.What, e.Msg = rules.Connection, nil }, false},
		{"unframed", "{what: unframed, proto: toy, fault: unframed}", func(e *rules.Event) { e.What, e.Msg.Faults = rules.Unframed, protocols.Unframed }, true},
		{"unframed of another", "{what: unframed, proto: toy}", func(e *rules.Event) { e.What, e.Msg.Proto = rules.Unframed, &protocols.Protocol{Name: "other"} }, false},
	} {
		r := start(load(t, "when: "+test.when))
		e := message(0, "10.0.0.1", "10.0.0.2", 5, 1)
		if test.edit != nil {
			test.edit(e)
		}
		r.Judge(e)
		if got := len(r.alerts) > 0; got != test.fires {
			t.Errorf("%s: %s fires: got %v, want %v", test.name, test.when, got, test.fires)
		}
	}
}

func TestCount(t *testing.T) {
	set := load(t, `when: {code: 1}
  state: {by: [client], window: 8s}
  where: count >= 4`)
	for _, test := range []struct {
		name  string
		every int64
		n     int
		fires bool
	}{
		{"four in three seconds", second, 4, true},
		{"three", second, 3, false},
		{"slowly for ever", 3 * second, 100, false},
		{"at one instant", 0, 4, true},
	} {
		r := start(set)
		for i := range test.n {
			r.send(int64(i)*test.every, "10.0.0.1", "10.0.0.2", 1, 1)
		}
		if got := len(r.alerts) > 0; got != test.fires {
			t.Errorf("%s: got %v, want %v", test.name, got, test.fires)
		}
	}
	r := start(set)
	for i := range 3 {
		r.send(int64(i), "10.0.0.1", "10.0.0.2", 1, 1)
		r.send(int64(i), "10.0.0.3", "10.0.0.2", 1, 1)
		r.send(int64(i), "10.0.0.1", "10.0.0.2", 5, 1)
	}
	if len(r.alerts) != 0 {
		t.Error("keys, or events that the rule does not select, were mixed up")
	}
}

func TestDistinct(t *testing.T) {
	set := load(t, `when: {code: 1}
  state: {by: [client], window: 10s, distinct: station, cap: 4}
  where: distinct >= 4`)
	for _, test := range []struct {
		name     string
		stations []uint32
		every    int64
		fires    bool
	}{
		{"four", []uint32{1, 2, 3, 4}, second, true},
		{"three, again and again", []uint32{1, 2, 3, 1, 2, 3, 1, 2, 3}, second, false},
		{"four, one too old", []uint32{1, 2, 3, 4}, 4 * second, false},
	} {
		r := start(set)
		for i, s := range test.stations {
			r.send(int64(i)*test.every, "10.0.0.1", "10.0.0.2", 1, s)
		}
		if got := len(r.alerts) > 0; got != test.fires {
			t.Errorf("%s: got %v, want %v", test.name, got, test.fires)
		}
	}
}

func TestSequence(t *testing.T) {
	set := load(t, `when: {proto: toy}
  state: {by: [client, server], window: 10s, sequence: [code == 1, code == 5, code == 9]}
  where: done and code == 9`)
	for _, test := range []struct {
		name  string
		codes []uint16
		every int64
		fires bool
	}{
		{"in order", []uint16{1, 5, 9}, second, true},
		{"with others between", []uint16{1, 1, 5, 1, 9}, second, true},
		{"out of order", []uint16{5, 1, 9}, second, false},
		{"too slow", []uint16{1, 5, 9}, 6 * second, false},
		{"again after the window", []uint16{1, 5, 5, 5, 1, 5, 9}, 3 * second, true},
	} {
		r := start(set)
		for i, c := range test.codes {
			r.send(int64(i)*test.every, "10.0.0.1", "10.0.0.2", c, 1)
		}
		if got := len(r.alerts) > 0; got != test.fires {
			t.Errorf("%s: got %v, want %v", test.name, got, test.fires)
		}
	}
}

// TestStateCap fills a state with more keys than it may hold: the oldest make room, and the newest still count.
func TestStateCap(t *testing.T) {
	set := load(t, `when: {code: 1}
  state: {by: [client], window: 1h, keys: 100}
  where: count >= 2`)
	r := start(set)
	for i := range 1000 {
		r.send(int64(i), fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), "10.0.0.2", 1, 1)
	}
	s := r.Engine.run[0].state
	if len(s.cells) != 100 || len(s.index) != 100 {
		t.Errorf("%d cells and %d keys, want 100", len(s.cells), len(s.index))
	}
	if len(r.alerts) != 0 {
		t.Errorf("%d alerts, want none", len(r.alerts))
	}
	r.send(1001, "10.0.3.250", "10.0.0.2", 1, 1)
	r.send(1002, "10.0.0.1", "10.0.0.2", 1, 1)
	if len(r.alerts) != 1 || r.alerts[0].Client != "10.0.3.250" {
		t.Errorf("want an alert for the newest key and none for a forgotten one, got %d", len(r.alerts))
	}
}

func TestFold(t *testing.T) {
	r := start(load(t, "when: {code: 5}\n  quiet: 10m"))
	for i := range 30 {
		r.send(int64(i)*second, "10.0.0.1", "10.0.0.2", 5, 1)
	}
	if len(r.alerts) != 1 || r.alerts[0].Count != 1 || len(r.alerts[0].Frames) != 1 {
		t.Fatalf("the first event must give an alert at once and alone: %d alerts", len(r.alerts))
	}
	id := r.alerts[0].ID
	if r.last[id].Count != 1 {
		t.Errorf("repeats were emitted before the quiet time was over")
	}
	r.send(29*second+10*60*second+1, "10.0.0.1", "10.0.0.2", 5, 1)
	a := r.last[id]
	if a.Count != 30 || a.Last.Unix() != 29 || a.First.Unix() != 0 {
		t.Errorf("after the quiet time: count %d from %v to %v, want 30 from 0 s to 29 s", a.Count, a.First, a.Last)
	}
	want := "[1 2 3 4 5 6 7 8 9 10 21 22 23 24 25 26 27 28 29 30]"
	if got := fmt.Sprint(a.Frames); got != want {
		t.Errorf("frames\n got %s\nwant %s", got, want)
	}
	if len(r.alerts) != 2 || r.alerts[1].ID == id {
		t.Errorf("a repeat after the quiet time must be a new alert: %d alerts", len(r.alerts))
	}
	before := len(r.last)
	r.Flush()
	r.Flush()
	if len(r.last) != before || r.last[r.alerts[1].ID].Count != 1 {
		t.Error("flushing what was said already changes something")
	}
}

// TestSweep says the repeats of a finding when others go on, without a further event of its own.
func TestSweep(t *testing.T) {
	r := start(load(t, "when: {code: 5}\n  quiet: 1m", "when: {code: 9}"))
	r.send(0, "10.0.0.1", "10.0.0.2", 5, 1)
	r.send(second, "10.0.0.1", "10.0.0.2", 5, 1)
	r.send(120*second, "10.0.0.8", "10.0.0.9", 1, 1)
	if a := r.last[r.alerts[0].ID]; a.Count != 2 {
		t.Errorf("count %d, want 2", a.Count)
	}
}

func TestFanIn(t *testing.T) {
	r := start(load(t, "when: {code: 5}"))
	const clients = 400
	for i := range clients {
		r.send(int64(i)*second/100, fmt.Sprintf("10.9.%d.%d", i/200, i%200+1), "10.0.0.2", 5, 1)
	}
	r.Flush()
	if len(r.alerts) != fanClients {
		t.Fatalf("%d alerts, want %d", len(r.alerts), fanClients)
	}
	fan := r.last[r.alerts[fanClients-1].ID]
	if fan.Client != "" || fan.Server != "10.0.0.2" || fan.Count != clients-fanClients+1 {
		t.Errorf("fan: client %q, server %q, count %d", fan.Client, fan.Server, fan.Count)
	}
	want := "400 clients at 10.0.0.2 (10.9.0.1, 10.9.0.2, 10.9.0.3, 397 more), the first of them: 10.9.0.8 sent write to 10.0.0.2"
	if fan.Title != want {
		t.Errorf("title\n got %s\nwant %s", fan.Title, want)
	}
	for _, a := range r.alerts {
		if a.Incident != r.alerts[0].Incident {
			t.Errorf("alert %s is of incident %s, want %s", a.ID, a.Incident, r.alerts[0].Incident)
		}
	}
}

func TestFanOut(t *testing.T) {
	r := start(load(t, "when: {code: 5}"))
	for i := range 100 {
		r.send(int64(i)*second/10, "10.0.0.1", fmt.Sprintf("10.9.0.%d", i+1), 5, 1)
	}
	r.Flush()
	if len(r.alerts) != fanServers {
		t.Fatalf("%d alerts, want %d", len(r.alerts), fanServers)
	}
	if fan := r.last[r.alerts[fanServers-1].ID]; fan.Server != "" || fan.Client != "10.0.0.1" {
		t.Errorf("fan: client %q, server %q", fan.Client, fan.Server)
	}
}

func TestIncident(t *testing.T) {
	r := start(load(t, "when: {code: 5}", "when: {code: 9}"))
	r.send(0, "10.0.0.1", "10.0.0.2", 5, 1)
	r.send(60*second, "10.0.0.2", "10.0.0.3", 9, 1)         // the victim acts
	r.send(20*60*second, "10.0.0.7", "10.0.0.8", 5, 1)      // others
	r.send(3*3600*second, "10.0.0.1", "10.0.0.2", 9, 1)     // much later
	r.send(3*3600*second+1, "10.0.0.1", "10.0.0.20", 9, 1)  // and its actor goes on
	r.send(3*3600*second+2, "10.0.0.21", "10.0.0.20", 5, 1) // at a victim that another attacks
	in := func(i int) string { return r.alerts[i].Incident }
	if in(0) != in(1) || in(0) == in(2) || in(3) == in(0) || in(3) != in(4) || in(4) != in(5) {
		t.Errorf("incidents %s %s | %s | %s %s %s", in(0), in(1), in(2), in(3), in(4), in(5))
	}
}

// TestFlood gives more findings than are kept: none is lost, and the tables stay at their caps.
func TestFlood(t *testing.T) {
	r := start(load(t, "when: {code: 5}\n  per: [client, server, station]"))
	const n = 20000
	for i := range n {
		r.send(int64(i)*2*60*second, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), fmt.Sprintf("11.%d.%d.%d", i>>16, i>>8&255, i&255), 5, uint32(i))
	}
	r.Flush()
	if len(r.alerts) != n {
		t.Errorf("%d alerts, want %d", len(r.alerts), n)
	}
	if len(r.fold.cells) > maxFindings || len(r.fan.cells) > maxFans || len(r.cases.cells) > maxCases {
		t.Errorf("tables grew to %d, %d and %d", len(r.fold.cells), len(r.fan.cells), len(r.cases.cells))
	}
}

// TestDeterminism runs the same events twice; the alerts must be the same to the byte.
func TestDeterminism(t *testing.T) {
	set := load(t, "when: {code: 5}\n  quiet: 5s", "when: {op: [read, write]}\n  state: {by: [server], window: 10s, distinct: client}\n  where: distinct >= 3")
	play := func() string {
		out := ""
		g := New(set, Options{Sensor: "s", Emit: func(a *rules.Alert) {
			line, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			out += string(line) + "\n"
		}})
		for i := range 500 {
			e := message(int64(i)*3*second, fmt.Sprintf("10.0.0.%d", i*7%13+1), fmt.Sprintf("10.0.1.%d", i%5+1), []uint16{1, 5, 9}[i%3], uint32(i%2))
			e.Frame = uint64(i + 1)
			g.Judge(e)
		}
		g.Flush()
		return out
	}
	if a, b := play(), play(); a != b || a == "" {
		t.Errorf("two runs differ, or say nothing:\n%.400s\n%.400s", a, b)
	}
}

func TestScore(t *testing.T) {
	r := start(load(t, "when: {code: 5}\n  impact: 0.8\n  confidence: 0.9"))
	e := message(0, "10.0.0.1", "10.0.0.2", 5, 1)
	e.Facts = rules.Facts{Phase: rules.Enforce, Novel: rules.NewOp, Days: 3.5}
	r.Judge(e)
	if want := (rules.Score{Impact: 0.8, Novelty: 1, Confidence: 0.9 * 0.75}); r.alerts[0].Score != want {
		t.Errorf("got %v, want %v", r.alerts[0].Score, want)
	}
}
