package sensor

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/testdata/need"
)

// judged replays captures and returns their alerts.
func judged(t *testing.T, phase rules.Phase, state string, captures ...string) []rules.Alert {
	t.Helper()
	out := filepath.Join(t.TempDir(), "alerts")
	if err := Replay(t.Context(), Replaying{Captures: captures, Alerts: out, Phase: phase, State: state, Warn: io.Discard}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []rules.Alert
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var a rules.Alert
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// TestPublicAttacks judges attacks of the corpus: with nothing learned at all, and, where there is a capture to learn
// from, with that learned. An alert of high severity or more must name who did what to whom.
func TestPublicAttacks(t *testing.T) {
	need.Long(t)
	corpus := filepath.Join(need.Corpus(t), "captures")
	for _, c := range []struct {
		name, path, learn string
		names             []string // each must stand in the title of one alert of high severity
	}{
		{"Modbus scan from a compromised station", "antoine-lemay__Modbus_dataset/characterization_modbus_6RTU_with_operate.pcap",
			"antoine-lemay__Modbus_dataset/channel_4d_12s.pcap", []string{"192.168.1.101", "192.168.1.104", "read_input_registers"}},
		{"104 commands with forbidden causes", "derived/heinrihs_iec104_fixed/stage_7_T0855_fixed.pcap",
			"derived/heinrihs_iec104_fixed/stage_3_T0802_fixed.pcap", []string{"10.0.1.100", "10.0.1.200", "C_SC_NA_1"}},
		{"DNP3 masquerade", "derived/qut_dnp3_nogoose/masquerading_training_infrequent.pcap",
			"derived/qut_dnp3_nogoose/control_training_frequent.pcap", []string{"192.168.10.66", "192.168.10.222", "DNP3 master"}},
	} {
		for _, learned := range []bool{false, true} {
			state := t.TempDir()
			if learned {
				judged(t, rules.Learn, state, filepath.Join(corpus, c.learn))
			}
			found := false
			for _, a := range judged(t, rules.Enforce, state, filepath.Join(corpus, c.path)) {
				all := a.Severity >= rules.High
				for _, name := range c.names {
					all = all && strings.Contains(a.Title, name)
				}
				found = found || all
			}
			if !found {
				t.Errorf("%s, learned first: %v: no alert of high severity names %q", c.name, learned, c.names)
			}
		}
	}
}

// TestPublicNormal holds captures of ordinary work to no alert of high severity.
func TestPublicNormal(t *testing.T) {
	need.Long(t)
	corpus := filepath.Join(need.Corpus(t), "captures")
	for _, path := range []string{"fkie-cad__ipal_datasets/EnergyDataset/raw/orig.pcap", "derived/brno_iec104/normal-14-12.pcap", "derived/brno_iec104/normal-17-12.pcap"} {
		for _, phase := range []rules.Phase{rules.Off, rules.Enforce} {
			for _, a := range judged(t, phase, t.TempDir(), filepath.Join(corpus, path)) {
				if a.Severity >= rules.High {
					t.Errorf("%s, phase %v: %s %s: %s", path, phase, a.Severity, a.Rule, a.Title)
				}
			}
		}
	}
}
