package site

import (
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/lang"
)

const twoRules = `
- id: X01-restart
  name: restart
  severity: high
  attack: [T0816]
  when: {proto: dnp3, code: 13}
  message: "{client} restarted {server}"
  help: {meaning: m, do: d}
  tests:
    - {name: fires, fires: true, event: {code: 13, client: 10.0.0.5, station: 3}}
    - {name: quiet, fires: false, event: {code: 14}}
- id: X02-many
  name: many
  severity: low
  attack: [T0816]
  when: {proto: dnp3, code: 14}
  state: {by: [client], window: 60s}
  where: count >= 3
  message: "{client} did it {count} times"
  help: {meaning: m, do: d}
  tests:
    - {name: fires, fires: true, event: {code: 14, repeat: 4, client: 10.0.0.5}}
    - {name: quiet, fires: false, event: {code: 14, repeat: 2}}
- id: X03-steps
  name: steps
  severity: low
  attack: [T0816]
  when: {proto: dnp3, code: [3, 4]}
  state: {by: [client], window: 60s, sequence: [code == 3, code == 4]}
  message: "{client}"
  help: {meaning: m, do: d}
  tests:
    - {name: fires, fires: true, events: [{code: 3, client: 10.0.0.5}, {code: 4, client: 10.0.0.5}]}
    - {name: quiet, fires: false, event: {code: 3}}
`

func fixtures(t *testing.T) (*lang.Vocabulary, []*lang.Rule) {
	t.Helper()
	v := lang.NewVocabulary(catalog.All)
	set, err := v.Load("rules.yaml", []byte(twoRules))
	if err != nil {
		t.Fatal(err)
	}
	if errs := engine.Test(set); errs != nil {
		t.Fatal(errs)
	}
	return v, set
}

// play feeds the firing tests of all rules of from to the rules of set, and returns what each raised, as its severity.
func play(from, set []*lang.Rule) map[string]string {
	raised := map[string]string{}
	for _, r := range from {
		for i := range r.Tests {
			g := engine.New(set, engine.Options{Emit: func(a *rules.Alert) { raised[a.Rule] = a.Severity.String() }})
			if r.Tests[i].Fires {
				r.Tests[i].Each(g.Judge)
			}
		}
	}
	return raised
}

// TestApply: a rule that is off is silent, another weighs what the site says, and the original set is as it was.
func TestApply(t *testing.T) {
	v, set := fixtures(t)
	o, err := Load(v, "site.yaml", []byte(`
disable:
  - {rule: X02-many, reason: the tool does it, author: j.doe}
severity:
  - {rule: X01-restart, severity: notice, reason: test bay, author: j.doe}
exceptions:
`), set)
	if err != nil {
		t.Fatal(err)
	}
	got := play(set, o.Apply(set, time.Time{}))
	if want := (map[string]string{"X01-restart": "notice", "X03-steps": "low"}); len(got) != 2 || got["X01-restart"] != want["X01-restart"] || got["X03-steps"] != "low" {
		t.Errorf("raised %v, want %v", got, want)
	}
	if got := play(set, set); len(got) != 3 || got["X01-restart"] != "high" {
		t.Errorf("the rules were changed: %v", got)
	}
	var none *Overrides
	if got := none.Apply(set, time.Now()); len(got) != len(set) {
		t.Errorf("no site file leaves %d of %d rules", len(got), len(set))
	}
}

// TestExceptions: what an exception keeps back is counted, once for each time that the rule would have fired; other
// events still fire, and so does the rule when the exception's time is over.
func TestExceptions(t *testing.T) {
	for _, c := range []struct {
		rule, where, until string
		fires              bool
		suppressed         uint64
	}{
		{"X01-restart", `client == "10.0.0.5" and station == 3`, "2026-01-05", false, 1}, // its last day is that of the events
		{"X01-restart", `client == "10.0.0.6"`, "2026-01-05", true, 0},
		{"X01-restart", `client == "10.0.0.0/8"`, "2026-01-04", true, 0}, // over
		{"X02-many", `client == "10.0.0.5"`, "2026-06-01", false, 2},     // the third and the fourth
		{"X02-many", `client != "10.0.0.5"`, "2026-06-01", true, 0},
		{"X03-steps", `client == "10.0.0.5"`, "2026-06-01", false, 1},
		{"X03-steps", `client == "10.0.0.9"`, "2026-06-01", true, 0},
	} {
		v, set := fixtures(t)
		o, err := Load(v, "site.yaml", []byte("exceptions:\n  - {rule: "+c.rule+", where: '"+c.where+"', until: "+c.until+", reason: r, author: a}\n"), set)
		if err != nil {
			t.Fatal(err)
		}
		raised := play(set, o.Apply(set, time.Time{}))
		if _, fires := raised[c.rule]; fires != c.fires || o.Suppressed()[c.rule] != c.suppressed || len(raised) < 2 {
			t.Errorf("%s where %s until %s: raised %v, suppressed %v; want fires %v, %d", c.rule, c.where, c.until, raised, o.Suppressed(), c.fires, c.suppressed)
		}
		next, err := Load(v, "site.yaml", []byte("exceptions:\n  - {rule: "+c.rule+", where: '"+c.where+"', until: 2030-01-01, reason: r, author: a}\n"), set)
		if err != nil {
			t.Fatal(err)
		}
		if next.Carry(o); next.Suppressed()[c.rule] != c.suppressed {
			t.Errorf("%s: counting begins anew: %v", c.rule, next.Suppressed())
		}
	}
}

