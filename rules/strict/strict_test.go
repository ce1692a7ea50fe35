package strict

import (
	"strings"
	"testing"
	"time"
)

type config struct {
	Name       string
	Interfaces []string `yaml:"interfaces"`
	Nested     struct {
		Flush time.Duration `yaml:"flush"`
	} `yaml:"nested"`
	Sites map[string]struct {
		Address string `yaml:"address"`
	} `yaml:"sites"`
	hidden int
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, text string
		errs       []string // each must stand in the error; none means success
	}{
		{"empty", "", nil},
		{"good", "name: a\ninterfaces: [eth0]\nnested: {flush: 30s}\nsites: {x: {address: b}}\n", nil},
		{"slip", "naem: a\n", []string{`line 1, column 1: unknown key "naem"; did you mean "name"?`}},
		{"nested slip", "name: a\nnested:\n  flsh: 1s\n", []string{`line 3, column 3: unknown key "flsh"; did you mean "flush"?`}},
		{"in a map", "sites:\n  x: {adress: b}\n", []string{`did you mean "address"?`}},
		{"two at once", "naem: a\nintrefaces: []\n", []string{`"naem"`, `"intrefaces"`}},
		{"nothing near", "zzzzzzzz: a\n", []string{`known are interfaces, name, nested, sites`}},
		{"hidden field", "hidden: 1\n", []string{`unknown key "hidden"`}},
		{"wrong type", "nested: {flush: soon}\n", []string{"line 1"}},
		{"not yaml", "name: [", []string{"line 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var cfg config
			cfg.hidden = 1
			err := Decode([]byte(c.text), &cfg)
			if (err != nil) != (len(c.errs) > 0) {
				t.Fatalf("Decode: %v", err)
			}
			for _, want := range c.errs {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

func TestNearest(t *testing.T) {
	known := []string{"modbus", "dnp3", "iec104"}
	for _, c := range []struct{ word, want string }{
		{"modbsu", "modbus"}, {"Modbus", "modbus"}, {"dnp", "dnp3"}, {"iec-104", "iec104"}, {"goose", ""}, {"", ""},
	} {
		if got, _ := Nearest(c.word, known); got != c.want {
			t.Errorf("Nearest(%q) = %q, want %q", c.word, got, c.want)
		}
	}
}
