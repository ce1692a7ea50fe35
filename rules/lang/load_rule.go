package lang

import (
	"math"
	"regexp"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/attack"
)

var idRE = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$`)

// countRE finds the word count in a condition or a sentence.
var countRE = regexp.MustCompile(`\bcount\b`)

// rule reads one rule; nil if it is wrong.
func (r *reader) rule(n *yaml.Node) *Rule {
	before := len(r.errs)
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "start it with `- id: ...`", "a rule must be a mapping")
		return nil
	}
	if !r.plain(n) {
		return nil
	}
	rule := &Rule{File: r.file, Line: n.Line, Sum: sumOf(n), Quiet: int64(defaultQuiet), Confidence: defaultConfidence, Impact: math.NaN()}
	var message, learned, observed, where, tests *yaml.Node
	need := needs{prior: ^Need(0), expect: ^Need(0)}
	node := func(dst **yaml.Node) func(*yaml.Node) { return func(n *yaml.Node) { *dst = n } }
	seen := r.fields(n, "a rule", map[string]func(*yaml.Node){
		"id": func(n *yaml.Node) {
			if r.text(n, &rule.ID); !idRE.MatchString(rule.ID) || len(rule.ID) > 64 {
				r.errorf(n, "letters and digits joined by hyphens, like C05-industroyer2", "%q is no id", rule.ID)
			}
		},
		"name":       func(n *yaml.Node) { r.text(n, &rule.Name) },
		"severity":   func(n *yaml.Node) { r.severity(n, &rule.Severity) },
		"attack":     func(n *yaml.Node) { r.list(n, func(item *yaml.Node) { r.technique(item, rule) }) },
		"impact":     func(n *yaml.Node) { r.fraction(n, &rule.Impact) },
		"confidence": func(n *yaml.Node) { r.fraction(n, &rule.Confidence) },
		"when":       func(n *yaml.Node) { r.when(n, &rule.When) },
		"state":      func(n *yaml.Node) { rule.State = r.state(n, &need) },
		"where":      node(&where),
		"per":        func(n *yaml.Node) { rule.Per = r.words(n) },
		"quiet":      func(n *yaml.Node) { r.duration(n, &rule.Quiet) },
		"message":    node(&message),
		"learned":    node(&learned),
		"observed":   node(&observed),
		"help":       func(n *yaml.Node) { r.help(n, &rule.Help) },
		"tests":      node(&tests),
	})
	for _, key := range []string{"id", "name", "severity", "attack", "when", "message", "help", "tests"} {
		if !seen[key] {
			r.errorf(n, "", "rule %s has no %s", rule.ID, key)
		}
	}
	if rule.Per == nil {
		rule.Per = []*Word{r.v.words["client"], r.v.words["server"]}
	}
	if math.IsNaN(rule.Impact) {
		rule.Impact = impactOf(rule.When.Ops)
	}
	need.where = r.where(where, rule)
	rule.Need = need.all(rule.State)
	var window int64
	if rule.State != nil {
		window = rule.State.Window
		rule.State.Counts = slices.ContainsFunc([]*yaml.Node{where, message, learned, observed}, func(n *yaml.Node) bool {
			return n != nil && countRE.MatchString(n.Value)
		})
	}
	rule.Message = r.template(message, window)
	rule.Learned = r.template(learned, window)
	rule.Observed = r.template(observed, window)
	if tests != nil {
		r.tests(tests, rule)
	}
	if len(r.errs) > before {
		return nil
	}
	return rule
}

// plain refuses what a rule has no use for and what could explode: aliases, and more nodes than a rule can need.
func (r *reader) plain(root *yaml.Node) bool {
	n := 0
	var walk func(*yaml.Node) bool
	walk = func(node *yaml.Node) bool {
		if n++; n > maxRuleNodes {
			r.errorf(root, "split it", "rule of more than %d YAML nodes", maxRuleNodes)
			return false
		}
		if node.Kind == yaml.AliasNode || node.Anchor != "" {
			r.errorf(node, "write it out", "anchors and aliases are not allowed")
			return false
		}
		for _, child := range node.Content {
			if !walk(child) {
				return false
			}
		}
		return true
	}
	return walk(root)
}

func (r *reader) technique(n *yaml.Node, rule *Rule) {
	if _, ok := attack.ByID(n.Value); !ok {
		r.errorf(n, techniqueHint(n.Value), "unknown technique %q", n.Value)
		return
	}
	rule.Techniques = append(rule.Techniques, n.Value)
}

// impactOf is the impact of the worst operation that the rule is about.
func impactOf(ops uint16) float64 {
	worst := 0.4
	for op, v := range map[protocols.Op]float64{protocols.Read: 0.4, protocols.Configure: 0.5, protocols.Time: 0.5, protocols.Write: 0.8,
		protocols.Operate: 0.8, protocols.File: 0.8, protocols.Restart: 1} {
		if ops&(1<<op) != 0 {
			worst = max(worst, v)
		}
	}
	return worst
}

func (r *reader) help(n *yaml.Node, h *Help) {
	seen := r.fields(n, "help", map[string]func(*yaml.Node){
		"meaning":         func(n *yaml.Node) { r.text(n, &h.Meaning) },
		"do":              func(n *yaml.Node) { r.text(n, &h.Do) },
		"false_positives": func(n *yaml.Node) { r.text(n, &h.FalsePositives) },
	})
	if !seen["meaning"] || !seen["do"] {
		r.errorf(n, "", "help must say its meaning and what to do")
	}
}

func (r *reader) template(n *yaml.Node, window int64) *Template {
	if n == nil {
		return nil
	}
	var text string
	r.text(n, &text)
	t, err := r.v.template(text, window)
	if err != nil {
		r.inside(n, err)
	}
	return t
}

// where reads the rule's condition and returns what it needs before the state counts.
func (r *reader) where(n *yaml.Node, rule *Rule) (need Need) {
	if n == nil {
		return 0
	}
	var text string
	r.text(n, &text)
	var err error
	if rule.Before, rule.After, need, err = r.v.condition(text); err != nil {
		r.inside(n, err)
		return 0
	}
	if rule.State != nil && rule.State.Sequence != nil {
		rule.After, rule.Before = both(rule.Before, rule.After), nil
	}
	if rule.After != nil && rule.State == nil {
		r.errorf(n, "add `state:` with `by:` and `window:`", "the condition uses count, distinct, step or done, and the rule has no state")
	}
	return need
}

func (r *reader) when(n *yaml.Node, w *When) {
	seen := r.fields(n, "when", map[string]func(*yaml.Node){
		"what": func(n *yaml.Node) {
			r.list(n, func(item *yaml.Node) {
				if i, ok := r.oneOf(item, "kind of event", rules.WhatNames()); ok {
					w.What |= 1 << i
				}
			})
		},
		"proto": func(n *yaml.Node) {
			r.list(n, func(item *yaml.Node) {
				names := r.v.words["proto"].Names
				if i, ok := r.oneOf(item, "protocol", names); ok {
					w.Protos = append(w.Protos, names[i])
				}
			})
		},
		"op": func(n *yaml.Node) {
			r.list(n, func(item *yaml.Node) {
				if i, ok := r.oneOf(item, "operation", protocols.OpNames()); ok {
					w.Ops |= 1 << i
				}
			})
		},
		"code": func(n *yaml.Node) {
			r.list(n, func(item *yaml.Node) {
				code, err := strconv.ParseUint(item.Value, 0, 16)
				if err != nil {
					r.errorf(item, "write the number; names go under `name:`", "%q is no code", item.Value)
				}
				w.Codes = append(w.Codes, uint16(code))
			})
		},
		"name": func(n *yaml.Node) { r.list(n, func(item *yaml.Node) { w.Names = append(w.Names, item.Value) }) },
		"from": func(n *yaml.Node) {
			if i, ok := r.oneOf(n, "side", sideNames); ok {
				w.From = Choice(i + 1)
			}
		},
		"fault": func(n *yaml.Node) {
			r.list(n, func(item *yaml.Node) {
				if i, ok := r.oneOf(item, "fault", protocols.FaultNames()); ok {
					w.Faults |= 1 << i
				}
			})
		},
		"ok": func(n *yaml.Node) {
			if i, ok := r.oneOf(n, "answer", []string{"true", "false"}); ok {
				w.OK = Choice(i + 1)
			}
		},
		"odd": func(n *yaml.Node) {
			if i, ok := r.oneOf(n, "answer", []string{"true", "false"}); ok {
				w.Odd = Choice(i + 1)
			}
		},
		"outcome": func(n *yaml.Node) {
			r.list(n, func(item *yaml.Node) {
				if i, ok := r.oneOf(item, "outcome", outcomeNames); ok {
					w.Outcomes |= 1 << i
				}
			})
		},
	})
	if w.What == 0 && !seen["what"] {
		w.What = 1 << rules.Message
	}
	if w.What&^(1<<rules.Message|1<<rules.Unframed|1<<rules.Action) != 0 && (w.Protos != nil || w.Ops != 0 || w.Codes != nil || w.Names != nil || w.From != Either || w.Faults != 0 || w.OK != Either || w.Odd != Either) {
		r.errorf(n, "use server_port and the other words of the flow in `where:`", "a connection, an ARP packet or a gap has no protocol, code, side or fault")
	}
}

// Limits of a rule's state.
const (
	defaultCap, maxCap   = 64, 256
	defaultKeys, maxKeys = 4096, 65536
)

// state reads what a rule remembers, and writes into need what the conditions in it need.
func (r *reader) state(n *yaml.Node, need *needs) *State {
	s := &State{Cap: defaultCap, Keys: defaultKeys}
	seen := r.fields(n, "state", map[string]func(*yaml.Node){
		"by":     func(n *yaml.Node) { s.By = r.words(n) },
		"window": func(n *yaml.Node) { r.duration(n, &s.Window) },
		"distinct": func(n *yaml.Node) {
			if n.Value == "point" {
				s.Points = true
			} else if words := r.words(n); len(words) == 1 {
				s.Distinct = words[0]
			} else if len(words) > 1 {
				r.errorf(n, "", "distinct takes one word")
			}
		},
		"sequence": func(n *yaml.Node) {
			r.list(n, func(item *yaml.Node) {
				before, after, err := r.v.Condition(item.Value)
				if err != nil {
					r.inside(item, err)
				} else if after != nil {
					r.errorf(item, "", "a step cannot look at the state")
				} else {
					s.Sequence = append(s.Sequence, before)
				}
			})
			if len(s.Sequence) == 1 || len(s.Sequence) > 8 {
				r.errorf(n, "", "a sequence has 2 to 8 steps")
			}
		},
		"only":   func(n *yaml.Node) { s.Only, need.only = r.event(n) },
		"prior":  func(n *yaml.Node) { s.Prior, need.prior = r.event(n) },
		"expect": func(n *yaml.Node) { s.Expect, need.expect = r.event(n) },
		"last": func(n *yaml.Node) {
			if words := r.words(n); len(words) == 1 && (words[0].int != nil || words[0].num != nil) {
				s.Last = words[0]
			} else if len(words) > 0 {
				r.errorf(n, "", "last takes one word that is a number")
			}
		},
		"alive":   func(n *yaml.Node) { s.Alive = r.words(n) },
		"each":    func(n *yaml.Node) { s.Each = r.yes(n) },
		"rate":    func(n *yaml.Node) { s.Rate = r.yes(n) },
		"silence": func(n *yaml.Node) { s.Silence = r.yes(n) },
		"cap":     func(n *yaml.Node) { r.whole(n, 2, maxCap, &s.Cap) },
		"keys":    func(n *yaml.Node) { r.whole(n, 1, maxKeys, &s.Keys) },
	})
	for _, key := range []string{"by", "window"} {
		if !seen[key] {
			r.errorf(n, "", "state has no %s", key)
		}
	}
	switch {
	case s.Silence && s.Expect != nil:
		r.errorf(n, "write two rules", "a rule waits for silence or for an event, not for both")
	case s.Waits() && (s.Sequence != nil || s.Distinct != nil || s.Points || s.Prior != nil || s.Last != nil || s.Rate || s.Each):
		r.errorf(n, "", "a rule that waits (silence, expect) counts nothing else")
	case s.Alive != nil && !s.Silence:
		r.errorf(n, "", "alive belongs to silence")
	case slices.ContainsFunc(s.Alive, func(w *Word) bool { return !slices.Contains(s.By, w) }):
		r.errorf(n, "", "the words of alive must be among those of by")
	case s.Each && s.Sequence != nil:
		r.errorf(n, "", "a sequence is of messages, not of each point")
	}
	return s
}

// event reads a condition that looks at one event alone, and returns what it needs.
func (r *reader) event(n *yaml.Node) (Cond, Need) {
	before, after, need, err := r.v.condition(n.Value)
	switch {
	case err != nil:
		r.inside(n, err)
	case after != nil:
		r.errorf(n, "", "this condition cannot look at the state")
	}
	return before, need
}

func (r *reader) yes(n *yaml.Node) bool {
	i, _ := r.oneOf(n, "answer", []string{"false", "true"})
	return i == 1
}
