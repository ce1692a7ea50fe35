package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/testdata/need"
)

const oneRule = `
- id: X01-mine
  name: test
  severity: high
  attack: [T0816]
  when: {proto: dnp3, code: 13}
  message: "{client}"
  help: {meaning: m, do: d}
  tests:
    - {fires: true, event: {code: 13}}
    - {fires: false, event: {code: 14}}
`

// keys writes a key pair and returns the names of its files.
func keys(t *testing.T) (private, public string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	open, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))),
		write(t, "pub.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: open})))
}

// said is a command line, its exit code and what it must say on either output.
type said struct {
	args string
	code int
	want string
}

func hold(t *testing.T, lines []said) {
	t.Helper()
	for _, c := range lines {
		var stdout, stderr bytes.Buffer
		if code := execute(t.Context(), strings.Fields(c.args), &stdout, &stderr); code != c.code || !strings.Contains(stdout.String()+stderr.String(), c.want) {
			t.Errorf("%s\nexit %d, want %d and %q\n%s%s", c.args, code, c.code, c.want, &stdout, &stderr)
		}
	}
}

// TestRulesCommands signs, verifies and installs a pack, and checks what a sensor would judge by, as a user would.
func TestRulesCommands(t *testing.T) {
	private, public := keys(t)
	dir, state := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine.yaml"), []byte(oneRule), 0o600); err != nil {
		t.Fatal(err)
	}
	packs := t.TempDir()
	one, two, place := filepath.Join(packs, "1.rojepack"), filepath.Join(packs, "2.rojepack"), filepath.Join(packs, "in-use.rojepack")
	centre, policy := t.TempDir(), filepath.Join(packs, "word.rojepack")
	if err := os.WriteFile(filepath.Join(centre, "site.yaml"), []byte("severity: [{rule: X01-mine, severity: low, reason: r, author: a}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	word := write(t, "site.yaml", "disable: [{rule: X01-mine, reason: r, author: a}]\nexceptions: [{rule: D01-dnp3-restart, where: station == 1, until: 2020-01-01, reason: moved, author: j.doe}]\n")
	config := write(t, "sensor.yaml", "interfaces: [eth0]\nstate: "+state+"\nrules: "+place+"\nrules_key: "+public+"\nrules_site: "+word+"\n")
	wrong := write(t, "wrong.yaml", "interfaces: [eth0]\nrules_site: "+write(t, "s.yaml", "disable: [{rule: D01, reason: r, author: a}]")+"\n")
	hold(t, []said{
		{"rules", 2, "name a command"},
		{"rules pack", 2, "name a command"},
		{"rules pack sign " + dir, 2, "say --key"},
		{"rules pack sign --key " + public + " --name grid --version 1 --out " + one + " " + dir, 1, "no private Ed25519 key"},
		{"rules pack sign --key " + private + " --name Grid --version 1 --out " + one + " " + dir, 1, "cannot be the name of a pack"},
		{"rules pack sign --key " + private + " --name grid --version 1 --out " + one + " " + packs, 1, "no *.yaml file"},
		{"rules pack sign --key " + private + " --name grid --version 1 --out " + one + " nosuch", 1, "nosuch"},
		{"rules pack sign --key " + private + " --name grid --version 1 --out " + one + " " + dir, 0, "pack grid 1, 1 rules"},
		{"rules pack sign --key " + private + " --name grid --version 1 --out " + one + " " + dir, 1, "never written over"},
		{"rules pack sign --key " + private + " --name grid --version 2 --out " + two + " " + dir, 0, "pack grid 2"},
		{"rules pack verify " + one, 2, "--key FILE"},
		{"rules pack verify --key " + public + " " + one, 0, "pack grid 1 of "},
		{"rules pack verify --key " + public + " " + public, 1, "is no pack"},
		{"rules pack verify --key " + public + " " + dir, 1, "is a folder"},
		{"rules check --config " + config, 1, "in-use.rojepack: no such file"},
		{"rules pack install " + two, 2, "--config FILE"},
		{"rules pack install --config " + config + " " + public, 1, "is no pack"},
		{"rules pack install --config " + config + " " + two, 0, "pack grid 2 is in"},
		{"rules check --config " + config, 0, "the exception of rule D01-dnp3-restart was good until 2020-01-01 and no longer applies (j.doe: moved)"},
		{"rules check --config " + config, 0, "1 are off, 0 have another severity, 0 exceptions apply; pack grid 2\n"},
		{"check --config " + config, 0, "is good"},
		{"check --config " + wrong, 1, `unknown rule "D01"; did you mean "D01-dnp3-restart"?`},
		{"rules pack sign --key " + private + " --name word --version 1 --policy --out " + policy + " " + centre, 1, "names its operator"},
		{"rules pack sign --key " + private + " --name word --version 1 --policy --operator north --out " + policy + " " + dir, 1, "no place in a policy"},
		{"rules pack sign --key " + private + " --name word --version 1 --policy --operator north --out " + policy + " " + centre, 1, `unknown rule "X01-mine"`},
		{"rules pack sign --key " + private + " --name word --version 1 --policy --operator north --expires soon --out " + policy + " " + centre, 2, "write a day"},
		{"rules pack sign --key " + private + " --name word --version 1 --policy --operator north --sensor b --sensor a --expires 2099-12-31 --with " + two + " --out " + policy + " " + centre, 0, "policy word 1, "},
		{"rules pack verify --key " + public + " --with " + two + " " + policy, 0, "for sensors of north, for a, b, taken before 2100-01-01"},
		{"rules pack verify --key " + public + " " + policy, 1, `unknown rule "X01-mine"`},
		{"rules pack install --config " + config + " " + policy, 1, "for somebody else: sensors of operator north"},
		{"rules check --config " + config + " --rules x", 2, "--config says it all"},
		{"rules check --rules " + one, 0, "whose signature is not checked"},
		{"rules check --rules " + dir + " --key " + public, 1, "asks for a signed pack"},
		{"rules check --rules " + dir + " --site " + word, 0, "1 are off"},
		{"rules list --rules " + dir, 0, "X01-mine "},
	})
}

// TestRulesImport takes over rules of another program, and tries them on a capture and on the events that a sensor kept.
func TestRulesImport(t *testing.T) {
	theirs := write(t, "my.rules", "alert dnp3 any any -> $PLC 20000 (msg:\"cold restart\"; dnp3_func: cold_restart; sid:7;)\n"+
		"alert dnp3 any any -> any any (msg:\"bytes\"; dnp3_data; content:\"x\"; sid:8;)\n"+
		"alert dnp3 any any -> any any (msg:\"object\"; dnp3_obj:12,1; sid:9;)\n")
	out := filepath.Join(t.TempDir(), "mine.yaml")
	capture := filepath.Join(need.Root(t), "testdata", "act-dnp3-cold-restart.pcap")
	state := t.TempDir()
	config := write(t, "c.yaml", "replay: {files: ["+capture+"]}\nstate: "+state+"\n")
	hold(t, []said{
		{"rules import " + theirs, 2, "--out FILE"},
		{"rules import --var PLC --out " + out + " " + theirs, 2, "write NAME=VALUE"},
		{"rules import --out " + out + " nosuch", 1, "nosuch"},
		{"rules import --var $PLC=10.0.0.0/8 --out " + out + " " + theirs, 0, "not taken over: line 2, sid 8: dnp3_data looks into the bytes"},
		{"rules import --var PLC=10.0.0.0/8 --out " + out + " " + theirs, 1, "is not written over"},
		{"rules import --out " + out + "2 " + write(t, "none.rules", "alert tcp any any -> any any (msg:\"x\"; sid:1;)"), 1, "none of 1 rules could be taken over"},
		{"rules test " + filepath.Dir(out), 0, "all pass"},
		{"rules backtest " + capture, 2, "--rules"},
		{"rules backtest --rules " + out, 2, "--events DIR or captures"},
		{"rules backtest --rules " + out + " --phase lern " + capture, 2, "did you mean"},
		{"rules backtest --rules " + out + " --phase off --capture " + capture, 0, "S7-cold-restart: 1 alerts"},
		{"rules backtest --rules " + out + " --events " + state + "/events", 1, "no such file"},
		{"run --config " + config, 0, ""},
		{"rules backtest --rules " + out + " --events " + state + "/events", 0, "S7-cold-restart: 1 alerts"},
		{"rules backtest --rules " + out + " --events " + state + "/events", 0, "stored events in 1 segments"},
		{"rules backtest --rules " + out + " --points nosuch --events " + state + "/events", 1, "nosuch"},
		{"rules backtest --rules " + out + " --config " + config + " --events " + state + "/events", 1, "names no point lists"},
	})
}
