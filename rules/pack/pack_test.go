package pack_test

import (
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/rules/pack"
)

// catalogue is the number of a detection and a slug.
var catalogue = regexp.MustCompile(`^[RACDPLBV][0-9]{2}-[a-z0-9-]+$`)

// TestRules loads the shipped rules, which runs every test inside them, and holds what every shipped rule has.
func TestRules(t *testing.T) {
	set, err := pack.Rules(catalog.All)
	if err != nil {
		t.Fatal(err)
	}
	if len(set) < 25 {
		t.Errorf("%d rules", len(set))
	}
	alone := 0 // rules that fire without a baseline
	for _, r := range set {
		if !catalogue.MatchString(r.ID) {
			t.Errorf("%s: an id is the number of a detection and a slug", r.ID)
		}
		if len(r.Techniques) == 0 || r.Help.FalsePositives == "" || r.Name == "" {
			t.Errorf("%s: techniques %v, false positives %q", r.ID, r.Techniques, r.Help.FalsePositives)
		}
		title := ""
		for i := range r.Tests {
			if title == "" && r.Tests[i].Fires {
				title = fire(r, &r.Tests[i])
			}
		}
		if !strings.Contains(title, "2026-01-05 ") || strings.Contains(title, "unknown") || strings.Contains(title, "  ") || !strings.Contains(title, "10.") && !strings.Contains(title, "192.168.") {
			t.Errorf("%s: a sentence says who and when, and nothing unknown: %s", r.ID, title)
		}
		if strings.Count(title, ";") != 1 && strings.Count(title, ";") != 2 {
			t.Errorf("%s: a sentence says what happened; and why it matters: %s", r.ID, title)
		}
		if !strings.Contains(strings.Join(facts(r), " "), "new_") {
			alone++
		}
	}
	if alone < 20 {
		t.Errorf("only %d rules need no baseline", alone)
	}
}

// fire returns the sentence of the last alert that a rule raises on one of its tests.
func fire(r *lang.Rule, test *lang.Test) (title string) {
	g := engine.New([]*lang.Rule{r}, engine.Options{Emit: func(a *rules.Alert) { title = a.Title }})
	test.Each(g.Judge)
	return title
}

// facts are the words of novelty that the rule's firing tests set.
func facts(r *lang.Rule) (words []string) {
	for i := range r.Tests {
		if r.Tests[i].Fires {
			words = append(words, r.Tests[i].Words()...)
		}
	}
	return words
}

const rule = `- id: %
  name: n
  severity: low
  attack: [T0814]
  when: {proto: modbus, code: 3}
  message: "{client} at {at}"
  help: {meaning: m, do: d}
  tests: [{name: a, fires: true, event: {code: 3}}, {name: b, fires: false, event: {code: 4}}]
`

// TestLoad: a site's folder is taken as a whole or not at all.
func TestLoad(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	one, two := strings.Replace(rule, "%", "S1-one", 1), strings.Replace(rule, "%", "S2-two", 1)
	for _, test := range []struct {
		name  string
		files fstest.MapFS
		rules int
		err   string
	}{
		{"two files", fstest.MapFS{"a.yaml": file(one), "b.yaml": file(two)}, 2, ""},
		{"others are left alone", fstest.MapFS{"a.yaml": file(one), "README.md": file("- id: x"), "sub/b.yaml": file("nonsense: [")}, 1, ""},
		{"nothing", fstest.MapFS{}, 0, ""},
		{"an id in two files", fstest.MapFS{"a.yaml": file(one), "b.yaml": file(one)}, 0, "site/b.yaml:1:1: rule S1-one is also in site/a.yaml"},
		{"an error", fstest.MapFS{"a.yaml": file(one), "b.yaml": file(strings.Replace(two, "low", "lov", 1))}, 0, `site/b.yaml:3:13: unknown severity "lov"; did you mean "low"?`},
		{"a test that must fire and does not", fstest.MapFS{"a.yaml": file(strings.Replace(one, "{code: 3}}, {", "{code: 5}}, {", 1))}, 0,
			`site/a.yaml:8:11: rule S1-one: test "a" must fire and does not`},
		{"a test that must stay quiet and does not", fstest.MapFS{"a.yaml": file(strings.Replace(one, "{code: 4}", "{code: 3}", 1))}, 0,
			`site/a.yaml:8:53: rule S1-one: test "b" must stay quiet and says "10.0.0.10 at 2026-01-05 08:00:00 UTC"`},
	} {
		set, err := pack.Load(catalog.All, test.files, "site")
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != test.err || len(set) != test.rules {
			t.Errorf("%s: %d rules, want %d\n got %s\nwant %s", test.name, len(set), test.rules, got, test.err)
		}
	}
}
