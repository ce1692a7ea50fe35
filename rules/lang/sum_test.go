package lang

import (
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols/catalog"
)

// TestSum: what changes how a rule judges changes its sum; how it is written down, tested and explained does not.
func TestSum(t *testing.T) {
	const text = `
- id: X01-a
  name: n
  severity: high
  attack: [T0816]
  when: {proto: dnp3, code: 13}
  where: station == 3
  message: "{client}"
  help: {meaning: m, do: d}
  tests:
    - {fires: true, event: {code: 13, station: 3}}
    - {fires: false, event: {code: 13}}
`
	v := NewVocabulary(catalog.All)
	sum := func(old, new string) Sum {
		t.Helper()
		changed := strings.Replace(text, old, new, 1)
		set, err := v.Load("x.yaml", []byte(changed))
		if err != nil || changed == text && old != new {
			t.Fatal(err, old)
		}
		return set[0].Sum
	}
	for _, c := range []struct {
		old, new string
		same     bool
	}{
		{"", "", true},
		{"\n- id", "# why\n- id", true},
		{`"{client}"`, `'{client}'`, true},
		{"{proto: dnp3, code: 13}", "{proto: dnp3, code: 13}  # all", true},
		{"meaning: m", "meaning: more", true},
		{"event: {code: 13}}", "event: {code: 14}}", true},
		{"station == 3", "station == 3 and master == 1", false},
		{"code: 13}", "code: [13]}", false},
		{"severity: high", "severity: low", false},
		{"  where", "  quiet: 5m\n  where", false},
	} {
		if (sum(c.old, c.new) == sum("", "")) != c.same {
			t.Errorf("%q to %q: the same rule: %v, want %v", c.old, c.new, !c.same, c.same)
		}
	}
}
