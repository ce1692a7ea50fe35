// Package deploy holds what an installation needs: units of systemd. Its test holds them to what they promise.
package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/roje-ot/roje/sensor/passive"
	"github.com/roje-ot/roje/testdata/need"
)

// mostExposed is the exposure that systemd-analyze may give the sensor's unit, of 10.
const mostExposed = 1.5

// mostExposedPort is what it may give the unit that shuts a port, which is root with CAP_NET_ADMIN.
const mostExposedPort = 3.0

// TestExposure has systemd judge the units that run on: the sensor's, and that of the process that keeps watch over a port
// as root.
func TestExposure(t *testing.T) {
	tool := need.Tool(t, "systemd-analyze", "systemd")
	for unit, most := range map[string]float64{"roje-sensor.service": mostExposed, "roje-port@span0.service": mostExposedPort} {
		out, err := exec.Command(tool, "security", "--offline=true", "./"+unit).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		found := regexp.MustCompile(`Overall exposure level for ` + unit + `: ([0-9.]+)`).FindSubmatch(out)
		if found == nil {
			t.Fatalf("no level in\n%s", out)
		}
		var level float64
		if _, err := fmt.Sscan(string(found[1]), &level); err != nil || level > most {
			t.Errorf("%s: exposure %s, want at most %v:\n%s", unit, found[1], most, out)
		}
		t.Logf("%s: exposure %v", unit, level)
	}
}

// members are the system calls of a group, as systemd knows them; a call is its own.
func members(t *testing.T, tool, name string) (all []string) {
	t.Helper()
	if !strings.HasPrefix(name, "@") {
		return []string{name}
	}
	out, err := exec.Command(tool, "syscall-filter", "--no-pager", name).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for line := range strings.Lines(string(out)) {
		word := strings.TrimSpace(line)
		if word == "" || word == name || strings.HasPrefix(word, "#") {
			continue
		}
		all = append(all, members(t, tool, word)...)
	}
	return all
}

// TestSystemCalls: the unit lets through what the sensor's own filter does, once it has one. The reverse need not hold: it
// opens its ports under the unit's filter alone.
func TestSystemCalls(t *testing.T) {
	tool := need.Tool(t, "systemd-analyze", "systemd")
	text, err := os.ReadFile("roje-sensor.service")
	if err != nil {
		t.Fatal(err)
	}
	let := map[string]bool{}
	for _, line := range regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.*)$`).FindAllStringSubmatch(string(text), -1) {
		for _, name := range strings.Fields(line[2]) {
			for _, call := range members(t, tool, name) {
				let[call] = line[1] == ""
			}
		}
	}
	for _, call := range passive.Calls() {
		if !let[call] {
			t.Errorf("the unit refuses %s, which the sensor needs", call)
		}
	}
	for _, call := range []string{"ptrace", "setns", "unshare", "mount", "init_module", "io_uring_setup", "keyctl", "pidfd_getfd", "process_vm_writev", "kexec_load"} {
		if let[call] {
			t.Errorf("the unit lets %s through", call)
		}
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
