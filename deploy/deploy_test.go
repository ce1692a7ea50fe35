// Package deploy holds what an installation needs: units of systemd. Its test holds them to what they promise.
package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/roje-ot/roje/testdata/need"
)

// mostExposed is the exposure that systemd-analyze may give the sensor's unit, of 10.
const mostExposed = 1.5

// TestExposure has systemd judge the unit.
func TestExposure(t *testing.T) {
	tool := need.Tool(t, "systemd-analyze", "systemd")
	out, err := exec.Command(tool, "security", "--offline=true", "roje-sensor.service").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := regexp.MustCompile(`Overall exposure level for roje-sensor.service: ([0-9.]+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("no level in\n%s", out)
	}
	var level float64
	if _, err := fmt.Sscan(string(found[1]), &level); err != nil || level > mostExposed {
		t.Errorf("exposure %s, want at most %v:\n%s", found[1], mostExposed, out)
	}
}

// TestCapabilities: the sensor's unit grants what the capture needs, and nothing else, and runs as nobody in particular.
func TestCapabilities(t *testing.T) {
	text, err := os.ReadFile("roje-sensor.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"AmbientCapabilities=CAP_NET_RAW CAP_BPF CAP_PERFMON", "CapabilityBoundingSet=CAP_NET_RAW CAP_BPF CAP_PERFMON",
		"NoNewPrivileges=yes", "User=roje-sensor", "Restart=always"} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("the unit lacks the line %q", line)
		}
	}
}

// TestUnits has systemd read every unit. That programs and manual pages are not installed here is no fault of theirs.
func TestUnits(t *testing.T) {
	tool := need.Tool(t, "systemd-analyze", "systemd")
	out, _ := exec.Command(tool, "verify", "./roje-sensor.service", "./roje-port@span0.service", "./roje-diode@span0.service").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		ours := strings.Contains(line, "roje-")
		if ours && !strings.Contains(line, "is not executable") && !strings.Contains(line, "Command 'man") {
			t.Error(strings.TrimSpace(line))
		}
	}
}
