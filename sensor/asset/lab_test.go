package asset_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/asset"
	"github.com/roje-ot/roje/testdata/need"
)

// devices runs the sensor over captures of the lab and returns its assets by their first address.
func devices(t *testing.T, files ...string) map[string]*asset.Asset {
	t.Helper()
	out := filepath.Join(t.TempDir(), "assets")
	r := sensor.Replaying{Assets: out, Phase: rules.Off, Warn: io.Discard}
	for _, f := range files {
		r.Captures = append(r.Captures, filepath.Join(need.Root(t), "testdata", f))
	}
	if err := sensor.Replay(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]*asset.Asset{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		a := &asset.Asset{}
		if err := json.Unmarshal(lines.Bytes(), a); err != nil {
			t.Fatal(err)
		}
		if len(a.Addrs) > 0 {
			all[a.Addrs[0].String()] = a
		}
	}
	return all
}

// TestLab: what the lab's devices are and say of themselves.
func TestLab(t *testing.T) {
	for _, test := range []struct {
		file, addr, roles, vendor, model, firmware string
		parts                                      int
	}{
		{"modbus/identification.pcap", "10.20.5.31", "outstation", "Example Power", "RX48 rectifier", "V2.11", 1},
		{"dnp3/objects.pcap", "10.10.1.104", "outstation", "Roje lab", "", "", 1},
		{"act-arp-mitm.pcap", "10.10.1.102", "outstation", "unknown", "", "", 1},
		{"act-modbus-device-as-master.pcap", "10.20.5.41", "outstation master", "unknown", "", "", 1},
	} {
		a := devices(t, test.file)[test.addr]
		if a == nil {
			t.Errorf("%s: no asset %s", test.file, test.addr)
			continue
		}
		var model, firmware string
		if a.Ident != nil {
			model, firmware = a.Ident.Model, a.Ident.Firmware
		}
		if got := strings.Join(a.Roles, " "); got != test.roles || a.Vendor != test.vendor || model != test.model || firmware != test.firmware || len(a.Parts) != test.parts {
			t.Errorf("%s: %s is %q by %s, %q %q, %d parts; want %q by %s, %q %q, %d parts", test.file, test.addr, got, a.Vendor, model, firmware, len(a.Parts),
				test.roles, test.vendor, test.model, test.firmware, test.parts)
		}
	}
	if a := devices(t, "act-arp-mitm.pcap")["10.10.1.102"]; a != nil && len(a.Changes) == 0 {
		t.Error("an address that another link-layer address claims has no history")
	}
}
