package main

import (
	"bytes"
	"compress/gzip"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/testdata/need"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCommands runs the program as a user would, and holds exit codes and what is said.
func TestCommands(t *testing.T) {
	testdata := filepath.Join(need.Root(t), "testdata")
	good := filepath.Join(testdata, "act-modbus-rogue-master.pcap")
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	cut := write(t, "cut.pcap", string(whole[:len(whole)-7]))
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	zip.Write(whole)
	zip.Close()
	gz := write(t, "whole.bin", packed.String())
	rules := t.TempDir()
	if err := os.WriteFile(filepath.Join(rules, "site.yaml"), []byte("- id: X01-mine\n  severty: high\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := write(t, "plain", "x")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()

	for _, c := range []struct {
		name string
		args string
		code int
		out  string // must stand in standard output
		err  string // must stand in standard error
	}{
		{"no command", "", 2, "", "name a command"},
		{"unknown command", "reply", 2, "", "unknown command"},
		{"unknown flag", "replay --evnts - x", 2, "", "unknown flag: --evnts"},
		{"no capture", "replay", 2, "", "name at least one capture"},
		{"unknown phase", "replay --phase lern x.pcap", 2, "", `did you mean "learn"?`},
		{"no such capture", "replay nosuch.pcap", 1, "", "nosuch.pcap"},
		{"text named pcap", "replay " + write(t, "text.pcap", "hello"), 1, "", "not a capture file"},
		{"truncated capture", "replay --coverage {out} " + cut, 1, "", "damaged at byte"},
		{"good after bad", "replay --alerts {out} " + cut + " " + good, 1, "", "damaged at byte"},
		{"gzip by content", "replay --coverage {out} " + gz, 0, "", ""},
		{"unwritable output", "replay --events " + file + "/events " + good, 1, "", "write output"},
		{"unwritable state", "replay --phase learn --state " + file + "/state " + good, 1, "", "not a directory"},
		{"unknown rule field", "rules test " + rules, 1, "", `did you mean "severity"?`},
		{"no such rules", "replay --rules nosuch " + good, 1, "", "rules"},
		{"shipped rules", "rules test", 0, "all pass", ""},
		{"no config", "run", 2, "", "--config FILE"},
		{"unknown config key", "check --config " + write(t, "c.yaml", "interface: [eth0]\n"), 1, "", `did you mean "interfaces"?`},
		{"two faults at once", "check --config " + write(t, "c.yaml", "phase: lern\nadmin: 0.0.0.0:1\ninterfaces: [eth0]\n"), 1, "", "loopback"},
		{"a tap without a good name", "check --config " + write(t, "taps.yaml", "interfaces: [eth0]\ntaps: [Line 1]\n"), 1, "", `"Line 1" cannot be the name of a tap`},
		{"nothing to watch", "check --config " + write(t, "c.yaml", "phase: learn\n"), 1, "", "nothing to watch"},
		{"too few bytes for events", "check --config " + write(t, "c.yaml", "events_bytes: 5\nevents_days: 9999\ninterfaces: [eth0]\n"), 1, "", "the least is 1048576; to keep none, say events: off"},
		{"too many days of events", "check --config " + write(t, "c.yaml", "events_days: 9999\ninterfaces: [eth0]\n"), 1, "", "it is 1 to 3650"},
		{"good config", "check --config " + write(t, "c.yaml", "interfaces: [eth0]\n"), 0, "is good", ""},
		{"no such interface", "run --config " + write(t, "c.yaml", "interfaces: [nosuch0]\nstate: "+t.TempDir()+"\n"), 1, "", "nosuch0"},
		{"taken port", "run --config " + write(t, "c.yaml", "replay: {files: ["+good+"]}\nstate: "+t.TempDir()+"\nadmin: "+taken.Addr().String()+"\n"), 1, "", "address already in use"},
		{"recorded to the end", "run --config " + write(t, "c.yaml", "replay: {files: ["+good+"]}\nstate: "+t.TempDir()+"\n"), 0, "", ""},
		{"no token", "enrol", 2, "", "--token TOKEN"},
		{"bad token", "enrol --token roje1.x --dir " + t.TempDir() + "/e", 1, "", "token"},
		{"empty baseline", "baseline show --state " + t.TempDir(), 0, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := strings.Fields(strings.ReplaceAll(c.args, "{out}", filepath.Join(t.TempDir(), "out")))
			code := execute(t.Context(), args, &stdout, &stderr)
			if code != c.code || !strings.Contains(stdout.String(), c.out) || !strings.Contains(stderr.String(), c.err) {
				t.Errorf("exit %d, want %d\nstdout %s\nstderr %s\nwant %q and %q", code, c.code, &stdout, &stderr, c.out, c.err)
			}
			if code == 2 && strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("bad usage says more than one line:\n%s", &stderr)
			}
		})
	}
}

// TestNothingLostBeforeDamage: all that stands before the damage of a capture is processed.
func TestNothingLostBeforeDamage(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join(need.Root(t), "testdata", "act-modbus-rogue-master.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	events := func(capture []byte, want int) string {
		out := filepath.Join(t.TempDir(), "events")
		var stderr bytes.Buffer
		if code := execute(t.Context(), []string{"replay", "--events", out, write(t, "c.pcap", string(capture))}, &stderr, &stderr); code != want {
			t.Fatalf("exit %d, want %d: %s", code, want, &stderr)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	all, before := events(whole, 0), events(whole[:len(whole)-1], 1)
	if before == "" || !strings.HasPrefix(all, before) {
		t.Errorf("a capture cut in its last packet gives %d bytes of events, the whole one %d", len(before), len(all))
	}
}
