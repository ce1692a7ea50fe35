package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules/batch/join"
)

// command runs the program in this process.
func command(ctx context.Context, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// TestUsage holds that bad usage is exit code 2 and one line that says what to do.
func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "no command given"},
		{"serv", 2, `unknown command "serv"; did you mean "serve"?`},
		{"user lst --data x", 2, `unknown command "lst"; did you mean "list"?`},
		{"serve", 2, "--data DIR, or --config FILE"},
		{"serve --dta x", 2, "unknown flag: --dta"},
		{"serve x", 2, "unknown command"},
		{"serve --data x --log loud", 2, "not debug, info, warn or error"},
		{"token", 2, `"data" not set`},
		{"token --data x --ttl 3", 2, "missing unit"},
		{"token --data x --ttl=-1h", 2, "--ttl is above 0"},
		{"token --data /nonexistent", 1, "serve --data /nonexistent"},
		{"user", 2, "one of add, ceiling, compare, disable, enable, list, passwd"},
		{"user add --data x", 2, "accepts 1 arg"},
		{"user list --data /nonexistent", 1, "serve --data /nonexistent"},
		{"backup out", 2, `"data" not set`},
		{"backup --data /nonexistent out", 1, "no collector's data"},
		{"restore --data x /nonexistent", 1, "/nonexistent is no backup"},
		{"--help", 0, ""},
		{"--version", 0, ""},
	} {
		code, _, stderr := command(t.Context(), "", strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") > 1 {
			t.Errorf("%q: exit %d, %q; want %d, one line with %q", c.args, code, stderr, c.code, c.want)
		}
	}
}

