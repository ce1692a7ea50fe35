package engine

import (
	"reflect"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
)

const carried = `
- id: X01-count
  name: n
  severity: high
  attack: [T0816]
  when: {proto: dnp3, code: 13}
  state: {by: [client], window: 60s}
  where: count >= 10
  message: "{client} {count}"
  help: {meaning: m, do: d}
  tests:
    - {fires: true, event: {code: 13, repeat: 16}}
    - {fires: false, event: {code: 14}}
- id: X02-wait
  name: n
  severity: high
  attack: [T0816]
  when: {proto: dnp3, code: 14}
  state: {by: [client], window: 10s, expect: code == 15}
  message: "{client}"
  help: {meaning: m, do: d}
  tests:
    - {fires: true, events: [{code: 14}, {code: 1, at: 12s}]}
    - {fires: false, events: [{code: 14}, {code: 15, at: 1s}]}
- id: X03-each
  name: n
  severity: low
  attack: [T0816]
  when: {proto: dnp3, code: 16}
  message: "{client}"
  help: {meaning: m, do: d}
  tests:
    - {fires: true, event: {code: 16, repeat: 6}}
    - {fires: false, event: {code: 1}}
`

func loadCarried(t *testing.T, text string) []*lang.Rule {
	t.Helper()
	set, err := lang.NewVocabulary(catalog.All).Load("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// split plays the first test of each rule, half of it on one engine and half on a second that carries on from it.
func split(t *testing.T, from, to []*lang.Rule, carry bool) (last map[string]*rules.Alert, ids map[string]int) {
	t.Helper()
	last, ids = map[string]*rules.Alert{}, map[string]int{}
	for i := range from {
		seen := map[string]bool{}
		o := Options{Sensor: "s", Emit: func(a *rules.Alert) {
			last[a.Rule] = a
			if !seen[a.ID] {
				seen[a.ID] = true
				ids[a.Rule]++
			}
		}}
		var all []rules.Event
		from[i].Tests[0].Each(func(e *rules.Event) { all = append(all, *e) })
		g := New(from, o)
		for k := range all[:len(all)/2] {
			g.Judge(&all[k])
		}
		if carry {
			h := New(to, o)
			h.Carry(g)
			g = h
		}
		for k := range all[len(all)/2:] {
			g.Judge(&all[len(all)/2+k])
		}
		g.Flush()
	}
	return last, ids
}

// TestCarry: with the rules exchanged in the midst of what they watch, the same alerts come as without, where the rule is
// the same; also after rules came before it, so that all numbers shift.
func TestCarry(t *testing.T) {
	set := loadCarried(t, carried)
	want, wantIDs := split(t, set, set, false)
	if len(want) != 3 || want["X01-count"].Count != 7 || want["X03-each"].Count != 6 {
		t.Fatalf("the rules do not fire as this test expects: %v", want)
	}
	first := strings.Replace(carried[strings.Index(carried, "- id: X03"):], "X03-each", "X00-new", 1)
	for name, to := range map[string][]*lang.Rule{"same": loadCarried(t, carried), "shifted": loadCarried(t, first+carried)} {
		got, ids := split(t, set, to, true)
		for id, a := range want {
			if b := got[id]; b == nil || b.ID != a.ID || b.Count != a.Count || b.Incident != a.Incident || b.Title != a.Title || ids[id] != wantIDs[id] {
				t.Errorf("%s: %s: %+v (%d), want %+v (%d)", name, id, got[id], ids[id], a, wantIDs[id])
			}
		}
	}
}

// TestCarryChanged: a rule that is not the same begins anew and its findings end, what they counted said; others go on.
func TestCarryChanged(t *testing.T) {
	set := loadCarried(t, carried)
	changed := loadCarried(t, strings.NewReplacer("count >= 10", "count >= 9", `code: 16}
  message: "{client}"`, `code: 16}
  message: "{client}!"`).Replace(carried))
	got, ids := split(t, set, changed, true)
	if got["X01-count"] != nil { // eight events before and eight after, of which neither half is nine
		t.Errorf("%+v", got["X01-count"])
	}
	if got["X02-wait"] == nil {
		t.Error("what an unchanged rule waits for is forgotten")
	}
	if got["X03-each"] == nil || got["X03-each"].Count != 3 || ids["X03-each"] != 2 {
		t.Errorf("%+v, %d alerts", got["X03-each"], ids["X03-each"])
	}
	old := New(set, Options{Emit: func(*rules.Alert) {}})
	if n := New(changed, Options{Emit: func(*rules.Alert) {}}).Carry(old); n != 1 {
		t.Errorf("%d rules kept, want 1", n)
	}
}

// TestCarryAll names every field of an engine and of a rule that runs: whoever adds one says here whether Carry must know
// of it.
func TestCarryAll(t *testing.T) {
	known := map[string]string{
		"emit": "new", "sensor": "new", "env": "new", "index": "new", "run": "renumbered", "waits": "new", "zones": "new",
		"fold": "carried", "fan": "carried", "cases": "carried", "causes": "carried", "swept": "carried", "ticked": "carried", "resume": "carried", "seed": "carried", "budget": "carried",
		"Rule": "new", "state": "carried", "watch": "carried", "number": "carried", "covered": "new",
	}
	for _, of := range []reflect.Type{reflect.TypeFor[Engine](), reflect.TypeFor[running]()} {
		for i := range of.NumField() {
			if name := of.Field(i).Name; known[name] == "" {
				t.Errorf("%s.%s: say in Carry and here what becomes of it when rules are exchanged", of.Name(), name)
			}
		}
	}
}
