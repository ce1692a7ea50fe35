package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
)

// password is that of all users of a pair.
const password = "a long password"

// A pair is a sensor's program and a collector that runs, with its store, as processes in a folder of the test.
type pair struct {
	t                  *testing.T
	dir                string
	program, collector string

	Operator, Console, Ingest string // as the collector says them

	db    *sqlite.DB
	scope store.Scope
}

// newPair builds the programs and starts a collector that has a viewer, ana, and a CERT's user, cert.
func newPair(t *testing.T) *pair {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	s := &pair{t: t, dir: t.TempDir(), program: program}
	s.collector = s.at("roje-collector")
	if out, err := exec.Command("go", "build", "-o", s.collector, "../roje-collector").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.write("collector.yaml", "data: %s\nconsole: {address: 127.0.0.1:0}\ningest: {address: 127.0.0.1:0}\n", s.at("data"))
	s.launch("collector.log", s.collector, "serve", "--config", s.at("collector.yaml"))
	s.await("the collector's addresses", func() bool {
		text, err := os.ReadFile(s.at("data/serving.json"))
		return err == nil && json.Unmarshal(text, s) == nil && s.Ingest != ""
	})
	if s.db, err = sqlite.Open(s.at("data")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	if s.scope, err = store.For(s.Operator); err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]store.Role{"ana": store.Viewer, "cert": store.CERT} {
		if err := s.db.PutUser(t.Context(), s.scope, store.User{Name: name, Role: role, Hash: account.Hash(password)}, "test", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// at is a place in the folder.
func (s *pair) at(name string) string { return filepath.Join(s.dir, name) }

func (s *pair) write(name, format string, args ...any) {
	s.t.Helper()
	if err := os.WriteFile(s.at(name), fmt.Appendf(nil, format, args...), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// do runs a program to its end, which must be a good one, and returns what it said.
func (s *pair) do(name string, args ...string) string {
	s.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %v: %v\n%s", filepath.Base(name), args, err, out)
	}
	return string(out)
}

// launch starts a program, which is killed at the end of the test.
func (s *pair) launch(log, name string, args ...string) *exec.Cmd {
	s.t.Helper()
	f, err := os.Create(s.at(log))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if s.t.Failed() {
			said, _ := os.ReadFile(s.at(log))
			s.t.Logf("%s: %s", log, said)
		}
	})
	return cmd
}

// await waits until something has come about.
func (s *pair) await(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: does not come about", what)
		}
	}
}

// asked is the collector's answer to a user, whose status must be 200.
func (s *pair) asked(user, path string) []byte {
	s.t.Helper()
	status, body := s.ask(user, path)
	if status != http.StatusOK {
		s.t.Fatalf("%s: %d", path, status)
	}
	return body
}

// ask asks the collector for a path as a user.
func (s *pair) ask(user, path string) (status int, body []byte) {
	s.t.Helper()
	ask, err := http.NewRequest(http.MethodGet, "http://"+s.Console+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	ask.SetBasicAuth(user, password)
	resp, err := http.DefaultClient.Do(ask)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, body
}