// TestServe starts the program with nothing but a folder, reads what it prints, and uses the commands beside it.
func TestServe(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	ended := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		ended <- run(ctx, []string{"serve", "--data", data, "--console", "127.0.0.1:0", "--ingest", "127.0.0.1:0"}, strings.NewReader(""), w, &errs)
		w.Close()
	}()
	lines := make(map[string][]string)
	buffer := make([]byte, 4096)
	var printed string
	for !strings.Contains(printed, "sign-in") {
		n, err := r.Read(buffer)
		if err != nil {
			t.Fatalf("%v after %q; exit %d, %s", err, printed, <-ended, errs.String())
		}
		printed += string(buffer[:n])
	}
	for _, line := range strings.Split(printed, "\n") {
		if f := strings.Fields(line); len(f) > 1 {
			lines[f[0]] = f[1:]
		}
	}
	if len(lines["console"]) == 0 || !strings.HasPrefix(lines["console"][0], "http://127.0.0.1:") {
		t.Errorf("printed %q, no console's address", printed)
	}
	if len(lines["sign-in"]) < 2 || lines["sign-in"][0] != "admin" {
		t.Errorf("printed %q, no sign-in", printed)
	}
	code, token, stderr := command(ctx, "", "token", "--data", data, "--site", "north-1")
	parsed, err := join.Parse(strings.TrimSpace(token))
	if code != 0 || err != nil || parsed.Address != lines["ingest"][0] {
		t.Errorf("token: exit %d, %q, %v; address %q, want %v", code, stderr, err, parsed.Address, lines["ingest"])
	}
	for _, c := range []struct {
		args, stdin string
		code        int
		want        string
	}{
		{"user add ann --role analyst --data " + data, "", 0, "-"},
		{"user add ann --role analyst --data " + data, "", 1, "exists"},
		{"user add cert --role cert --password-stdin --data " + data, "a long password\n", 0, ""},
		{"user add bob --role viewer --password-stdin --data " + data, "short\n", 1, "at least 12"},
		{"user add bob --role root --data " + data, "", 1, "one of viewer, analyst, engineer, admin, auditor, platform, cert"},
		{"user passwd ann --data " + data, "", 0, "-"},
		{"user passwd nobody --data " + data, "", 1, "not found"},
		{"user disable ann --data " + data, "", 0, ""},
		{"user list --data " + data, "", 0, "disabled"},
		{"user enable ann --data " + data, "", 0, ""},
		{"user seal ann --data " + data, "", 1, "no sealed account"},
		{"user seal glass --data " + data, "", 0, "-"},
		{"user passwd glass --data " + data, "", 1, "not set by hand"},
		{"user list --data " + data, "", 0, "active, sealed"},
		{"user reset-second ann --data " + data, "", 1, "has no second factor"},
		{"user ceiling ann green --data " + data, "", 1, "only a cert account"},
		{"user ceiling cert red --data " + data, "", 1, "never released"},
		{"user ceiling cert green --data " + data, "", 0, ""},
		{"user list --data " + data, "", 0, "active, up to TLP green"},
		{"user compare cert acts --data " + data, "", 2, "name the CERT"},
		{"user compare ann acts grid-cert --data " + data, "", 1, "only a cert account"},
		{"user compare cert everything grid-cert --data " + data, "", 1, "compares"},
		{"user compare cert acts Grid/CERT --data " + data, "", 1, "a CERT"},
		{"user compare cert acts grid-cert --data " + data, "", 0, ""},
		{"user list --data " + data, "", 0, "grid-cert compares acts"},
		{"token --approve --data " + data, "", 0, "roje1."},
		{"enrolment list --data " + data, "", 0, "WORDS"},
		{"enrolment approve default-aaaaaaaa --data " + data, "", 1, "not found"},
		{"enrolment aprove x --data " + data, "", 2, `did you mean "approve"`},
		{"backup --data " + data + " " + data + "-copy", "", 0, ""},
		{"restore --data " + data + " " + data + "-copy", "", 1, "is not empty"},
		{"restore --data " + data + "-2 " + data + "-copy", "", 0, ""},
		{"user list --data " + data + "-2", "", 0, "cert"},
		{"audit verify --data " + data + "-2", "", 0, "checkpoints hold"},
		{"serve --data " + data, "", 1, "in use by another collector"},
		{"receive --data " + data, "", 2, "say where envelopes come in"},
		{"receive --data " + data + "-9 --udp 127.0.0.1:0", "", 1, "holds no collector's data"},
		{"receive --data " + data + " --udp 127.0.0.1:0 --metrics 0.0.0.0:1", "", 2, "no loopback address"},
		{"enrol-offline --data " + data + " main_test.go", "", 1, "no file of 'roje-sensor enrol --offline'"},
		{"audit", "", 2, "no command given"},
		{"audit verify", "", 2, "say what to verify"},
		{"audit verify --export main_test.go", "", 1, "no export of an audit log"},
		{"audit verify --data " + data + " --key roje/default+1+x", "", 1, "WRONG: no checkpoint is signed with key"},
	} {
		code, stdout, stderr := command(ctx, c.stdin, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%s: exit %d, %q %q; want %d with %q", c.args, code, stdout, stderr, c.code, c.want)
		}
	}
	for _, name := range []string{"pki/ca-key.pem", "roje.db", "shared.db"} {
		for _, dir := range []string{data, data + "-copy", data + "-2"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s of %s: %v, want it there with mode 0600", name, dir, err)
			}
		}
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("after a signal: exit %d", code)
	}
	auditVerifies(t, data)
	if strings.Contains(errs.String(), lines["sign-in"][1]) {
		t.Error("the one-time password is in the log")
	}
	if _, err := net.Dial("tcp", lines["ingest"][0]); err == nil {
		t.Error("it still listens")
	}
}

// auditVerifies holds that the record of a collector that has ended verifies, in its folder and exported, and that
// neither does once a byte of it was changed.
func auditVerifies(t *testing.T, data string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	leaves := filepath.Join(data, "audit", "leaves.jsonl")
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"audit export --data " + data + " --to " + file, 0, ""},
		{"audit export --data " + data + " --to " + file, 1, "exists"},
		{"audit export --entries --data " + data, 0, `"what":"token"`},
		{"audit verify --data " + data, 0, "checkpoints hold"},
		{"audit verify --export " + file, 0, "checkpoints hold"},
		{"audit verify --export " + file + " --checkpoint " + filepath.Join(data, "audit", "checkpoint"), 0, "checkpoints hold"},
		{"flip " + file, 0, ""},
		{"audit verify --export " + file, 1, "WRONG: the first"},
		{"flip " + leaves, 0, ""},
		{"audit verify --data " + data, 1, "WRONG: the first"},
		{"audit export --entries --data " + data, 1, "does not verify"},
	} {
		if name, ok := strings.CutPrefix(c.args, "flip "); ok {
			text, err := os.ReadFile(name)
			if err == nil {
				err = os.WriteFile(name, bytes.Replace(text, []byte("ann"), []byte("eve"), 1), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		code, stdout, stderr := command(t.Context(), "", strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%s: exit %d, %q %q; want %d with %q", c.args, code, stdout, stderr, c.code, c.want)
		}
	}
}
