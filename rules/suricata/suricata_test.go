package suricata

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/lang"
)

func take(t *testing.T, text string, vars map[string]string) *Result {
	t.Helper()
	r, err := Import([]byte(text), Options{File: "my.rules", Vars: vars, Protocols: catalog.All})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rule writes a rule with these options.
func rule(head, options string) string {
	return "alert " + head + ` (msg:"test [x] {y}"; ` + options + "; sid:1;)"
}

// TestTranslate: each option becomes a condition that says the same, and the rule's own tests pass (Import has run them).
func TestTranslate(t *testing.T) {
	const any = "modbus any any -> any any"
	const dnp3 = "dnp3 any any -> any any"
	for _, c := range []struct {
		head, options string
		want          []string // must stand in the rule
	}{
		{any, "modbus: function 21", []string{"when: {proto: modbus, from: client, code: [21]}", "attack: [T0867]", "severity: medium"}},
		{any, "modbus: function 8, subfunction 4", []string{"code: [8]", "modbus.sub == 4"}},
		{any, "modbus: function 43, subfunction 14", []string{"modbus.mei == 14"}},
		{any, "modbus: function user", []string{"code in 65..72 or code in 100..110"}},
		{any, "modbus: function !assigned", []string{"not (code in [1, 2, 3"}},
		{any, "modbus: function reserved", []string{"modbus.sub > 20"}},
		{any, "modbus: function unassigned", []string{"not (code in 65..72"}},
		{any, "modbus: function public", nil},
		{any, "modbus: access read", []string{"code: [1, 2, 3, 4, 23, 20, 24]"}},
		{any, "modbus: access write coils", []string{"code: [5, 15]"}},
		{any, "modbus: access read input, address 100", []string{"code: [4]", "(modbus.addr <= 99 and modbus.addr + modbus.count - 1 >= 99)"}},
		{any, "modbus: access read holding, address 100<>200", []string{"code: [3, 23]", "modbus.addr <= 198 and modbus.addr + modbus.count - 1 >= 100"}},
		{any, "modbus: access write holding, address >100", []string{"modbus.write_addr + modbus.write_count - 1 >= 100", "code in [6, 22] and (modbus.addr <= 65535 and modbus.addr >= 100)"}},
		{any, "modbus: access write holding, address 500, value >200", []string{"each: true", "addr == 499 and value >= 201", "points: [{addr: 499, value: 201}]"}},
		{any, "modbus: access write coils, address 1, value 1", []string{"addr == 0 and value == 1", "false_positives"}},
		{any, "modbus: unit 10", []string{"station == 10"}},
		{any, "modbus: unit 10<>20, function 6", []string{"station in 11..19", "code: [6]"}},
		{any, "modbus: unit <10, access write holding, address <5", []string{"station <= 9", "modbus.addr <= 3"}},
		{any, "modbus: function 6; modbus: unit !1", []string{"station != 1"}},
		{dnp3, "dnp3_func: cold_restart", []string{"when: {proto: dnp3, from: client, code: [13]}", "T0816"}},
		{dnp3, "dnp3_func: 129", []string{"from: server, code: [129]", "T0869"}},
		{dnp3, "dnp3_func: !read", []string{"code != 1"}},
		{dnp3, "dnp3_func: >20", []string{"code >= 21"}},
		{dnp3, "dnp3_func: 13-16", []string{"code in 14..15"}},
		{dnp3, "dnp3_ind: device_restart", []string{"from: server", "(dnp3.restart)"}},
		{dnp3, "dnp3_ind: all_stations, config_corrupt", []string{"(dnp3.broadcast_received or dnp3.config_corrupt)"}},
		{dnp3, "dnp3_ind: +need_time,device_trouble", []string{"(dnp3.need_time and dnp3.trouble)"}},
		{dnp3, "dnp3_ind: need_time; dnp3_ind: device_trouble", []string{"(dnp3.need_time) and (dnp3.trouble)"}},
		{dnp3, "dnp3_ind: reserved_1, reserved_2", []string{"dnp3.iin2 >= 128"}},
		{dnp3, "dnp3_obj: 12, 1", []string{"dnp3.group == 12 and dnp3.var == 1", "first object header"}},
		{dnp3, "dnp3_func:operate; dnp3_obj:12,1", []string{"code: [4]", "T1692.001"}},
		{"tcp 10.0.0.0/8 any -> any 502", "modbus: function 6", []string{`client in [\"10.0.0.0/8\"] and (server_port == 502)`, `transport == \"tcp\"`}},
		{"tcp !10.0.0.1 any -> [10.0.0.2, 10.0.0.3] [502,1502:1510]", "modbus: function 6", []string{`not (client in [\"10.0.0.1\"])`, `server in [\"10.0.0.2\", \"10.0.0.3\"]`, "server_port in 1502..1510"}},
		{"tcp [10.0.0.0/8,!10.1.0.0/16] any -> any !502", "modbus: function 6", []string{`not (client in [\"10.1.0.0/16\"])`, "not (server_port == 502)"}},
		{"tcp $SCADA any -> $PLC $PORT", "modbus: function 6", []string{`client in [\"10.0.0.5\"]`, `not (server in [\"10.9.0.0/16\"])`, "server_port == 502"}},
		{"tcp 2001:db8::/32 any -> any any", "modbus: function 6", []string{`\"2001:db8::/32\"`}},
		{"tcp any 20000 -> 10.0.0.5 any", "dnp3_ind: need_time", []string{`client in [\"10.0.0.5\"] and (server_port == 20000)`}},
		{"tcp 10.0.0.5 any -> any any", "dnp3_func: >5", []string{`from == \"client\" and (client in [\"10.0.0.5\"]) or from == \"server\" and (server in [\"10.0.0.5\"])`}},
		{"tcp 10.0.0.5 any <> any 20000", "dnp3_func: 5", []string{`((client in [\"10.0.0.5\"] and (server_port == 20000)) or ((client_port == 20000) and server in [\"10.0.0.5\"]))`}},
		{"udp any any -> any any", "dnp3_func: 5", []string{`transport == \"udp\"`}},
		{any, "flow:established,to_server; modbus: function 6; priority:1; rev:3; classtype:attempted-admin; reference:url,example.org; gid:1; metadata: created_at 2026, mitre_technique_id T0855, mitre_technique_id T0831",
			[]string{"severity: high", "attack: [T0831]", "revision 3", "Class: attempted-admin", "url,example.org"}},
	} {
		r := take(t, rule(c.head, c.options), map[string]string{"SCADA": "[$A]", "A": "10.0.0.5", "PLC": "!10.9.0.0/16", "PORT": "502"})
		if len(r.Taken) != 1 {
			t.Errorf("%s %s: %v", c.head, c.options, r.Left)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(string(r.YAML), want) {
				t.Errorf("%s %s: no %s in\n%s", c.head, c.options, want, r.YAML)
			}
		}
		set, err := lang.NewVocabulary(catalog.All).Load("my.yaml", r.YAML)
		if err != nil || len(set) != 1 || len(engine.Test(set)) > 0 || set[0].ID != r.Taken[0].ID || set[0].Name != "test [x] {y}" {
			t.Errorf("%s %s: %v\n%s", c.head, c.options, err, r.YAML)
		}
	}
}

// TestLeft: what is not taken over is named with its line, its number and why, and what to do.
func TestLeft(t *testing.T) {
	const any = "modbus any any -> any any"
	for _, c := range []struct{ text, want string }{
		{rule(any, "modbus: function 6; content:\"x\""), "line 1, sid 1: content looks into the bytes of a message"},
		{rule(any, "dnp3_data; content:\"|c3 06|\""), "dnp3_data looks into the bytes"},
		{rule(any, "modbus: function 6; threshold: type both, track by_src, count 3, seconds 60"), "Roje has nothing for the option threshold"},
		{rule(any, "content:\"x\""), "no modbus or dnp3 keyword"},
		{rule(any, "modbus: functoin 6"), `unknown modbus setting "functoin"; did you mean "function"?`},
		{rule(any, "modbus: function 300"), `unknown modbus function "300"`},
		{rule(any, "modbus: function 0"), "write a function code from 1 to 255"},
		{rule(any, "modbus: function !6"), "a single function is not denied"},
		{rule(any, "modbus: function !all"), `no function is outside of "all"`},
		{rule(any, "modbus: function 4, subfunction 4"), "function 4 has no subfunction; diagnostics is function 8"},
		{rule(any, "modbus: function 8, subfunction x"), `subfunction "x"`},
		{rule(any, "modbus: access peek"), `unknown modbus access "peek"`},
		{rule(any, "modbus: access read registers"), `unknown modbus table "registers"`},
		{rule(any, "modbus: access write input"), "input are never written"},
		{rule(any, "modbus: access read, address 5"), "an address of no table"},
		{rule(any, "modbus: address 5"), "an address without an access"},
		{rule(any, "modbus: access read holding, address 0"), "there is no such address"},
		{rule(any, "modbus: access read holding, address 5<>6"), "no number fulfils"},
		{rule(any, "modbus: access read holding, address x"), `address "x"; write a whole number`},
		{rule(any, "modbus: access write holding, value 6"), "a value without an address"},
		{rule(any, "modbus: access read holding, address 6, value 6"), "what is read has no value"},
		{rule(any, "modbus: access write coils, address 6, value 6"), "a coil is written with 0 or 1"},
		{rule(any, "modbus: function 6, access read"), "not at both"},
		{rule(any, "modbus: unit 300"), `unit "300"`},
		{rule(any, "modbus: function 6; dnp3_func: read"), "keywords of modbus and of dnp3"},
		{rule(any, "modbus: function 6; flow: to_client"), "contradict each other"},
		{rule(any, "modbus: function 6; flow: to_clinet"), `did you mean "to_client"?`},
		{rule(any, "modbus: function 6; priority: x"), `priority "x"`},
		{rule(any, "modbus: function 6; modbus: function 3"), "no message was found on which it fires"},
		{rule("dnp3 any any -> any any", "dnp3_func: raed"), `unknown dnp3_func "raed"; did you mean "read"?`},
		{rule("dnp3 any any -> any any", "dnp3_func: 256"), `dnp3_func "256"`},
		{rule("dnp3 any any -> any any", "dnp3_ind: restart"), `unknown dnp3_ind "restart"`},
		{rule("dnp3 any any -> any any", "dnp3_ind: -need_time"), "of which one must be set"},
		{rule("dnp3 any any -> any any", "dnp3_obj: 12"), "has no variation"},
		{rule("dnp3 any any -> any any", "dnp3_obj: 12,x"), "whole numbers from 0 to 255"},
		{rule("dnp3 any any -> any any", "dnp3_obj: 12,1; dnp3_obj:30,1"), "two different dnp3_obj"},
		{rule("dnp3 any any -> any any", "modbus: function 6"), "a rule of dnp3 with a keyword of modbus"},
		{rule("http any any -> any any", "modbus: function 6"), `protocol "http"`},
		{rule("tcp $NONE any -> any any", "modbus: function 6"), "the variable $NONE is not known; say what it is here: --var NONE=10.0.0.0/8"},
		{rule("tcp $SELF any -> any any", "modbus: function 6"), "the variable $SELF is made of itself"},
		{rule("tcp 10.0.0.300 any -> any any", "modbus: function 6"), `"10.0.0.300" is no address`},
		{rule("tcp any 70000 -> any any", "modbus: function 6"), `"70000" is no port`},
		{rule("tcp any 9:1 -> any any", "modbus: function 6"), `"9:1" is no port`},
		{rule("tcp [10.0.0.1 any -> any any", "modbus: function 6"), "square brackets"},
		{rule("tcp 10.0.0.1 any => any any", "modbus: function 6"), `direction "=>"`},
		{rule("tcp any -> any any", "modbus: function 6"), "6 words before the options, not 7"},
		{strings.Replace(rule(any, "modbus: function 6"), "alert", "drop", 1), `action "drop"; a sensor that cannot send`},
		{strings.Replace(rule(any, "modbus: function 6"), "alert", "pass", 1), "write an exception"},
		{strings.Replace(rule(any, "modbus: function 6"), "sid:1", "rev:1", 1), "line 1: a rule without sid"},
		{strings.Replace(rule(any, "modbus: function 6"), "sid:1", "sid:x", 1), `sid "x"`},
		{strings.Replace(rule(any, "modbus: function 6"), "msg", "mgs", 1), "nothing for the option mgs"},
		{"alert modbus any any -> any any", "a rule without options"},
		{"alert modbus any any -> any any (msg:\"x\"; sid:1;", "the options have no end"},
		{"alert modbus any any -> any any (msg:\"x; sid:1;)", "a quote without its partner"},
		{"alert modbus any any -> any any (msg:\"x\"; sid:1)", `no ; behind "sid:1"`},
	} {
		r := take(t, c.text, map[string]string{"SELF": "[$SELF]"})
		if len(r.Left) != 1 || len(r.Taken) != 0 || len(r.YAML) != 0 || !strings.Contains(r.Left[0].String(), c.want) {
			t.Errorf("%s\nleft %v, want %q\n%s", c.text, r.Left, c.want, r.YAML)
		}
	}
}

// TestFile: lines are counted through comments and continuations, a number is used once, and what is left out keeps no
// other rule from being taken.
func TestFile(t *testing.T) {
	r := take(t, "# my rules\n\n"+rule("modbus any any -> any any", "modbus: function 6")+"\n#alert nothing\n"+
		"alert modbus any any -> any any ( \\\n  msg:\"a; b \\\"c\\\"\"; \\\n  modbus: function 5; \\\n  sid:2;)\n"+
		rule("modbus any any -> any any", "modbus: function 16")+"\nnonsense\n", nil)
	if len(r.Taken) != 2 || r.Taken[0].Line != 3 || r.Taken[1].Line != 5 || r.Taken[1].ID != "S2-a-b-c" || !strings.Contains(string(r.YAML), `name: "a; b \"c\""`) {
		t.Errorf("%+v\n%s", r.Taken, r.YAML)
	}
	if len(r.Left) != 2 || r.Left[0].Line != 9 || !strings.Contains(r.Left[0].String(), "sid 1 is also on line 3") || r.Left[1].Line != 10 {
		t.Errorf("%v", r.Left)
	}
	for _, text := range []string{"", "# nothing\n"} {
		if _, err := Import([]byte(text), Options{File: "x", Protocols: catalog.All}); err == nil || !strings.Contains(err.Error(), "x holds no rule") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestSpan: a condition on a number says the same in Roje's words as Suricata's guide does: comparisons are strict.
func TestSpan(t *testing.T) {
	for text, want := range map[string][]int64{
		"5": {5}, "=5": {5}, "0x5": {5}, "<3": {0, 1, 2}, "<=3": {0, 1, 2, 3}, ">7": {8, 9}, ">=7": {7, 8, 9}, "2<>5": {3, 4}, "2-5": {3, 4},
		"!5": {0, 1, 2, 3, 4, 6, 7, 8, 9}, "!=5": {0, 1, 2, 3, 4, 6, 7, 8, 9}, "!2-8": {0, 1, 2, 8, 9},
	} {
		s, err := number("n", text, 9)
		var got []int64
		for n := range int64(10) {
			if s.has(n) {
				got = append(got, n)
			}
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v; %v", text, got, want, err)
		}
		if n, ok := s.pick(9); !ok || !s.has(n) {
			t.Errorf("%s: picked %d", text, n)
		}
	}
	for _, text := range []string{"", "x", "10", "-1", "<0", ">9", "5-6", "!", "<>", "1<>", "1e3", "!<100"} {
		if s, err := number("n", text, 9); err == nil {
			t.Errorf("%q is read as %+v", text, s)
		}
	}
	if _, err := pickAddress(side[netip.Prefix]{not: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}); err == nil {
		t.Error("an address was found that there is not")
	}
}

// FuzzImport: no text makes the importer panic, and all that it makes loads and passes its tests.
func FuzzImport(f *testing.F) {
	f.Add(rule("tcp $A [1:5,!3] -> [10.0.0.0/8,!10.1.0.0/16] any", "modbus: unit 1, access write holding, address 5<>9, value 3"))
	f.Add(rule("dnp3 any any <> any any", "dnp3_func:operate; dnp3_ind:+need_time; dnp3_obj:12,1"))
	v := lang.NewVocabulary(catalog.All)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Import([]byte(text), Options{File: "f", Vars: map[string]string{"A": "!$B", "B": "10.0.0.1"}, Protocols: catalog.All})
		if err != nil || len(r.YAML) == 0 {
			return
		}
		set, err := v.Load("f", r.YAML)
		if err != nil || len(engine.Test(set)) > 0 {
			t.Fatalf("%v\n%s", err, r.YAML)
		}
	})
}
