package site

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/lang"
)

const zoned = `
- id: X01-outside
  name: outside
  severity: high
  attack: [T0883]
  when: {from: client}
  where: outside_zones
  message: "{client}"
  help: {meaning: m, do: d}
  tests:
    - {name: fires, fires: true, event: {proto: modbus, code: 3, outside_zones: true}}
    - {name: quiet, fires: false, event: {proto: modbus, code: 3}}
- id: X02-from
  name: from
  severity: high
  attack: [T0883]
  when: {from: client}
  where: client == "10.0.0.5" or client == "10.9.9.9" or client == "2001:db8::7"
  message: "{client}"
  help: {meaning: m, do: d}
  tests:
    - {name: fires, fires: true, event: {proto: modbus, code: 3, client: 10.0.0.5}}
    - {name: another, fires: true, event: {proto: modbus, code: 3, client: 10.9.9.9}}
    - {name: a third, fires: true, event: {proto: modbus, code: 3, client: "2001:db8::7"}}
    - {name: quiet, fires: false, event: {proto: modbus, code: 3, client: 10.0.0.4}}
`

// TestZones: who is outside all zones of the site and of its centre together, and that nobody is where none are declared.
func TestZones(t *testing.T) {
	v := lang.NewVocabulary(catalog.All)
	set, err := v.Load("rules.yaml", []byte(zoned))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, centre, local string
		outside             []string
	}{
		{"none are declared", "", "", nil},
		{"one", "", "zones: [{networks: [10.0.0.0/24, 192.0.2.7], reason: r, author: a}]", []string{"10.9.9.9", "2001:db8::7"}},
		{"those of the centre too", "zones: [{networks: [10.9.0.0/16], reason: r, author: a}]", "zones: [{networks: [10.0.0.0/29], reason: r, author: a}]", []string{"2001:db8::7"}},
		{"of both families", "zones: [{networks: [10.0.0.0/8], reason: r, author: a}, {networks: ['2001:db8::/32'], reason: r, author: a}]", "", nil},
	} {
		both := [2]*Overrides{}
		for i, text := range []string{c.centre, c.local} {
			if both[i], err = Load(v, "site.yaml", []byte(text), set); err != nil {
				t.Fatal(c.name, err)
			}
		}
		var outside []string
		for i := range set[1].Tests {
			g := engine.New(both[0].Over(both[1]).Apply(set, time.Time{}), engine.Options{Emit: func(a *rules.Alert) {
				if a.Rule == "X01-outside" {
					outside = append(outside, a.Client)
				}
			}})
			set[1].Tests[i].Each(g.Judge)
		}
		if slices.Sort(outside); !slices.Equal(outside, c.outside) {
			t.Errorf("%s: %q are outside, want %q", c.name, outside, c.outside)
		}
	}
}

// TestZonesRefused: what is wrong with a declaration is said where it stands.
func TestZonesRefused(t *testing.T) {
	v := lang.NewVocabulary(catalog.All)
	for text, want := range map[string]string{
		"zones: [{networks: [10.0.0.0/8], author: a}]":                    "a zone has no reason",
		"zones: [{reason: r, author: a}]":                                 "a zone has no networks",
		"zones: [{networks: [], reason: r, author: a}]":                   "at least one",
		"zones: [{networks: 10.0.0.0/8, reason: r, author: a}]":           "must be a list",
		"zones: [{networks: [10.0.0.1/8], reason: r, author: a}]":         "is no network",
		"zones: [{networks: [office], reason: r, author: a}]":             "is no network",
		"zones: [{rule: X01-outside, networks: [10.0.0.0/8], reason: r}]": `unknown key "rule"`,
		"zone: [{networks: [10.0.0.0/8], reason: r, author: a}]":          `did you mean "zones"`,
	} {
		if _, err := Load(v, "site.yaml", []byte(text), nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "site.yaml:1") {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}
