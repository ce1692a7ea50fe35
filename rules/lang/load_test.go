package lang_test

import (
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules/lang"
)

// toy is a protocol of the tests' own.
var toy = &protocols.Protocol{Name: "toy", Title: "Toy", TCP: []uint16{7}, Codes: []protocols.Code{
	{Code: 1, Name: "read", Op: protocols.Read}, {Code: 5, Name: "write", Op: protocols.Write}},
	Field: []protocols.Field{
		{Name: "sub", Doc: "a number", Int: func(m *protocols.Message) (int64, bool) { v, ok := m.Detail.(int); return int64(v), ok }},
		{Name: "mode", Doc: "a text", Text: func(m *protocols.Message) (string, bool) { v, ok := m.Detail.(string); return v, ok }},
		{Name: "loud", Doc: "a bool", Bool: func(m *protocols.Message) (bool, bool) { v, ok := m.Detail.(bool); return v, ok }},
		{Name: "list", Doc: "no word", JSON: func(dst []byte, _ *protocols.Message) []byte { return dst }},
	}}

func vocabulary() *lang.Vocabulary { return lang.NewVocabulary([]*protocols.Protocol{toy}) }

// good is a rule with nothing wrong; tests replace one line of it.
const good = `- id: T1
  name: a rule
  severity: high
  attack: [T0814]
  when: {proto: toy, op: read}
  state: {by: [client], window: 60s, distinct: station}
  where: code == 1 and distinct >= 2
  message: "{client} did {name}[ to {station}] at {at}"
  learned: "{learned_days} days"
  quiet: 5m
  per: [client]
  help: {meaning: m, do: d}
  tests:
    - {name: yes, fires: true, event: {code: 1, station: 1, repeat: 2, vary: station}}
    - {name: no, fires: false, event: {code: 1, station: 1}}
`