// TestExpired: an exception that is over at the start is named and does not apply, whatever the time of the packets.
func TestExpired(t *testing.T) {
	v, set := fixtures(t)
	o, err := Load(v, "site.yaml", []byte(`exceptions: [{rule: X01-restart, where: code == 13, until: 2026-11-20, reason: r, author: a}]`), set)
	if err != nil {
		t.Fatal(err)
	}
	for now, over := range map[string]bool{"2026-11-20T23:59:59Z": false, "2026-11-21T00:00:00Z": true} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.Expired(at); (len(got) == 1) != over {
			t.Errorf("at %s expired: %v", now, got)
		}
		if _, fires := play(set, o.Apply(set, at))["X01-restart"]; fires != over {
			t.Errorf("at %s the rule fires: %v", now, fires)
		}
	}
}

// TestLoadErrors: everything that is wrong is refused with its line and column and with what to do, all at once.
func TestLoadErrors(t *testing.T) {
	v, set := fixtures(t)
	for _, c := range []struct{ text, want string }{
		{"disable: [{rule: X01-restrat, reason: r, author: a}]", `s.yaml:1:18: unknown rule "X01-restrat"; did you mean "X01-restart"?`},
		{"disable: [{rule: X02, reason: r, author: a}]", `s.yaml:1:18: unknown rule "X02"; did you mean "X02-many"?`},
		{"disable: [{rule: zzzzzzzzzzzz, reason: r, author: a}]", "`roje-sensor rules list` shows all ids"},
		{"disable: [{rule: X02-many, author: a}]", "s.yaml:1:11: a disabled rule has no reason; say why"},
		{"disable: [{rule: X02-many, reason: ' ', author: a}]", "s.yaml:1:36: reason is empty"},
		{"disable: [{rule: X02-many, reason: r}]", "a disabled rule has no author"},
		{"disable: [{reason: r, author: a}]", "a disabled rule has no rule"},
		{"disabel: []", `s.yaml:1:1: unknown key "disabel"; did you mean "disable"?`},
		{"disable: X02-many", "s.yaml:1:10: disable must be a list; start each entry with `- rule: ...`"},
		{"disable: [X02-many]", "s.yaml:1:11: a disabled rule must be a mapping"},
		{"disable:\n- {rule: X02-many, reason: r, author: a}\n- {rule: X02-many, reason: r, author: a}", "s.yaml:3:3: rule X02-many is also on line 2"},
		{"severity: [{rule: X02-many, severity: hihg, reason: r, author: a}]", `s.yaml:1:39: unknown severity "hihg"; did you mean "high"?`},
		{"severity: [{rule: X02-many, reason: r, author: a}]", "has no severity"},
		{"exceptions: [{rule: X02-many, where: code == 14, until: tomorrow, reason: r, author: a}]", `s.yaml:1:57: "tomorrow" is no date; write the last day, like 2027-03-31`},
		{"exceptions: [{rule: X02-many, where: code == 14, until: 2026-02-30, reason: r, author: a}]", "is no date"},
		{"exceptions: [{rule: X02-many, where: code == 14, reason: r, author: a}]", "an exception has no until"},
		{"exceptions: [{rule: X02-many, until: 2027-01-01, reason: r, author: a}]", "an exception has no where; say where it applies"},
		{"exceptions: [{rule: X02-many, where: clinet == 14, until: 2027-01-01, reason: r, author: a}]", `s.yaml:1:38: unknown word "clinet"; did you mean "client"?`},
		{"exceptions: [{rule: X02-many, where: count > 3, until: 2027-01-01, reason: r, author: a}]", "cannot look at the state"},
		{"exceptions: [{rule: X02-many, where: [a], until: 2027-01-01, reason: r, author: a}]", "where must be a text"},
		{"disable: [", "s.yaml:1"},
		{"- a", "s.yaml:1:1: a site file must be a mapping"},
		{"disable: &a []\nseverity: *a", "severity must be a list"},
		{"disable: []\ndisable: []", `s.yaml:2:1: key "disable" twice`},
		{strings.Repeat("#", maxBytes+1), "at most 1048576 bytes"},
	} {
		o, err := Load(v, "s.yaml", []byte(c.text), set)
		if err == nil || !strings.Contains(err.Error(), c.want) || o != nil {
			t.Errorf("%.80s\ngives %v, want %s", c.text, err, c.want)
		}
	}
	_, err := Load(v, "s.yaml", []byte("disable: [{rule: X9, reason: r, author: a}]\nseverity: [{rule: X02-many, severity: x, reason: r, author: a}]"), set)
	if n := strings.Count(err.Error(), "s.yaml:"); n != 2 {
		t.Errorf("%d errors at once, want 2: %v", n, err)
	}
	for _, text := range []string{"", "# nothing\n", "disable:\n"} {
		if o, err := Load(v, "s.yaml", []byte(text), set); err != nil || len(o.Disabled) != 0 {
			t.Errorf("%q: %v %v", text, o, err)
		}
	}
}
