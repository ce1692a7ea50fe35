package main

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/cmd/chaos/rig"
	"github.com/roje-ot/roje/testdata/need"
)

// programVariable makes the test's binary the program.
const programVariable = "ROJE_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestTwoProcessesOneLog runs two collectors as processes on one database: both write the audit log, by acts and by sign-ins,
// and both sign it; it verifies from the folder of either, and an entry or an act that was forged in the database is found.
func TestTwoProcessesOneLog(t *testing.T) {
	c := need.Postgres(t)
	base := c.Database()
	store := c.URL("roje", base)
	var folders, consoles [2]string
	var servers [2]*rig.Process
	const password = "four random words here"
	for i := range folders {
		folders[i] = filepath.Join(t.TempDir(), "data")
		if i > 0 { // the sensors of one are those of the other
			if err := os.CopyFS(filepath.Join(folders[i], "pki"), os.DirFS(filepath.Join(folders[0], "pki"))); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(t.TempDir(), "collector.yaml")
		text := fmt.Sprintf("data: %s\nstore: %s\noperator: north\nconsole: {address: 127.0.0.1:0}\ningest: {address: 127.0.0.1:0}\n", folders[i], store)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "serve", "--config", file, "--log", "error")
		cmd.Env, cmd.Stderr = append(os.Environ(), programVariable+"=yes"), os.Stderr
		servers[i] = rig.Start(t, cmd)
		consoles[i] = strings.Fields(servers[i].Expect("console"))[1]
		servers[i].Expect("ingest")
	}
	here := func(want int, stdin string, args ...string) string {
		t.Helper()
		code, out, stderr := command(t.Context(), stdin, args...)
		if code != want {
			t.Errorf("%q: exit %d, want %d: %s%s", args, code, want, out, stderr)
		}
		return out
	}
	names := []string{"ann", "eve"}
	for i, name := range names {
		here(0, password+"\n", "user", "add", name, "--role", "viewer", "--password-stdin", "--data", folders[i])
	}
	for _, console := range consoles {
		for _, name := range names {
			jar, err := cookiejar.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := (&http.Client{Jar: jar}).PostForm(console+"signin", url.Values{"name": {name}, "password": {password}})
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/" {
				t.Errorf("%s at %s: %d at %s", name, console, resp.StatusCode, resp.Request.URL.Path)
			}
		}
	}
	for _, s := range servers { // each signs at its end, the second what the first has signed too
		if err := s.Stop(); err != nil {
			t.Errorf("the end of a collector: %v", err)
		}
	}
	for i, keys := range []int{1, 2} {
		out := here(0, "", "audit", "verify", "--data", folders[i])
		var entries, signed, checkpoints int
		if _, err := fmt.Sscanf(out, "%d entries, %d signed, %d checkpoints hold", &entries, &signed, &checkpoints); err != nil || entries < 6 || signed != entries {
			t.Errorf("collector %d: %q, %v; want two users and four sign-ins at least, all of it signed", i, out, err)
		}
		_, list, _ := strings.Cut(out, "; key ")
		if got := len(strings.Fields(list)); got < keys {
			t.Errorf("collector %d: signed by %d keys, want %d: %q", i, got, keys, out)
		}
	}
	text := here(0, "", "audit", "export", "--entries", "--data", folders[1])
	for _, name := range names {
		if n := strings.Count(text, `"what":"sign-in","object":"`+name+`"`); n != 2 {
			t.Errorf("%d sign-ins of %s, want one at each collector:\n%s", n, name, text)
		}
	}
	for what, forge := range map[string][2]string{
		"an entry": {`UPDATE leaves SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), '"object":"ann"', '"object":"eva"'), 'UTF8')`, `UPDATE leaves SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), '"object":"eva"', '"object":"ann"'), 'UTF8')`},
		"an act":   {`UPDATE acts SET object = 'eva' WHERE object = 'ann'`, `UPDATE acts SET object = 'ann' WHERE object = 'eva'`},
	} {
		c.SQL(base, forge[0])
		for _, folder := range folders {
			if out := here(1, "", "audit", "verify", "--data", folder); !strings.Contains(out, "WRONG: ") {
				t.Errorf("%s was forged, and %s says %q", what, folder, out)
			}
		}
		c.SQL(base, forge[1])
	}
	here(0, "", "audit", "verify", "--data", folders[1])
}
