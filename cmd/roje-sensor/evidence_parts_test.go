package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/collector/store"
)

// statements holds that the statements of the days of a sensor that has run are checked without a network, and are at the
// collector too.
func statements(t *testing.T, s *pair) {
	t.Helper()
	days, err := filepath.Glob(s.at("state/coverage/*.json"))
	if err != nil || len(days) == 0 {
		t.Fatalf("no statement: %v", err)
	}
	for _, day := range days {
		if said := s.do(s.program, "coverage", "verify", day); !strings.Contains(said, "is as it was signed") || !strings.Contains(said, "bytes seen = ") {
			t.Error(said)
		}
		text, err := os.ReadFile(day)
		if err != nil {
			t.Fatal(err)
		}
		s.write("false.json", "%s", bytes.Replace(text, []byte(`"form":1`), []byte(`"form": 1,"note":1`), 1))
		if out, err := exec.Command(s.program, "coverage", "verify", s.at("false.json")).CombinedOutput(); err == nil || !strings.Contains(string(out), "not as it was signed") {
			t.Errorf("a changed statement: %s, %v", out, err)
		}
	}
	var list struct {
		Statements []struct {
			ID    string
			Valid bool
		}
	}
	if err := json.Unmarshal(s.asked("ana", "/api/v1/coverage"), &list); err != nil || len(list.Statements) == 0 || !list.Statements[0].Valid {
		t.Errorf("statements at the collector: %+v, %v", list, err)
	} else {
		s.write("got.json", "%s", s.asked("ana", "/api/v1/coverage/"+list.Statements[0].ID))
		s.do(s.program, "coverage", "verify", s.at("got.json"))
	}
}

// overDiode holds that evidence goes over a link with no way back, where nobody can ask, if the configuration says so.
func overDiode(t *testing.T, s *pair, act string) {
	t.Helper()
	s.do(s.program, "enrol", "--token", strings.Fields(s.do(s.collector, "token", "--data", s.at("data")))[0], "--dir", s.at("enrolment2"), "--name", "diode")
	if err := os.Mkdir(s.at("carried"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("sensor.yaml", "state: %s\nenrolment: %s\nevidence: %s\nreplay: {files: [%s]}\noneway: {files: %s}\nevidence_to_collector: {send: all}\n",
		s.at("state2"), s.at("enrolment2"), s.at("evidence2"), act, s.at("carried"))
	s.do(s.program, "run", "--config", s.at("sensor.yaml"))
	s.launch("receive.log", s.collector, "receive", "--data", s.at("data"), "--files", s.at("carried"))
	sent, err := filepath.Glob(s.at("evidence2/*.pcapng"))
	if err != nil || len(sent) == 0 {
		t.Fatalf("no evidence: %v", err)
	}
	for _, path := range sent {
		id := strings.TrimSuffix(filepath.Base(path), ".pcapng")
		last := ""
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(last)
			}
		})
		s.await("evidence over a link with no way back", func() bool {
			e, err := s.db.GetEvidence(t.Context(), s.scope, id)
			waiting, _ := filepath.Glob(s.at("carried/*"))
			last = fmt.Sprintf("evidence %+v, %v; not taken yet: %v", e, err, waiting)
			return err == nil && e.State == store.EvidenceWhole && e.Who == ""
		})
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.db.ReadEvidence(t.Context(), s.scope, id); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes, want %d: %v", id, len(got), len(text), err)
		}
	}
}
