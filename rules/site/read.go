package site

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/rules/strict"
)

// Limits of a site file.
const (
	maxBytes   = 1 << 20
	maxEntries = 5000 // of one list
	maxText    = 1000 // letters of a reason or a name
)

// Load reads a site file about the rules of set. All that is wrong is returned at once, as a joined list of *lang.Error.
func Load(v *lang.Vocabulary, file string, text []byte, set []*lang.Rule) (*Overrides, error) {
	r := &reader{file: file, v: v, o: &Overrides{}, seen: map[string]int{}}
	for _, rule := range set {
		r.ids = append(r.ids, rule.ID)
	}
	r.document(text)
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return r.o, nil
}

// A reader walks the YAML nodes of one file and gathers what is wrong.
type reader struct {
	file string
	v    *lang.Vocabulary
	ids  []string
	o    *Overrides
	seen map[string]int // list and rule, or list, rule and condition: the line it stands on
	errs []error
}

func (r *reader) errorf(n *yaml.Node, hint, format string, args ...any) {
	r.errs = append(r.errs, &lang.Error{File: r.file, Line: n.Line, Col: n.Column, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (r *reader) document(text []byte) {
	start := &yaml.Node{Line: 1, Column: 1}
	if len(text) > maxBytes {
		r.errorf(start, fmt.Sprintf("at most %d bytes", maxBytes), "file of %d bytes", len(text))
		return
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		line, message := strict.Fault(err)
		r.errorf(&yaml.Node{Line: line, Column: 1}, "", "%s", message)
		return
	}
	if len(doc.Content) == 0 {
		return
	}
	r.fields(doc.Content[0], "a site file", map[string]func(*yaml.Node){
		"disable":    r.list("disable", func(n *yaml.Node) { r.disable(n) }),
		"severity":   r.list("severity", func(n *yaml.Node) { r.severity(n) }),
		"zones":      r.list("zones", func(n *yaml.Node) { r.zone(n) }),
		"exceptions": r.list("exceptions", func(n *yaml.Node) { r.exception(n) }),
	})
}

// list makes a function that calls each with the items of a list.
func (r *reader) list(name string, each func(*yaml.Node)) func(*yaml.Node) {
	return func(n *yaml.Node) {
		switch {
		case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		case n.Kind != yaml.SequenceNode:
			r.errorf(n, "start each entry with `- rule: ...`", "%s must be a list", name)
		case len(n.Content) > maxEntries:
			r.errorf(n, fmt.Sprintf("at most %d", maxEntries), "%d entries in %s", len(n.Content), name)
		default:
			for _, item := range n.Content {
				each(item)
			}
		}
	}
}

// fields calls one function per key of the mapping n, and returns the keys that it has; unknown and repeated keys are
// errors.
func (r *reader) fields(n *yaml.Node, what string, table map[string]func(*yaml.Node)) (seen map[string]bool) {
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "write `key: value` pairs", "%s must be a mapping", what)
		return map[string]bool{}
	}
	return strict.Fields(n, table,
		func(key *yaml.Node, known []string) { r.errorf(key, "", "%v", strict.Unknown("key", key.Value, known)) },
		func(key *yaml.Node) { r.errorf(key, "", "key %q twice in %s", key.Value, what) })
}

// text reads a text that must say something.
func (r *reader) text(n *yaml.Node, what string, dst *string) {
	*dst = strings.TrimSpace(n.Value)
	switch {
	case n.Kind != yaml.ScalarNode:
		r.errorf(n, "", "%s must be a text", what)
	case *dst == "" || n.Tag == "!!null":
		r.errorf(n, "", "%s is empty", what)
	case len(*dst) > maxText:
		r.errorf(n, fmt.Sprintf("at most %d", maxText), "%s of %d letters", what, len(*dst))
	}
}

// entry reads what every entry has, beside the fields of table.
func (r *reader) entry(n *yaml.Node, what string, table map[string]func(*yaml.Node)) (o Override) {
	o.Line = n.Line
	needs := []string{"reason", "author"}
	for key := range table {
		needs = append(needs, key)
	}
	if table["networks"] == nil {
		needs = append(needs, "rule")
		table["rule"] = func(n *yaml.Node) { r.rule(n, &o.Rule) }
	}
	table["reason"] = func(n *yaml.Node) { r.text(n, "reason", &o.Reason) }
	table["author"] = func(n *yaml.Node) { r.text(n, "author", &o.Author) }
	seen := r.fields(n, what, table)
	slices.Sort(needs)
	for _, key := range needs {
		if n.Kind == yaml.MappingNode && !seen[key] {
			r.errorf(n, hints[key], "%s has no %s", what, key)
		}
	}
	return o
}

// hints say why a key must be there.
var hints = map[string]string{
	"reason":   "say why, for whoever reads this next year",
	"author":   "say who decided it",
	"until":    "an exception ends: write its last day, like 2027-03-31",
	"networks": "name the networks of the zone: [10.0.0.0/8]",
	"where":    "say where it applies, like `where: client == \"10.0.0.5\"`; to switch the rule off use disable",
}

func (r *reader) rule(n *yaml.Node, dst *string) {
	r.text(n, "rule", dst)
	if *dst == "" || slices.Contains(r.ids, *dst) {
		return
	}
	hint := "`roje-sensor rules list` shows all ids"
	for _, id := range r.ids {
		if strings.HasPrefix(id, *dst+"-") {
			r.errorf(n, fmt.Sprintf("did you mean %q?", id), "unknown rule %q", *dst)
			return
		}
	}
	if near, ok := strict.Nearest(*dst, r.ids); ok {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	r.errorf(n, hint, "unknown rule %q", *dst)
}

// once says where the same was said before.
func (r *reader) once(n *yaml.Node, what, key string) {
	if line := r.seen[key]; line != 0 {
		r.errorf(n, "", "%s is also on line %d", what, line)
	}
	r.seen[key] = n.Line
}

func (r *reader) disable(n *yaml.Node) {
	o := r.entry(n, "a disabled rule", map[string]func(*yaml.Node){})
	r.once(n, "rule "+o.Rule, "disable "+o.Rule)
	r.o.Disabled = append(r.o.Disabled, o)
}

func (r *reader) severity(n *yaml.Node) {
	var to rules.Severity
	o := r.entry(n, "a change of severity", map[string]func(*yaml.Node){
		"severity": func(n *yaml.Node) {
			if to.UnmarshalText([]byte(n.Value)) != nil {
				r.errorf(n, "", "%v", strict.Unknown("severity", n.Value, rules.SeverityNames()))
			}
		},
	})
	o.Severity = to
	r.once(n, "rule "+o.Rule, "severity "+o.Rule)
	r.o.Severities = append(r.o.Severities, o)
}

func (r *reader) zone(n *yaml.Node) {
	var z Zone
	z.Override = r.entry(n, "a zone", map[string]func(*yaml.Node){"networks": func(n *yaml.Node) {
		if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
			r.errorf(n, "write a list: [10.0.0.0/8, 192.0.2.7]", "networks must be a list of at least one")
			return
		}
		for _, item := range n.Content {
			network, err := netip.ParsePrefix(item.Value)
			if addr, errAddr := netip.ParseAddr(item.Value); errAddr == nil {
				network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
			}
			if err != nil || network != network.Masked() {
				r.errorf(item, "write 10.0.0.0/8, with nothing after the network's own bits, or an address", "%q is no network", item.Value)
			}
			z.Networks = append(z.Networks, network)
		}
	}})
	r.o.Zones = append(r.o.Zones, z)
}

func (r *reader) exception(n *yaml.Node) {
	x := &Exception{}
	x.Override = r.entry(n, "an exception", map[string]func(*yaml.Node){
		"where": func(n *yaml.Node) {
			before := len(r.errs)
			if r.text(n, "where", &x.Where); len(r.errs) > before {
				return
			}
			var err error
			if x.cond, err = r.v.EventCondition(r.file, n); err != nil {
				r.errs = append(r.errs, err)
			}
		},
		"until": func(n *yaml.Node) {
			day, err := time.Parse(time.DateOnly, n.Value)
			if err != nil || day.Year() > 2200 {
				r.errorf(n, "write the last day, like 2027-03-31", "%q is no date", n.Value)
				return
			}
			x.Until = day.AddDate(0, 0, 1)
		},
	})
	r.once(n, "this exception of rule "+x.Rule, "exception "+x.Rule+" "+x.Where)
	r.o.Exceptions = append(r.o.Exceptions, x)
}
