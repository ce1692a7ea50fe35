package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/testdata/need"
)

// TestPoints runs the commands on lists, and the search of the ledger by name.
func TestPoints(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	capture := filepath.Join(need.Root(t), "testdata", "iec104", "commands.pcap")
	good := write("good.csv", "ca;ioa;type;name;remark\n1;9999;31;breaker Q0;x\n")
	bad := write("bad.csv", "ca;ioa;type;name\n1;x;31;breaker Q0\n")
	config := write("sensor.yaml", "replay: {files: ["+capture+"]}\nstate: "+dir+"\npoints: [{file: "+good+"}]\n")
	wrong := write("wrong.yaml", "replay: {files: ["+capture+"]}\nstate: "+dir+"\npoints: [{file: "+bad+"}]\n")

	store, err := ledger.OpenStore(filepath.Join(dir, ledger.FileName), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"breaker Q0, bay E03", "isolator Q1", ""} {
		r := &ledger.Record{ID: name, Proto: "iec104", Point: &rules.Point{Kind: "binary_out", Addr: 5001, N: 1, Name: name}, Outcome: ledger.Confirmed}
		if err := store.Keep(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
		not  string
	}{
		{[]string{"points"}, 2, "name a command: check, compare", ""},
		{[]string{"points", "check"}, 2, "name the lists", ""},
		{[]string{"points", "check", "--points", good}, 0, "iec104 station 1: 1 points\n" + good + ": columns that nobody reads: [\"remark\"]\n1 points are good\n", ""},
		{[]string{"points", "check", "--points", bad}, 1, bad + `:2:3: ioa "x" is no whole number`, ""},
		{[]string{"points", "check", "--config", config}, 0, "1 points are good", ""},
		{[]string{"check", "--config", wrong}, 1, bad + `:2:3: ioa "x" is no whole number`, "is good"},
		{[]string{"points", "compare", "--points", good}, 1, "nothing to compare with", ""},
		{[]string{"points", "compare", "--points", good, capture}, 0, "1 listed and never seen\n  iec104 station 1: breaker Q0 (object 9999)", ""},
		{[]string{"points", "compare", "--config", config, capture}, 0, "seen and not listed", ""},
		{[]string{"ledger", "--state", dir, "--name", "q0"}, 0, `"name":"breaker Q0, bay E03"`, "isolator"},
	} {
		var out, errs bytes.Buffer
		if code := execute(t.Context(), c.args, &out, &errs); code != c.code {
			t.Errorf("%v: exit code %d, want %d: %s", c.args, code, c.code, &errs)
		}
		said := out.String() + errs.String()
		if !strings.Contains(said, c.want) || c.not != "" && strings.Contains(said, c.not) {
			t.Errorf("%v: lacks %q, or says %q:\n%s", c.args, c.want, c.not, said)
		}
	}
}
