package engine

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
)

// lent is a coder that keeps the events themselves.
type lent struct{ events []rules.Event }

func (l *lent) Append(dst []byte, e *rules.Event) []byte {
	c := &codec{b: dst}
	n, kept := len(l.events), *e
	if e.Msg != nil {
		m := *e.Msg
		m.Points = append([]protocols.Point(nil), m.Points...)
		kept.Msg = &m
	}
	l.events = append(l.events, kept)
	number(c, &n)
	return c.b
}

func (l *lent) Read(b []byte) (*rules.Event, []byte, error) {
	c, n := &codec{b: b, read: true}, 0
	if number(c, &n); c.bad || n < 0 || n >= len(l.events) {
		return nil, nil, errPart
	}
	return &l.events[n], c.b, nil
}

// restarted is r after its sensor was started anew, with rules set.
func restarted(t *testing.T, r *run, set []*lang.Rule, same bool) (*run, Restored) {
	t.Helper()
	next := &run{alerts: r.alerts, last: r.last, frame: r.frame}
	next.Engine = New(set, Options{Sensor: "s", Seed: uint64(r.seed), Emit: func(a *rules.Alert) {
		if next.last[a.ID] == nil {
			next.alerts = append(next.alerts, a)
		}
		next.last[a.ID] = a
	}})
	m, events := next.Restore(), &lent{}
	for i := range r.Parts() {
		if err := m.Part(r.AppendPart(nil, i, events), events); err != nil {
			t.Fatal(err)
		}
	}
	return next, m.Done(same)
}

// everything is rules of all kinds of memory.
var everything = []string{
	"when: {code: 1}\n  state: {by: [client, server], window: 60s, distinct: station, cap: 8}\n  where: distinct > 6",
	"when: {code: 1}\n  state: {by: [client], window: 60s, rate: true}\n  where: windows > 3 and count > 5 * usual",
	"when: {code: [1, 5]}\n  state: {by: [client], window: 60s, sequence: [code == 1, code == 5, code == 1]}\n  where: done",
	"when: {code: 1}\n  state: {by: [client, server], window: 60s, prior: station == 1, last: station}\n  where: prior and changed and station == 3",
	"when: {code: 1}\n  state: {silence: true, by: [server], window: 10s}\n  per: [server]",
	"when: {code: 1}\n  state: {silence: true, by: [client, server], window: 10s, alive: [server]}\n  per: [client, server]",
	"when: {code: 5}\n  state: {by: [client], window: 30s, expect: code == 9}",
	"when: {code: 9}\n  quiet: 20s",
}

// story is traffic that makes them all remember and find something.
func story(r *run, from, to int) {
	for i := from; i < to; i++ {
		at := 1e15 + int64(i)*second
		r.send(at, "10.0.0.1", "10.0.0.2", 1, uint32(i%8))
		if i < 250 {
			r.send(at, "10.0.0.1", "10.0.0.3", 1, uint32(i%3))
		}
		if i%50 == 20 {
			r.send(at, fmt.Sprintf("10.0.0.%d", 10+i%9), "10.0.0.2", 5, 1)
		}
		if i%40 == 7 {
			r.send(at, "10.0.0.8", "10.0.0.2", 9, 1)
		}
		if i >= 300 && i < 330 {
			for k := range 30 {
				r.send(at, fmt.Sprintf("10.0.1.%d", k), "10.0.0.2", 9, 1)
			}
		}
		r.Tick(at + second/2)
	}
}

