package sensor

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/evidence"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/testdata/need"
)

// framesOf returns the bytes of every frame of a capture.
func framesOf(t *testing.T, path string) (all [][]byte) {
	t.Helper()
	f, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var p capture.Packet
	for {
		if err := f.Next(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.Clone(p.Data))
	}
}

// linesOf reads a file of JSON Lines.
func linesOf[T any](t *testing.T, path string) (all []T) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// TestEvidenceOfActs replays the lab's acts of attack, which their own rules find without a baseline, and holds that the
// evidence of each alert is there, signed, and has the frame that raised it and the first and last frame of each control
// action that this frame belongs to, unless its last came after the time that is waited for.
func TestEvidenceOfActs(t *testing.T) {
	need.Long(t)
	acts, err := filepath.Glob(filepath.Join(need.Root(t), "testdata", "act-*.pcap"))
	if err != nil || len(acts) == 0 {
		t.Fatalf("no acts: %v", err)
	}
	alerts, actions, masked := 0, 0, 0
	for _, act := range acts {
		dir := t.TempDir()
		r := Replaying{Captures: []string{act}, Phase: rules.Off, Warn: io.Discard, Evidence: filepath.Join(dir, "evidence"),
			Alerts: filepath.Join(dir, "alerts"), Ledger: filepath.Join(dir, "ledger")}
		if err := Replay(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		wire := framesOf(t, act)
		records := linesOf[ledger.Record](t, r.Ledger)
		for _, a := range linesOf[rules.Alert](t, r.Alerts) {
			alerts++
			if a.Evidence == nil {
				t.Errorf("%s: alert %s has no evidence", act, a.ID)
				continue
			}
			path := filepath.Join(r.Evidence, a.Evidence.File)
			seal, err := evidence.Verify(path)
			if err != nil || seal.SHA256 != a.Evidence.SHA256 {
				t.Errorf("%s: %v, or another hash than %s", path, err, a.Evidence.SHA256)
			}
			kept := framesOf(t, path)
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			hidden := bytes.Contains(file, []byte("masked"))
			want := []uint64{a.Frames[0]}
			for _, record := range records {
				f := record.Frames
				if f[0] <= a.Frames[0] && a.Frames[0] <= f[len(f)-1] && record.Began().Sub(a.First).Abs() < 5*time.Second {
					want = append(want, f[0], f[len(f)-1])
					actions++
				}
			}
			for _, n := range want {
				found := false
				for _, k := range kept {
					found = found || bytes.Equal(k, wire[n-1])
				}
				switch {
				case !found && hidden:
					masked++
				case !found:
					t.Errorf("%s: frame %d is not in the evidence of %s (%s)", act, n, a.ID, a.Rule)
				}
			}
		}
	}
	t.Logf("%d acts, %d alerts with evidence, %d control actions in them; %d frames are masked", len(acts), alerts, actions, masked)
}
