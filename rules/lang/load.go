package lang

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/strict"
)

// Limits of a rule file.
const (
	maxFileBytes = 1 << 20
	maxRuleNodes = 2000 // YAML nodes of one rule, tests included
	maxRules     = 5000
)

const (
	defaultQuiet      = 10 * time.Minute
	defaultConfidence = 0.8
)

// Load reads the rules of one file. All that is wrong is returned at once, as a joined list of *Error. It does not run
// the rules' tests; engine.Test does.
func (v *Vocabulary) Load(file string, text []byte) ([]*Rule, error) {
	r := &reader{file: file, v: v}
	if len(text) > maxFileBytes {
		r.fail(1, 1, fmt.Sprintf("at most %d bytes", maxFileBytes), "file of %d bytes", len(text))
		return nil, errors.Join(r.errs...)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		line, message := strict.Fault(err)
		r.fail(line, 1, "", "%s", message)
		return nil, errors.Join(r.errs...)
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	list := doc.Content[0]
	if list.Kind != yaml.SequenceNode {
		r.errorf(list, "start each rule with `- id: ...`", "a rule file is a list of rules")
		return nil, errors.Join(r.errs...)
	}
	if len(list.Content) > maxRules {
		r.errorf(list, fmt.Sprintf("at most %d", maxRules), "%d rules", len(list.Content))
		return nil, errors.Join(r.errs...)
	}
	var loaded []*Rule
	seen := map[string]int{}
	for _, n := range list.Content {
		rule := r.rule(n)
		if rule == nil {
			continue
		}
		if line, twice := seen[rule.ID]; twice {
			r.errorf(n, "", "rule %s is also on line %d", rule.ID, line)
		}
		seen[rule.ID] = rule.Line
		loaded = append(loaded, rule)
	}
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return loaded, nil
}

// A reader walks the YAML nodes of one file and gathers what is wrong.
type reader struct {
	file string
	v    *Vocabulary
	errs []error
}

func (r *reader) fail(line, col int, hint, format string, args ...any) {
	r.errs = append(r.errs, &Error{r.file, line, col, fmt.Sprintf(format, args...), hint})
}

func (r *reader) errorf(n *yaml.Node, hint, format string, args ...any) {
	r.fail(n.Line, n.Column, hint, format, args...)
}

// inside reports an error at a byte offset of n's text.
func (r *reader) inside(n *yaml.Node, err error) {
	var e *condError
	if !errors.As(err, &e) {
		r.errorf(n, "", "%v", err)
		return
	}
	line, col := n.Line, n.Column+e.at
	switch n.Style {
	case yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle:
		col++
	case yaml.LiteralStyle, yaml.FoldedStyle:
		head := n.Value[:min(e.at, len(n.Value))]
		line += 1 + strings.Count(head, "\n")
		col = 1 + len(head) - (strings.LastIndexByte(head, '\n') + 1)
	}
	r.fail(line, col, e.hint, "%s", e.message)
}

// fields calls one function per key of the mapping n; unknown and repeated keys are errors.
func (r *reader) fields(n *yaml.Node, what string, table map[string]func(*yaml.Node)) (seen map[string]bool) {
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "write `key: value` pairs", "%s must be a mapping", what)
		return map[string]bool{}
	}
	return strict.Fields(n, table,
		func(key *yaml.Node, known []string) {
			r.errorf(key, didYouMean(key.Value, known), "unknown key %q in %s", key.Value, what)
		},
		func(key *yaml.Node) { r.errorf(key, "", "key %q twice in %s", key.Value, what) })
}

func (r *reader) text(n *yaml.Node, dst *string) {
	if n.Kind != yaml.ScalarNode {
		r.errorf(n, "", "want a text")
		return
	}
	*dst = strings.TrimSpace(n.Value)
}

// list calls each with every item of n; a single value is a list of one.
func (r *reader) list(n *yaml.Node, each func(*yaml.Node)) {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode {
			r.errorf(item, "", "want a value or a list of values")
			continue
		}
		each(item)
	}
}

// oneOf returns the index of n's value in names, or says what is right.
func (r *reader) oneOf(n *yaml.Node, what string, names []string) (int, bool) {
	i := slices.Index(names, n.Value)
	if i < 0 {
		r.errorf(n, didYouMean(n.Value, names), "unknown %s %q", what, n.Value)
	}
	return i, i >= 0
}

func (r *reader) duration(n *yaml.Node, dst *int64) {
	d, err := time.ParseDuration(n.Value)
	if err != nil || d <= 0 || d > 31*24*time.Hour {
		r.errorf(n, "write 90s, 10m or 24h, at most 744h", "%q is not a duration", n.Value)
		return
	}
	*dst = int64(d)
}

func (r *reader) fraction(n *yaml.Node, dst *float64) {
	f, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || !(f >= 0 && f <= 1) {
		r.errorf(n, "write a number from 0 to 1", "%q is not a fraction", n.Value)
		return
	}
	*dst = f
}

func (r *reader) whole(n *yaml.Node, lo, hi int, dst *int) {
	i, err := strconv.Atoi(n.Value)
	if err != nil || i < lo || i > hi {
		r.errorf(n, fmt.Sprintf("write a whole number from %d to %d", lo, hi), "%q is out of range", n.Value)
		return
	}
	*dst = i
}

func (r *reader) severity(n *yaml.Node, dst *rules.Severity) {
	if i, ok := r.oneOf(n, "severity", rules.SeverityNames()); ok {
		*dst = rules.Severity(i)
	}
}

// words reads names of words.
func (r *reader) words(n *yaml.Node) []*Word {
	var words []*Word
	r.list(n, func(item *yaml.Node) {
		w, ok := r.v.Word(item.Value)
		switch {
		case !ok:
			r.errorf(item, didYouMean(item.Value, r.v.names()), "unknown word %q", item.Value)
		case w.State:
			r.errorf(item, "", "%q is known only after the state has counted", item.Value)
		default:
			words = append(words, w)
		}
	})
	return words
}