// TestSave: an engine comes back as it was, and every field of what it remembers is named here, so that whoever adds one
// says whether it is saved.
func TestSave(t *testing.T) {
	set := load(t, everything...)
	r := start(set)
	story(r, 0, 400)
	if len(r.alerts) < 6 || len(r.causes) == 0 || len(r.fan.cells) == 0 || len(r.fold.index) < 3 {
		t.Fatalf("%d alerts, %d causes, %d fans, %d findings: too little is remembered", len(r.alerts), len(r.causes), len(r.fan.cells), len(r.fold.index))
	}
	back, said := restarted(t, r, set, true)
	if said.Rules != len(set) || said.Changed != 0 || said.Findings != len(r.fold.index) || said.At != r.ticked || said.Keys == 0 {
		t.Errorf("%+v", said)
	}
	for i, x := range r.Engine.run {
		y := back.Engine.run[i]
		if x.number != y.number {
			t.Errorf("rule %d has number %d, want %d", i, y.number, x.number)
		}
		equal(t, x.ID, byKey(y.state), byKey(x.state))
		equal(t, x.ID, watched(y.watch), watched(x.watch))
	}
	equal(t, "findings", found(back.fold), found(r.fold))
	equal(t, "flaps", back.fold.flaps, r.fold.flaps)
	equal(t, "fans", fansByKey(back.fan), fansByKey(r.fan))
	equal(t, "causes", back.causes, r.causes)
	back.cases.meter.all = r.cases.meter.all // counted since a start
	equal(t, "meter", back.cases.meter, r.cases.meter)
	equal(t, "buckets", back.cases.hosts, r.cases.hosts)
	equal(t, "bucket", []bucket{back.cases.sensor, back.cases.grave}, []bucket{r.cases.sensor, r.cases.grave})

	for of, want := range map[reflect.Type]string{
		reflect.TypeFor[cellState]():               "slots first values step started prior last hasPrior hasLast rate",
		reflect.TypeFor[rate]():                    "number start known count n mean square spread most excess part",
		reflect.TypeFor[waiting]():                 "parent armed due last longest first n event msg points",
		reflect.TypeFor[memory[uint64, waiting]](): "index cells keys used",
		reflect.TypeFor[keyed[waiting]]():          "memory hot",
		reflect.TypeFor[watch]():                   "State keyed seed hosts alive next",
		reflect.TypeFor[state]():                   "State keyed seed",
		reflect.TypeFor[finding]():                 "key rule alert sentence emitted first last count head tail tailN many open flaps",
		reflect.TypeFor[fold]():                    "memory free flaps",
		reflect.TypeFor[fanCell]():                 "hosts last",
		reflect.TypeFor[caseCell]():                "incident opened last",
		reflect.TypeFor[bucket]():                  "left at storm open",
		reflect.TypeFor[budget]():                  "hosts sensor grave",
		reflect.TypeFor[meter]():                   "budget number incidents gathered digest hosts rules before known all",
		reflect.TypeFor[cause]():                   "key words client",
	} {
		var names []string
		for i := range of.NumField() {
			names = append(names, of.Field(i).Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s has %q, known here are %q: say in the codec and here what becomes of it over a restart", of, got, want)
		}
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// byKey is what a state remembers, without where.
func byKey(s *state) map[uint64]cellState {
	all := map[uint64]cellState{}
	if s == nil {
		return nil
	}
	for key, i := range s.index {
		c := s.cells[i]
		if len(c.values) == 0 {
			c.values = nil
		}
		all[key] = c
	}
	return all
}

func watched(w *watch) map[uint64]string {
	all := map[uint64]string{}
	if w == nil {
		return nil
	}
	for key, i := range w.index {
		c := &w.cells[i]
		all[key] = fmt.Sprint(c.armed, c.due, c.last, c.longest, c.first, c.n, c.event.At, c.event.Flow, c.msg.Name, c.points, len(c.msg.Points), w.Alive != nil && w.alive[c.parent] > 0)
	}
	return all
}

func found(f *fold) (all []string) {
	for _, x := range f.all() {
		y := *x
		y.rule, y.alert = nil, nil
		alert, _ := json.Marshal(x.alert)
		all = append(all, fmt.Sprintf("%s %s %+v", x.rule.ID, alert, y))
	}
	return all
}

func fansByKey(f *fan) map[fanKey]fanCell {
	all := map[fanKey]fanCell{}
	for key, i := range f.index {
		all[key] = f.cells[i]
	}
	return all
}

// TestRestart: the same alerts come, with the same counts, whether the sensor is started anew in the midst or not. Only what
// must follow an event is not waited for, since it may have come meanwhile.
func TestRestart(t *testing.T) {
	set := load(t, everything...)
	want := start(set)
	story(want, 0, 400)
	want.Flush()
	for _, cut := range []int{1, 45, 180, 261, 310, 350} {
		r := start(set)
		story(r, 0, cut)
		r, _ = restarted(t, r, load(t, everything...), true)
		story(r, cut, 400)
		r.Flush()
		waited := 0
		for id, a := range want.last {
			b := r.last[id]
			switch {
			case b == nil && a.Rule == "T6":
				waited++
			case b == nil || b.Count != a.Count || b.Incident != a.Incident || b.Title != a.Title || fmt.Sprint(b.Frames) != fmt.Sprint(a.Frames):
				t.Errorf("cut at %d: %s: %+v\nwant %+v", cut, a.Rule, b, a)
			}
		}
		if waited > 1 || len(r.last)+waited != len(want.last) {
			t.Errorf("cut at %d: %d alerts, want %d; %d were not waited for", cut, len(r.last), len(want.last), waited)
		}
	}
}

// TestRestartSilence: time in which the sensor was down is no silence; what came regularly is expected again, and need not
// be learned again.
func TestRestartSilence(t *testing.T) {
	set := load(t, "when: {code: 1}\n  state: {silence: true, by: [server], window: 10s}\n  per: [server]\n  observed: \"{quiet_s} after {longest_s}\"")
	beat := func(r *run, server string, from, to int64) {
		for at := from; at < to; at++ {
			r.send(at*second, "10.0.0.9", server, 1, 1)
		}
	}
	pass := func(r *run, from, to int64) {
		for at := from; at < to; at++ {
			r.Tick(at * second)
		}
	}
	const from = 1_000_000
	for _, test := range []struct {
		name   string
		before func(*run)
		same   bool
		after  func(*run)
		want   []string
	}{
		{"down for an hour", func(r *run) { beat(r, "10.0.0.1", from, from+100) }, true, func(r *run) { beat(r, "10.0.0.1", from+3700, from+3800) }, nil},
		{"down for a minute, and packets come late", func(r *run) { beat(r, "10.0.0.1", from, from+100) }, true,
			func(r *run) { pass(r, from+160, from+168); beat(r, "10.0.0.1", from+168, from+200) }, nil},
		{"down within a silence that goes on", func(r *run) { beat(r, "10.0.0.1", from, from+100); pass(r, from+100, from+106) }, true,
			func(r *run) { pass(r, from+108, from+140) }, []string{"10.0.0.1: 10 after 1, 1 times"}},
		{"down while it fell silent", func(r *run) { beat(r, "10.0.0.1", from, from+100) }, true,
			func(r *run) { pass(r, from+4000, from+4040) }, []string{"10.0.0.1: 10 after 1, 1 times"}},
		{"its silence was said", func(r *run) { beat(r, "10.0.0.1", from, from+100); pass(r, from+100, from+130) }, true,
			func(r *run) { pass(r, from+160, from+300) }, []string{"10.0.0.1: 10 after 1, 1 times"}},
		{"its silence was said, and it comes back and stops again", func(r *run) { beat(r, "10.0.0.1", from, from+100); pass(r, from+100, from+130) }, true,
			func(r *run) { beat(r, "10.0.0.1", from+160, from+165); pass(r, from+165, from+190) }, []string{"10.0.0.1: 10 after 1, 2 times"}},
		{"other ports are watched now", func(r *run) { beat(r, "10.0.0.1", from, from+100) }, false, func(r *run) { pass(r, from+130, from+300) }, nil},
		{"other ports, and it is heard at one of them and stops", func(r *run) { beat(r, "10.0.0.1", from, from+100) }, false,
			func(r *run) { beat(r, "10.0.0.1", from+130, from+133); pass(r, from+133, from+160) }, []string{"10.0.0.1: 10 after 1, 1 times"}},
		{"too few before", func(r *run) { beat(r, "10.0.0.1", from, from+40) }, true, func(r *run) { pass(r, from+100, from+200) }, nil},
		{"down for eight days", func(r *run) { beat(r, "10.0.0.1", from, from+100) }, true,
			func(r *run) {
				pass(r, from+8*86400, from+8*86400+100)
				beat(r, "10.0.0.1", from+8*86400+100, from+8*86400+110)
			}, nil},
		{"time runs back", func(r *run) { beat(r, "10.0.0.1", from, from+100) }, true, func(r *run) { pass(r, from-1000, from-900) }, nil},
	} {
		r := start(set)
		test.before(r)
		r, _ = restarted(t, r, set, test.same)
		test.after(r)
		r.Flush()
		var got []string
		for _, a := range r.alerts {
			got = append(got, fmt.Sprintf("%s: %s, %d times", a.Server, a.Observed, r.last[a.ID].Count))
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestRestartRate: what is usual is known over a restart, and the time in which nobody watched does not make it less.
func TestRestartRate(t *testing.T) {
	set := load(t, "when: {code: 1}\n  state: {by: [client], window: 60s, rate: true}\n  where: windows >= 30 and count > 3 * usual\n  observed: \"{usual}\"")
	const from = 60_000_000
	for _, away := range []int64{7, 90, 1800, 6 * 3600} { // within a window, few, less than a pause and many more
		r := start(set)
		at := int64(from)
		for ; at < from+40*60+30; at++ {
			r.send(at*second, "10.0.0.1", "10.0.0.2", 1, 1)
		}
		r, _ = restarted(t, r, set, true)
		for at += away; at%60 != 0; at++ { // the rest of a window
			r.send(at*second, "10.0.0.1", "10.0.0.2", 1, 1)
		}
		for range 200 {
			r.send(at*second, "10.0.0.1", "10.0.0.2", 1, 1)
		}
		if len(r.alerts) != 1 || r.alerts[0].Observed != "60" {
			t.Errorf("away for %d s: %d alerts, want one where 60 are usual: %+v", away, len(r.alerts), r.alerts)
		}
	}
}

// TestRestartChanged: a rule that is not the same begins anew, and so does one whose memory is of one run; what was not said
// of their findings is said.
func TestRestartChanged(t *testing.T) {
	count := "when: {code: 1}\n  state: {by: [%s], window: 60s}\n  per: [%s]\n  where: count >= %d"
	for _, test := range []struct {
		name     string
		was, now string
		want     string // alerts, and their counts
		changed  int
	}{
		{"the same", fmt.Sprintf(count, "client", "client", 5), fmt.Sprintf(count, "client", "client", 5), "12", 0},
		{"another", fmt.Sprintf(count, "client", "client", 5), fmt.Sprintf(count, "client", "client", 6), "4 3", 1},
		{"of one run", fmt.Sprintf(count, "connection", "client", 5), fmt.Sprintf(count, "connection", "client", 5), "4 4", 0},
	} {
		r := start(load(t, "when: {code: 9}", test.was))
		for i := range 8 {
			r.send(1e15+int64(i)*second, "10.0.0.1", "10.0.0.2", 1, 1)
		}
		r, said := restarted(t, r, load(t, "when: {code: 9}", test.now), true)
		if said.Changed != test.changed {
			t.Errorf("%s: %d rules changed, want %d", test.name, said.Changed, test.changed)
		}
		for i := range 8 {
			r.send(1e15+int64(8+i)*second, "10.0.0.1", "10.0.0.2", 1, 1)
		}
		r.Flush()
		var got []string
		for _, a := range r.alerts {
			got = append(got, fmt.Sprint(r.last[a.ID].Count))
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: alerts that count %q, want %q", test.name, got, test.want)
		}
		if again, _ := restarted(t, r, load(t, "when: {code: 9}", test.now), true); again.Engine.run[0].number == again.Engine.run[1].number {
			t.Errorf("%s: two rules have number %d", test.name, again.Engine.run[0].number)
		}
	}
}

// FuzzPart: no bytes make a part that breaks more than itself; what was taken can be judged with and saved again.
func FuzzPart(f *testing.F) {
	set := load(f, everything...)
	r := start(set)
	for i := range int64(60) {
		r.send(1e15+i*second, "10.0.0.1", "10.0.0.2", uint16(1+i/40*4), 1)
		r.send(1e15+i*second, "10.0.0.1", "10.0.0.2", 9, 1)
	}
	events := &lent{}
	var parts [][]byte
	for i := range r.Parts() {
		parts = append(parts, r.AppendPart(nil, i, events))
		f.Add(i, parts[i])
	}
	f.Fuzz(func(t *testing.T, n int, b []byte) {
		g := start(set)
		m := g.Restore()
		for i, part := range parts {
			if i == n {
				part = b
			}
			if m.Part(part, events) != nil {
				return
			}
		}
		m.Done(true)
		story(g, 60, 64)
		for i := range g.Parts() {
			g.AppendPart(nil, i, events)
		}
		g.Flush()
	})
}
