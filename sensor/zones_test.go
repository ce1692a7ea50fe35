package sensor

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/testdata/need"
)

// TestZones: a client outside the zones of the site file is told, one in them is not, and without zones nobody is outside.
func TestZones(t *testing.T) {
	file := filepath.Join(need.Root(t), "testdata", "act-modbus-frostygoop.pcap")
	for _, c := range []struct {
		name, zones string
		outside     bool
	}{
		{"the attacker's network is none of the zones", "zones: [{networks: [10.0.0.0/8], reason: all sites, author: anna}]", true},
		{"it is one", "zones: [{networks: [10.0.0.0/8, 203.0.113.0/24], reason: all sites, author: anna}]", false},
		{"there are none", "", false},
	} {
		dir := t.TempDir()
		site, out := filepath.Join(dir, "site.yaml"), filepath.Join(dir, "alerts")
		if err := os.WriteFile(site, []byte(c.zones), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Replay(t.Context(), Replaying{Captures: []string{file}, Alerts: out, Site: site, Phase: rules.Off, Warn: t.Output()}); err != nil {
			t.Fatal(err)
		}
		told := slices.ContainsFunc(jsonLines[rules.Alert](t, out), func(a rules.Alert) bool {
			return a.Rule == "A04-outside-zones" && a.Client == "203.0.113.66" && a.Severity == rules.Critical
		})
		if told != c.outside {
			t.Errorf("%s: told: %v, want %v", c.name, told, c.outside)
		}
	}
}
