package suricata

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/lang"
)

const (
	maxFile  = 64 << 20
	maxRules = 100000
)

// Options are what a rule file does not say itself.
type Options struct {
	File      string // its name, for what is said
	Vars      map[string]string
	Protocols []*protocols.Protocol
}

// A Result is what became of a rule file.
type Result struct {
	YAML  []byte // the rules that were made; empty if there are none
	Taken []Taken
	Left  []Left
}

// Taken is a rule that was taken over.
type Taken struct {
	Line  int
	ID    string
	Notes []string // in what the two rules differ
}

// Left is a rule that was not.
type Left struct {
	Line   int
	SID    string // empty where it has none
	Reason error
}

func (l Left) String() string {
	if l.SID == "" {
		return fmt.Sprintf("line %d: %v", l.Line, l.Reason)
	}
	return fmt.Sprintf("line %d, sid %s: %v", l.Line, l.SID, l.Reason)
}

// Import takes over the rules of a Suricata rule file. The error is about the file as a whole.
func Import(text []byte, o Options) (*Result, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s has %d bytes; at most %d are read", o.File, len(text), maxFile)
	}
	result := &Result{}
	v := lang.NewVocabulary(o.Protocols)
	seen := map[string]int{}
	var out strings.Builder
	n := 0
	lines(string(text), func(line int, rule string) {
		if n++; n > maxRules {
			return
		}
		t := &translation{vars: o.Vars, protos: o.Protocols, event: map[string]string{}}
		made, err := t.rule(line, rule, o.File, v)
		if err == nil && seen[t.sid] != 0 {
			err = leave("", "sid %s is also on line %d", t.sid, seen[t.sid])
		}
		if err != nil {
			result.Left = append(result.Left, Left{line, t.sid, err})
			return
		}
		seen[t.sid] = line
		out.WriteString(made)
		result.Taken = append(result.Taken, Taken{line, t.id(), t.notes})
	})
	if n > maxRules {
		return nil, fmt.Errorf("%s has %d rules; at most %d are read", o.File, n, maxRules)
	}
	if n == 0 {
		return nil, fmt.Errorf("%s holds no rule", o.File)
	}
	if out.Len() > 0 {
		result.YAML = []byte(fmt.Sprintf("# Made of the Suricata rules in %s by `roje-sensor rules import`.\n", strconv.Quote(o.File)) + out.String())
	}
	return result, nil
}

// rule makes one rule and tries it.
func (r *translation) rule(line int, text, file string, v *lang.Vocabulary) (string, error) {
	s, err := parse(line, text)
	if err != nil {
		return "", err
	}
	ours := false
	for _, o := range s.options { // what names the rule, before anything fails
		if o.name == "sid" {
			r.sid = o.value
		}
		ours = ours || keywords[o.name]
	}
	if !ours {
		return "", leave("", "no modbus or dnp3 keyword")
	}
	for _, o := range s.options {
		before := r.proto
		if err := r.option(o); err != nil {
			return "", err
		}
		if before != "" && r.proto != before {
			return "", leave("", "keywords of %s and of %s", before, r.proto)
		}
	}
	if err := r.head(s); err != nil {
		return "", err
	}
	if err := r.finish(); err != nil {
		return "", err
	}
	var last error
	for _, quiet := range r.quietEvents() {
		made := r.yaml(file, line, quiet)
		set, err := v.Load("rule", []byte(made))
		if err != nil {
			return "", leave("", "what was made of it is no rule: %v", err)
		}
		errs := engine.Test(set)
		if len(errs) == 0 {
			return made, nil
		}
		last = errors.Join(errs...)
	}
	return "", leave("", "no message was found on which it fires, or none on which it does not: %v", last)
}

