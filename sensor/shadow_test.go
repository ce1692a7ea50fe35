package sensor

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/baseline"

	"github.com/roje-ot/roje/testdata/need"
)

// TestShadow: a proposal that was learned on one day says what it would raise on the next, more if less of it is
// approved, and leaves the state as it was.
func TestShadow(t *testing.T) {
	need.Long(t)
	dir, _ := labTruth(t)
	state := t.TempDir()
	r := Replaying{Captures: []string{filepath.Join(dir, "day-normal.pcapng.gz")}, Phase: rules.Learn, State: state, Propose: true, Warn: io.Discard}
	if err := Replay(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(state, "baseline.db"))
	if err != nil {
		t.Fatal(err)
	}
	next := []string{filepath.Join(dir, "day-normal-2.pcap.gz")}
	some, err := Shadow(t.Context(), state, next, []baseline.Class{baseline.Rarely}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	none, err := Shadow(t.Context(), state, next, []baseline.Class{baseline.Reads}, io.Discard) // of one day nothing is seen on two
	if err != nil {
		t.Fatal(err)
	}
	if some.Days != 1 || len(some.Alerts) == 0 || !strings.HasPrefix(some.String(), "would have raised") {
		t.Errorf("%.1f days, %d alerts: %s", some.Days, len(some.Alerts), some)
	}
	t.Logf("all approved: %d incidents; nothing approved: %d", some.Incidents, none.Incidents)
	after, err := os.ReadFile(filepath.Join(state, "baseline.db"))
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Error("a shadow run has changed the state")
	}
}
