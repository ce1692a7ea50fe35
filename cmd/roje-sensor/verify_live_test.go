package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/testdata/need"
)

// sealed looks at a running process: no rights (the bounding set is the unit's: nothing can draw on it without execve), and no socket on which a frame could leave.
func sealed(t *testing.T, pid int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d", pid)
	threads, err := filepath.Glob(dir + "/task/*/status")
	if err != nil || len(threads) == 0 {
		t.Fatal(err)
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		for _, want := range []string{"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
			if !strings.Contains(string(status), want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
	}
	table := map[string]bool{}
	for _, kind := range []string{"packet", "raw", "raw6"} {
		text, err := os.ReadFile(dir + "/net/" + kind)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			for _, word := range strings.Fields(line) {
				table["socket:["+word+"]"] = true // the inode is among the words
			}
		}
	}
	fds, err := os.ReadDir(dir + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, _ := os.Readlink(dir + "/fd/" + fd.Name()); table[target] {
			t.Errorf("descriptor %s is a raw socket", fd.Name())
		}
	}
}

// TestAttempts: somebody else on the host tries to send, and gets past the layers; both are alerts.
func TestAttempts(t *testing.T) {
	span, _ := need.Veth(t)
	l := start(t, nil, span)
	l.says("watching")
	link, err := netlink.LinkByName(span)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, make([]byte, 60), 0, &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index}); err != unix.ENOBUFS {
		t.Errorf("sending on the watched port: %v", err)
	}
	l.says("tried to send on the port span")
	alerts, err := os.ReadFile(l.alerts)
	if err != nil || !strings.Contains(string(alerts), `"sensor-port-tried"`) {
		t.Errorf("the attempt is no alert: %v\n%s", err, alerts)
	}
	m := l.until("the attempt is counted", func(m map[string]float64) bool { return m[`roje_port_tried_frames_total{source="span"}`] == 1 })
	if m["roje_sent_frames_total"] != 0 {
		t.Error("the port has sent")
	}
}

// TestDownAtStart: a port that is down is set up, once it is shut for frames.
func TestDownAtStart(t *testing.T) {
	span, peer := need.Veth(t)
	link, err := netlink.LinkByName(span)
	if err == nil {
		err = netlink.LinkSetDown(link)
	}
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, nil, span)
	l.says("watching")
	l.until("the link comes up", func(m map[string]float64) bool { return m[`roje_port_up{source="span",state="up"}`] == 1 })
	need.Sender(t, peer)(poll(1))
	m := l.until("a poll is decoded", func(m map[string]float64) bool { return m[decoded] == 1 })
	if m["roje_sent_frames_total"] != 0 {
		t.Errorf("the port has sent %v frames", m["roje_sent_frames_total"])
	}
}

// TestRights starts the sensor as a user with nothing but some capabilities.
func TestRights(t *testing.T) {
	const nobody = 65534
	for _, c := range []struct {
		name  string
		caps  []uintptr
		tier  string
		level string
		shut  bool // by root, before
	}{
		{"all that it can use", []uintptr{unix.CAP_NET_RAW, unix.CAP_NET_ADMIN, unix.CAP_BPF, unix.CAP_PERFMON}, "A: ", "kernel", false},
		{"those of the unit", []uintptr{unix.CAP_NET_RAW, unix.CAP_BPF, unix.CAP_PERFMON}, "A: ", "kernel", true},
		{"a filter, and no layers", []uintptr{unix.CAP_NET_RAW, unix.CAP_BPF}, "A: ", "claimed", false},
		{"no eBPF", []uintptr{unix.CAP_NET_RAW}, "E: ", "claimed", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			span, peer := need.Veth(t)
			if c.shut {
				program, err := built()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.Remove("/run/roje/" + span) })
				if out, err := exec.Command(program, "shut", span).CombinedOutput(); err != nil {
					t.Fatalf("shut: %v\n%s", err, out)
				}
			}
			l := start(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: c.caps}, span)
			if line := l.says("watching"); !strings.Contains(line, `capture="`+c.tier) || !strings.Contains(line, "passivity="+c.level) {
				t.Errorf("the start line is not of tier %q, level %q: %s\n%s", c.tier, c.level, line, strings.Join(l.seen, "\n"))
			}
			need.Sender(t, peer)(poll(1))
			l.until("a poll is decoded", func(m map[string]float64) bool { return m[decoded] == 1 })
			sealed(t, l.cmd.Process.Pid)
		})
	}
}