// quietEvents are tries at an event on which the rule does not fire.
func (r *translation) quietEvents() (all []map[string]string) {
	change := func(word, value string) {
		e := maps.Clone(r.event)
		if value == "" {
			delete(e, word)
		} else {
			e[word] = value
		}
		all = append(all, e)
	}
	for _, code := range []string{"7", "24", "130", "99", "1", "3", "65", "9", "0"} {
		if code != r.event["code"] {
			change("code", code)
		}
	}
	for _, word := range slices.Sorted(maps.Keys(r.event)) {
		if strings.HasPrefix(word, "dnp3.") || strings.HasPrefix(word, "modbus.") {
			change(word, "")
		}
	}
	for _, word := range []string{"station"} {
		for _, n := range []string{"0", "77", "255"} {
			change(word, n)
		}
	}
	for _, word := range []string{"client", "server"} {
		for _, a := range candidates {
			if strings.Contains(a, ":") {
				a = "[" + a + "]"
			}
			change(word, a+":7")
		}
	}
	return all
}

// yaml writes the rule.
func (r *translation) yaml(file string, line int, quiet map[string]string) string {
	var b strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	put("\n- id: %s\n  name: %s\n  severity: %s\n  attack: [%s]\n", r.id(), quoted(r.msg), r.severity(), strings.Join(r.attack(), ", "))
	put("  when: {proto: %s", r.proto)
	if r.from != either {
		put(", from: %s", r.from)
	}
	if len(r.codes) > 0 {
		put(", code: [%s]", strings.Join(r.codes, ", "))
	}
	put("}\n")
	if r.each {
		put("  state: {by: [client, server], window: 1s, each: true}\n")
	}
	if len(r.clauses) > 0 {
		put("  where: %s\n", quoted(strings.Join(r.clauses, " and ")))
	}
	put("  message: %s\n", quoted("{sender} to {receiver}, {name}: "+strings.NewReplacer("{", "{{", "}", "}}", "[", "[[", "]", "]]").Replace(r.msg)+" (Suricata "+r.sid+")"))
	put("  help:\n    meaning: %s\n    do: %s\n", quoted(r.meaning(file, line)), quoted("Find out who sent it and whether it was planned; the rule's own source says what it was written for."))
	if len(r.notes) > 0 {
		put("    false_positives: %s\n", quoted("Unlike in Suricata, "+strings.Join(r.notes, "; ")+"."))
	}
	put("  tests:\n    - {name: what it was written for, fires: true, event: %s}\n", r.eventText(r.event, r.points))
	put("    - {name: something else, fires: false, event: %s}\n", r.eventText(quiet, r.points))
	return b.String()
}

// quoted writes a text as YAML does between double quotes.
func quoted(s string) string {
	return strings.ReplaceAll(strconv.QuoteToASCII(s), `\'`, `'`)
}

func (r *translation) eventText(event map[string]string, points string) string {
	words := []string{"proto: " + r.proto}
	for _, word := range slices.Sorted(maps.Keys(event)) {
		value := event[word]
		if strings.ContainsAny(value, ":[]") {
			value = quoted(value)
		}
		words = append(words, word+": "+value)
	}
	if r.from != either && event["from"] == "" {
		words = append(words, "from: "+r.from.String())
	}
	if points != "" {
		words = append(words, "points: "+points)
	}
	return "{" + strings.Join(words, ", ") + "}"
}

func (e end) String() string { return [...]string{"either", "client", "server"}[e] }

// attack returns the techniques that the rule names, or one for what the message does.
func (r *translation) attack() []string {
	if len(r.techniques) > 0 {
		slices.Sort(r.techniques)
		return slices.Compact(r.techniques)
	}
	code, _ := strconv.ParseUint(r.event["code"], 10, 16)
	op := protocols.Other
	for _, p := range r.protos {
		if c, ok := p.Code(uint16(code)); ok && p.Name == r.proto {
			op = c.Op
		}
	}
	if id, ok := byOp[op]; ok && r.from != server {
		return []string{id}
	}
	return []string{"T0869"}
}

// byOp is the technique of what a message does to a station.
var byOp = map[protocols.Op]string{protocols.Read: "T0801", protocols.Write: "T0836", protocols.Operate: "T1692.001", protocols.Configure: "T0836",
	protocols.File: "T0867", protocols.Time: "T0836", protocols.Restart: "T0816", protocols.Diagnose: "T0888"}