func TestLoadGood(t *testing.T) {
	set, err := vocabulary().Load("f.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	r := set[0]
	if len(set) != 1 || r.ID != "T1" || r.State.Cap != 64 || r.Quiet != 300e9 || len(r.Tests) != 2 || r.Impact != 0.4 || r.Line != 1 {
		t.Errorf("got %+v", r)
	}
	if set, err := vocabulary().Load("empty.yaml", []byte("# nothing\n")); err != nil || len(set) != 0 {
		t.Errorf("empty file: %v, %v", set, err)
	}
}

func TestLoadErrors(t *testing.T) {
	for _, test := range []struct {
		name, old, new string
		want           string // the first error, after the file's name
	}{
		{"unknown key", "  severity:", "  severty:", `3:3: unknown key "severty" in a rule; did you mean "severity"?`},
		{"unknown key in when", "op: read", "opp: read", `5:22: unknown key "opp" in when; did you mean "op"?`},
		{"unknown severity", "severity: high", "severity: hihg", `3:13: unknown severity "hihg"; did you mean "high"?`},
		{"revoked technique", "[T0814]", "[T0855]", `4:12: unknown technique "T0855"; v19 calls it T1692.001`},
		{"misspelt technique", "[T0814]", "[T814]", `4:12: unknown technique "T814"; did you mean "T0814"?`},
		{"unknown op", "op: read", "op: raed", `5:26: unknown operation "raed"; did you mean "read"?`},
		{"unknown protocol", "proto: toy", "proto: toi", `5:17: unknown protocol "toi"; did you mean "toy"?`},
		{"unknown fault", "op: read", "fault: bad_cuase", `5:29: unknown fault "bad_cuase"; did you mean "bad_cause"?`},
		{"unknown kind of event", "op: read", "what: mesage", `5:28: unknown kind of event "mesage"; did you mean "message"?`},
		{"code that is a name", "op: read", "code: read", "5:28: \"read\" is no code; write the number; names go under `name:`"},
		{"selector that a connection does not have", "proto: toy, op: read", "what: connection, op: read", "5:9: a connection, an ARP packet or a gap has no protocol, code, side or fault; use server_port and the other words of the flow in `where:`"},
		{"unknown word", "code == 1", "cod == 1", `7:10: unknown word "cod"; did you mean "code"?`},
		{"unknown protocol word", "code == 1", "toy.sup == 1", `7:14: unknown word "toy.sup"; did you mean "toy.sub"?`},
		{"word that is no word", "code == 1", "toy.list == 1", `7:14: unknown word "toy.list"`},
		{"type error", "code == 1", `code == "1"`, `7:15: invalid operation: == (mismatched types int and string)`},
		{"not a condition", "code == 1 and distinct >= 2", "code + 1", `7:10: condition is a int, not a bool; compare it with something`},
		{"no value of the word", "code == 1", `op == "raed"`, `7:16: "raed" is no value of op; did you mean "read"?`},
		{"bad address", "code == 1", `client == "10.0.0"`, `7:20: "10.0.0" is neither an address nor a network`},
		{"function", "code == 1", `len(name) > 3`, `7:10: len(name) is not a number; see the subset in the documentation of the rule language`},
		{"pipe", "code == 1", `(name | upper()) == "X"`, ``},
		{"closure", "code == 1", `all([1], # > 0)`, ``},
		{"ternary", "code == 1", `(ok?ok:fault)`, `7:22: ok ? ok : fault is not supported as a condition; see the subset in the documentation of the rule language`},
		{"matches", "code == 1", `name matches "r.*"`, `7:15: operator "matches" is not supported; see the subset in the documentation of the rule language`},
		{"index", "code == 1", `([true][0])`, `7:17: only the words of a protocol have a dot; write group.word`},
		{"syntax", "code == 1", `code ==`, `7:18: unexpected token Operator("and")`},
		{"state word without state", "  state: {by: [client], window: 60s, distinct: station}\n", "", "6:10: the condition uses count, distinct, step or done, and the rule has no state; add `state:` with `by:` and `window:`"},
		{"waits for two things", "distinct: station}", "silence: true, expect: code == 1}", "6:10: a rule waits for silence or for an event, not for both; write two rules"},
		{"waits and counts", "distinct: station}", "silence: true, distinct: station}", "6:10: a rule that waits (silence, expect) counts nothing else"},
		{"alive outside of by", "distinct: station}", "silence: true, alive: [server]}", "6:10: the words of alive must be among those of by"},
		{"alive without silence", "distinct: station}", "alive: [client]}", "6:10: alive belongs to silence"},
		{"last of a text", "distinct: station}", "last: name}", "6:44: last takes one word that is a number"},
		{"each with a sequence", "distinct: station}", "each: true, sequence: [code == 1, code == 5]}", "6:10: a sequence is of messages, not of each point"},
		{"prior looks at the state", "distinct: station}", "prior: count > 1}", "6:45: this condition cannot look at the state"},
		{"state without window", "window: 60s, ", "", `6:10: state has no window`},
		{"state by a state word", "by: [client]", "by: [count]", `6:16: "count" is known only after the state has counted`},
		{"bad duration", "window: 60s", "window: 60", `6:33: "60" is not a duration; write 90s, 10m or 24h, at most 744h`},
		{"cap too large", "distinct: station", "distinct: station, cap: 100000", `6:62: "100000" is out of range; write a whole number from 2 to 256`},
		{"sequence of one", "distinct: station", "distinct: station, sequence: [code == 1]", `6:67: a sequence has 2 to 8 steps`},
		{"unknown word in the sentence", "{name}", "{nome}", `8:27: unknown word {nome}; did you mean "name"?`},
		{"open brace", " at {at}", " at {at", `8:51: brace or bracket without its partner; double it to show it`},
		{"open bracket", "[ to {station}]", "[ to {station}", `8:54: bracket without its partner; double it to show it`},
		{"missing message", "  message: \"{client} did {name}[ to {station}] at {at}\"\n", "", `1:3: rule T1 has no message`},
		{"no negative test", "    - {name: no, fires: false, event: {code: 1, station: 1}}\n", "", `14:5: rule T1 needs a test on which it fires and one on which it does not`},
		{"no tests", "  tests:", "  help2:", `13:3: unknown key "help2" in a rule; did you mean "help"?`},
		{"unknown word in a test", "code: 1, station: 1, repeat", "code: 1, repeat", `14:39: station varies from nothing; give it a first value`},
		{"state word in a test", "event: {code: 1, station: 1}}", "event: {code: 1, distinct: 1}}", `15:49: unknown key "distinct" in an event`},
		{"bad id", "id: T1", "id: T 1", `1:7: "T 1" is no id; letters and digits joined by hyphens, like C05-industroyer2`},
		{"anchor", "name: a rule", "name: &a a rule", `2:9: anchors and aliases are not allowed; write it out`},
		{"not a list", "- id: T1", "id: T1", "1:1: a rule file is a list of rules; start each rule with `- id: ...`"},
		{"not YAML", "  name: a rule", "\tname: a rule", ``},
		{"twice", "  quiet: 5m", "  name: again", `10:3: key "name" twice in a rule`},
		{"long condition", "code == 1", "code == 1" + strings.Repeat(" or code == 1", 400), `7:10: condition of 5227 bytes; at most 4096`},
		{"many nodes", "code == 1", "code in [1" + strings.Repeat(",1", 600) + "]", ``},
	} {
		if !strings.Contains(good, test.old) {
			t.Errorf("%s: the good rule has no %q", test.name, test.old)
			continue
		}
		text := strings.Replace(good, test.old, test.new, 1)
		if test.name == "not a list" {
			text = strings.ReplaceAll(text, "\n  ", "\n")
		}
		_, err := vocabulary().Load("f.yaml", []byte(text))
		if err == nil {
			t.Errorf("%s: no error", test.name)
			continue
		}
		first, _, _ := strings.Cut(err.Error(), "\n")
		if !strings.Contains(err.Error(), "f.yaml:"+test.want) {
			t.Errorf("%s:\n got %s\nwant f.yaml:%s", test.name, first, test.want)
		}
	}
}

// TestLoadAllErrors: everything that is wrong is said at once.
func TestLoadAllErrors(t *testing.T) {
	text := strings.NewReplacer("high", "hihg", "op: read", "op: raed", "T0814", "T9999").Replace(good)
	_, err := vocabulary().Load("f.yaml", []byte(text))
	if err == nil || strings.Count(err.Error(), "f.yaml:") != 3 {
		t.Errorf("want three errors, got:\n%v", err)
	}
	_, err = vocabulary().Load("f.yaml", []byte(good+good))
	if err == nil || !strings.Contains(err.Error(), "f.yaml:16:3: rule T1 is also on line 1") {
		t.Errorf("the same id twice: %v", err)
	}
}
