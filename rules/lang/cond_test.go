package lang_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
)

// env is the event on which conditions and sentences are tried.
func env() *lang.Env {
	return &lang.Env{Count: 7, Distinct: 3, Step: 2, E: &rules.Event{
		At: 1767600000_000000000,
		Flow: rules.Flow{Client: netip.MustParseAddrPort("10.0.0.66:4000"), Server: netip.MustParseAddrPort("[2001:db8::1]:7"),
			ClientMAC: rules.MAC{0, 0x10, 0x18, 0xcb, 0x8c, 0x13}},
		Msg: &protocols.Message{Proto: toy, HasCode: true, Code: 5, Name: "write", Op: protocols.Write, HasStation: true, Station: 9,
			Faults: protocols.BadCause | protocols.Short, Detail: 42, Points: []protocols.Point{
				{Kind: protocols.AnalogOut, Addr: 100, N: 1, Has: protocols.HasValue, Value: 2.5}, {Kind: protocols.AnalogOut, Addr: 200, N: 3}}},
		Facts: rules.Facts{Phase: rules.Enforce, Novel: rules.NewLink, Masters: 2, Writers: 1, Days: 9.26, ServerServes: true},
	}}
}

func TestCondition(t *testing.T) {
	v := vocabulary()
	for _, test := range []struct {
		text string
		want bool
	}{
		{`code == 5`, true}, {`5 == code`, true}, {`code != 5`, false}, {`3 < code`, true}, {`code >= 5 and code <= 5`, true}, {`code > 5`, false},
		{`code in [1, 5]`, true}, {`code in [1, 300, 5]`, true}, {`code in [1, 300]`, false}, {`code in 4..6`, true}, {`code in 6..9`, false}, {`code not in [1, 2]`, true},
		{`code + 1 == 6`, true}, {`2 * code - 1 == 9`, true}, {`-code == -5`, true}, {`code / 2 == 2.5`, true}, {`code / 0 == 1`, false}, {`code / 0 != 1`, false},
		{`value == 2.5`, true}, {`value > 2`, true}, {`value * 2 == 5`, true}, {`-value < 0`, true}, {`value < 2.5`, false},
		{`name == "write"`, true}, {`name != "write"`, false}, {`name in ["read", "write"]`, true}, {`name in ["read"]`, false},
		{`name startsWith "wr" and name endsWith "te" and name contains "it"`, true}, {`name contains "x"`, false}, {`name == status`, false},
		{`op == "write"`, true}, {`op != "write"`, false}, {`op in ["read", "write"]`, true}, {`op in ["read"]`, false}, {`proto == "toy"`, true}, {`from == "client"`, true},
		{`what == "message"`, true}, {`phase == "enforce"`, true}, {`kind == "analog_out"`, true}, {`turn == "alone"`, true},
		{`status == "ok"`, true}, {`ok`, true}, {`not ok`, false}, {`ok == true`, true}, {`ok != true`, false}, {`fault`, true},
		{`"bad_cause" in faults`, true}, {`"unframed" in faults`, false},
		{`client == "10.0.0.66"`, true}, {`client == "10.0.0.0/8"`, true}, {`client != "10.0.0.0/8"`, false}, {`client in ["192.168.0.0/16", "10.0.0.66"]`, true},
		{`client in ["192.168.0.0/16"]`, false}, {`server == "2001:db8::/32"`, true}, {`client == server`, false}, {`client != server`, true},
		{`client_mac == "00:10:18:cb:8c:13"`, true}, {`client_mac in ["00:10:18:cb:8c:14"]`, false}, {`client_port == 4000 and server_port == 7`, true},
		{`server_mac == "00:00:00:00:00:00"`, false}, {`server_mac != "00:10:18:cb:8c:13"`, false}, // absent
		{`new_link and not new_op`, true}, {`new_op or new_link`, true}, {`new_op || ok && new_link`, true}, {`!(new_op)`, true},
		{`learned_masters == 2 and learned_writers == 1`, true}, {`server_serves and not client_serves`, true}, {`learned_low < 5`, false}, {`not (learned_low < 5)`, true},
		{`count == 7 and distinct == 3 and step == 2 and not done`, true}, {`distinct > 3 * learned_writers`, false}, {`count > 3 * learned_writers`, true},
		{`toy.sub == 42`, true}, {`toy.sub != 41`, true}, {`toy.mode == "fast"`, false}, {`toy.mode != "fast"`, false}, {`toy.loud`, false}, {`not toy.loud`, true},
		{`points == 4 and addr == 100`, true}, {`control == 1`, false}, {`vlan != 5`, false}, {`true or new_op`, true}, {`rtt_ms < 100`, false},
	} {
		before, after, err := v.Condition(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		e := env()
		got := (before == nil || before(e)) && (after == nil || after(e))
		if got != test.want {
			t.Errorf("%s: got %v, want %v", test.text, got, test.want)
		}
		if n := testing.AllocsPerRun(10, func() {
			if before != nil {
				before(e)
			}
			if after != nil {
				after(e)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", test.text, n)
		}
	}
}

// TestConditionParts: what names no word of the state is decided before the state counts.
func TestConditionParts(t *testing.T) {
	v := vocabulary()
	for _, test := range []struct {
		text          string
		before, after bool
	}{
		{`code == 5`, true, false},
		{`count > 5`, false, true},
		{`code == 5 and count > 5 and ok`, true, true},
		{`code == 5 or count > 5`, false, true},
		{`not (code == 1 and done)`, false, true},
		{`5 < distinct`, false, true},
	} {
		before, after, err := v.Condition(test.text)
		if err != nil || (before != nil) != test.before || (after != nil) != test.after {
			t.Errorf("%s: before %v, after %v, error %v; want %v, %v", test.text, before != nil, after != nil, err, test.before, test.after)
		}
	}
}

func TestTemplate(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"{client} did {name} to {server} port {server_port} at {at}", "10.0.0.66 did write to 2001:db8::1 port 7 at 2026-01-05 08:00:00 UTC"},
		{"{targets}", "analog output 100 = 2.5, 200 to 202"},
		{"{distinct} in {window}", "3 in 1m"},
		{"for {learned_days} days, {value}", "for 9.26 days, 2.5"},
		{"{faults}, {status}, {op}, {ok}, {client_mac}", "short,bad_cause, ok, write, true, 00:10:18:cb:8c:13"},
		{"x[ of {station}][ over {vlan}][ in {window}]", "x of 9 in 1m"},
		{"low {learned_low}[ low {learned_low} of {station}]", "low unknown"},
		{"{{a}} [[b]]", "{a} [b]"},
	} {
		text := strings.Replace(good, "{client} did {name}[ to {station}] at {at}", test.text, 1)
		set, err := vocabulary().Load("f.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if got := set[0].Message.Render(env()); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.text, got, test.want)
		}
	}
}

// TestWords: every word has a kind, a meaning and a row in the documentation.
func TestWords(t *testing.T) {
	v := vocabulary()
	doc := v.Markdown()
	for _, w := range v.Words() {
		if w.Doc == "" || !strings.Contains(doc, "| `"+w.Name+"` |") {
			t.Errorf("word %s is not documented", w.Name)
		}
		empty := &lang.Env{E: &rules.Event{What: rules.Gap}}
		if len(w.Append(nil, empty)) == 0 {
			t.Errorf("word %s says nothing of an event that does not have it", w.Name)
		}
		w.Hash(1, empty)
	}
}

// TestHash: values that differ give keys that differ, whatever their kind.
func TestHash(t *testing.T) {
	seen := map[lang.Hash]int{}
	n := 0
	add := func(h lang.Hash) {
		if before, twice := seen[h]; twice {
			t.Errorf("value %d hashes like value %d", n, before)
		}
		seen[h] = n
		n++
	}
	for i := range 2000 {
		add(lang.Hash(7).Uint64(uint64(i)))
		add(lang.Hash(7).Addr(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})))
		add(lang.Hash(7).String(strings.Repeat("a", i%50) + string(rune('b'+i/50))))
		add(lang.Hash(7).Uint64(uint64(i)).Uint64(3))
	}
	add(lang.Hash(7).Absent())
}

func FuzzLoad(f *testing.F) {
	f.Add(good)
	f.Add(strings.Replace(good, "code == 1", "client in [\"10.0.0.0/8\"] and (code / 2 > 1 or not ok)", 1))
	f.Add("- id: x\n  where: all(x, {#})\n")
	f.Add("- &a [*a]\n")
	f.Add("- {tests: [{events: [{vary: [client], client: ::1, repeat: 9}]}]}")
	v := vocabulary()
	f.Fuzz(func(t *testing.T, text string) {
		set, err := v.Load("f.yaml", []byte(text))
		if err != nil {
			return
		}
		for _, r := range set {
			e := env()
			for _, c := range []lang.Cond{r.Before, r.After} {
				if c != nil {
					c(e)
				}
			}
			r.Message.Render(e)
			for i := range r.Tests {
				n := 0
				r.Tests[i].Each(func(*rules.Event) { n++ })
				if n == 0 {
					t.Errorf("test %d of %s has no event", i, r.ID)
				}
			}
		}
	})
}
