package baseline_test

import (
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/testdata/need"
)

// replay runs the sensor over captures of the corpus and returns its alerts.
func replay(t *testing.T, phase rules.Phase, state string, captures ...string) []*rules.Alert {
	t.Helper()
	corpus := need.Corpus(t)
	var files []string
	for _, c := range captures {
		files = append(files, filepath.Join(corpus, "captures", c))
	}
	return replayFiles(t, phase, state, files...)
}

// replayFiles runs the sensor over capture files and returns its alerts.
func replayFiles(t *testing.T, phase rules.Phase, state string, files ...string) []*rules.Alert {
	t.Helper()
	return replayWith(t, sensor.Replaying{Captures: files, Phase: phase, State: state})
}

// shipped are the rules, which are loaded once.
var shipped = sync.OnceValues(func() ([]*lang.Rule, error) { return sensor.LoadRules("") })

// replayWith runs the sensor as r says and returns its alerts.
func replayWith(t *testing.T, r sensor.Replaying) []*rules.Alert {
	t.Helper()
	set, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	r.Warn = io.Discard
	report, err := sensor.Judge(context.Background(), r, set)
	if err != nil {
		t.Fatal(err)
	}
	return report.Alerts
}

const (
	characterization = "antoine-lemay__Modbus_dataset/characterization_modbus_6RTU_with_operate.pcap"
	illegalCauses    = "derived/heinrihs_iec104_fixed/stage_7_T0855_fixed.pcap"
	bruteForce       = "derived/heinrihs_iec104_fixed/stage_5_T0806_fixed.pcap"
	masquerading     = "derived/qut_dnp3_nogoose/masquerading_training_infrequent.pcap"
	mitm             = "derived/qut_dnp3_nogoose/MITM_training_frequent.pcap"
	energy           = "fkie-cad__ipal_datasets/EnergyDataset/raw/orig.pcap"
	brno             = "derived/brno_iec104/normal-14-12.pcap"
)

// TestAttacks: each attack is found, with a sentence that names both ends, whatever the baseline knows.
func TestAttacks(t *testing.T) {
	need.Long(t)
	for _, test := range []struct {
		name, learn, capture string
		rule, client, server string
	}{
		{"scan by a compromised station, nothing learned", "", characterization, "A03-station-as-master", "192.168.1.101", "192.168.1.104"},
		{"scan by a compromised station, master learned", "antoine-lemay__Modbus_dataset/CnC_uploading_exe_modbus_6RTU_with_operate.pcap", characterization,
			"A03-station-as-master", "192.168.1.101", "192.168.1.104"},
		{"commands with illegal causes, nothing learned", "", illegalCauses, "P08-iec104-illegal-cause", "10.0.1.100", "10.0.1.200"},
		{"commands with illegal causes, others learned", energy, illegalCauses, "P08-iec104-illegal-cause", "10.0.1.100", "10.0.1.200"},
		{"walk over objects, nothing learned", "", bruteForce, "C03-many-objects-commanded", "10.0.1.100", "10.0.1.200"},
		{"outstation scanned, nothing learned", "", masquerading, "R10-dnp3-master-sweep", "192.168.10.66", "192.168.10.222"},
		{"master impersonated, nothing learned", "", masquerading, "A07-dnp3-second-master", "192.168.10.66", "192.168.10.222"},
		{"stranger, a quiet day learned", "derived/qut_dnp3_nogoose/control_training_frequent.pcap", masquerading, "A07-dnp3-second-master", "192.168.10.66", "192.168.10.222"},
		{"traffic drawn through another host", "", mitm, "L01-arp-conflict", "192.168.10.221", ""},
		{"first command on a read-only link", brno, "derived/brno_iec104/injection-command.pcap", "A02-reader-writes", "192.168.11.111", "192.168.11.248"},
		{"sweep", brno, "derived/brno_iec104/scanning-horizontal.pcap", "R07-iec104-station-sweep", "192.168.11.102", ""},
	} {
		state := t.TempDir()
		if test.learn != "" {
			replay(t, rules.Learn, state, test.learn)
		}
		found := false
		for _, a := range replay(t, rules.Enforce, state, test.capture) {
			if a.Rule != test.rule || a.Client != test.client || test.server != "" && a.Server != test.server {
				continue
			}
			found = true
			if !strings.Contains(a.Title, test.client) || !strings.Contains(a.Title, test.server) || a.Severity < rules.High || len(a.Frames) == 0 || len(a.Techniques) == 0 {
				t.Errorf("%s: %s %s, frames %v", test.name, a.Severity, a.Title, a.Frames)
			}
		}
		if !found {
			t.Errorf("%s: no alert of %s by %s", test.name, test.rule, test.client)
		}
	}
}

// TestQuiet: nothing of high severity where nothing is wrong.
func TestQuiet(t *testing.T) {
	need.Long(t)
	for _, test := range []struct {
		name, learn string
		phase       rules.Phase
		captures    []string
	}{
		{"energy, nothing learned", "", rules.Enforce, []string{energy}},
		{"energy, learned", energy, rules.Enforce, []string{energy}},
		{"energy, without a baseline", "", rules.Off, []string{energy}},
		{"Brno with its file transfers, without a baseline", "", rules.Off, []string{brno, "derived/brno_iec104/normal-17-12.pcap"}},
		{"Brno, one day learned, another enforced", brno, rules.Enforce, []string{brno, "derived/brno_iec104/normal-17-12.pcap"}},
		{"a quiet day beside DNP3", "", rules.Off, []string{"derived/qut_dnp3_nogoose/control_training_frequent.pcap"}},
	} {
		state := t.TempDir()
		if test.learn != "" {
			replay(t, rules.Learn, state, test.learn)
		}
		for _, a := range replay(t, test.phase, state, test.captures...) {
			if a.Severity >= rules.High {
				t.Errorf("%s: %s %s %s", test.name, a.Severity, a.Rule, a.Title)
			}
		}
	}
}

// TestReplayTwice: the same captures give the same alerts to the byte.
func TestReplayTwice(t *testing.T) {
	need.Long(t)
	text := func() string {
		b, err := json.Marshal(replay(t, rules.Enforce, t.TempDir(), masquerading, characterization))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if a, b := text(), text(); a != b {
		t.Error("two replays differ")
	}
}
