package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/cmd/chaos/rig"
	"github.com/roje-ot/roje/sensor/capture/bench/frames"
	"github.com/roje-ot/roje/sensor/passive/verify"
	"github.com/roje-ot/roje/testdata/need"
)

// ownRun gives the calling thread, which is the test's own since need.Veth, and what it starts a /run/roje and a bpffs of
// their own.
func ownRun(t *testing.T) {
	t.Helper()
	need.BPFFS(t)
	if err := os.MkdirAll("/run/roje", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", "/run/roje", "tmpfs", 0, "mode=755"); err != nil {
		t.Fatalf("mount a /run/roje: %v", err)
	}
}

// keep starts the process that shuts the port and keeps watch over it.
func keep(t *testing.T, port string) *rig.Process {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p := rig.Start(t, exec.Command(program, "shut", "--stay", port))
	p.Expect(port + " is shut")
	return p
}

// asUnit are the user and the rights that the unit gives the sensor.
var asUnit = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: []uintptr{unix.CAP_NET_RAW, unix.CAP_BPF, unix.CAP_PERFMON}}

// raised reads how many of a rule's alerts were written.
func (l *live) raised(rule string) int {
	l.t.Helper()
	text, err := os.ReadFile(l.alerts)
	if err != nil {
		l.t.Fatal(err)
	}
	return strings.Count(string(text), `"`+rule+`"`)
}

// TestEachWay: a sensor with the rights of its unit, beside the process that keeps watch, sees whatever another process
// does to send on the port, in every way that is known: what a layer drops is counted, what none can drop the port's own
// count shows, and both are alerts.
func TestEachWay(t *testing.T) {
	span, peer := need.Veth(t)
	ownRun(t)
	passXDP(t, span, peer)
	keep(t, span)
	l := startWith(t, asUnit, folder(t), "phase: learn\n", span)
	if line := l.says("watching"); !strings.Contains(line, "passivity=kernel") {
		t.Errorf("the level is not kernel: %s", line)
	}
	port, err := net.InterfaceByName(span)
	if err != nil {
		t.Fatal(err)
	}
	past := map[string]bool{"XDP socket": true, "XDP redirect into the port": true}
	seen := func(m map[string]float64) (tried, sent float64) {
		return m[`roje_port_tried_frames_total{source="span"}`], m[`roje_port_sent_frames_total{source="span"}`]
	}
	tried, sent := 0.0, 0.0
	for _, way := range verify.Ways() {
		if err := verify.Send(way, port); err != nil && err != unix.ENOBUFS {
			t.Logf("%s: %v", way, err) // nothing could be made that a layer would have to drop
			continue
		}
		m := l.until(way+" is seen", func(m map[string]float64) bool {
			nowTried, nowSent := seen(m)
			return past[way] && nowSent > sent || !past[way] && nowTried > tried
		})
		nowTried, nowSent := seen(m)
		if !past[way] && nowSent != sent {
			t.Errorf("%s: the port has sent %v frames", way, nowSent-sent)
		}
		t.Logf("%s: %v tried and dropped, %v sent", way, nowTried-tried, nowSent-sent)
		tried, sent = nowTried, nowSent
	}
	if l.raised("sensor-port-tried") == 0 || l.raised("sensor-port-sent") == 0 {
		t.Error("attempts, or frames that were sent, are no alert")
	}
	sealed(t, l.cmd.Process.Pid)

	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	conn.DelTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: "roje-" + span})
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	l.says("A layer that keeps the port span shut is no longer there")
	l.until("the level falls", func(m map[string]float64) bool {
		return m[`roje_sensor_info{passivity="claimed",phase="learn",version="unknown"}`] == 1
	})
}

// passXDP has the peer receive what is redirected into the port.
func passXDP(t *testing.T, span, peer string) {
	t.Helper()
	var far netlink.Link
	for _, name := range []string{span, peer} {
		dev, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetMTU(dev, 1500) // which a frame under native XDP has to fit in
		}
		if err != nil {
			t.Fatal(err)
		}
		far = dev
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	attached, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: far.Attrs().Index})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { attached.Close() })
}

// TestCrash kills the sensor: what drops stays, and the next start takes it over.
func TestCrash(t *testing.T) {
	span, _ := need.Veth(t)
	ownRun(t)
	try := func() error {
		port, err := net.InterfaceByName(span)
		if err != nil {
			t.Fatal(err)
		}
		return verify.Send("packet socket", port)
	}
	l := start(t, nil, span)
	if line := l.says("watching"); !strings.Contains(line, `drops="after the sensor ends"`) {
		t.Errorf("the start line does not say that the drop lasts: %s", line)
	}
	l.crash()
	for _, layer := range []string{"nftables and TCX", "TCX alone"} {
		if err := try(); err != unix.ENOBUFS {
			t.Errorf("after a crash, %s: a packet socket is told %v, want %v", layer, err, unix.ENOBUFS)
		}
		conn, err := nftables.New()
		if err != nil {
			t.Fatal(err)
		}
		conn.DelTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: "roje-" + span})
		conn.Flush() // the second time it is gone
	}
	pinned, err := filepath.Glob("/sys/fs/bpf/roje/" + span + "-*")
	if err != nil || len(pinned) != 1 {
		t.Fatalf("pinned: %q, %v", pinned, err)
	}
	l = start(t, nil, span)
	l.says("watching")
	if now, err := filepath.Glob("/sys/fs/bpf/roje/*"); err != nil || len(now) != 1 || now[0] != pinned[0] {
		t.Errorf("pinned after the next start: %q, %v; before it %q", now, err, pinned)
	}
	if err := try(); err != unix.ENOBUFS {
		t.Errorf("after the next start: %v", err)
	}
	l.says("tried to send on the port span")
	l.end()
	if err := try(); err != unix.ENOBUFS {
		t.Errorf("after the end in good order: %v", err)
	}
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	runHere(t, program, "shut", "--undo", span)
	if err := try(); err != nil {
		t.Errorf("after shut --undo: %v", err)
	}
}

// crash ends the sensor as a fault would.
func (l *live) crash() {
	l.ended = true
	l.cmd.Process.Kill()
	for range l.lines {
	}
	l.cmd.Wait()
}

// TestOverloaded: while more frames come than the ring can hold, and after the interface came back, the process holds as
// little as before.
func TestOverloaded(t *testing.T) {
	span, peer := need.Veth(t)
	l := start(t, nil, span)
	l.says("watching")
	overload(t, l, span)
	dev, err := netlink.LinkByName(span)
	if err == nil {
		err = netlink.LinkDel(dev)
	}
	if err != nil {
		t.Fatal(err)
	}
	l.says("vanished")
	again(t, span, peer)
	l.says("is back")
	sealed(t, l.cmd.Process.Pid)
	overload(t, l, span)
}

// overload fills the ring while the sensor is stopped, and more; then it goes on, and counts what was lost.
func overload(t *testing.T, l *live, span string) {
	t.Helper()
	lost := func(m map[string]float64) float64 { return m[`roje_frames_total{bucket="ring_full",source="span"}`] }
	before := lost(l.until("the metrics answer", func(map[string]float64) bool { return true }))
	source, err := frames.New(span, 128, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if err := l.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	_, err = source.Send(1_000_000) // of 128 bytes and a header each, into a ring of 64 MiB
	sealed(t, l.cmd.Process.Pid)
	if err := errors.Join(err, l.cmd.Process.Signal(syscall.SIGCONT)); err != nil {
		t.Fatal(err)
	}
	l.until("frames were lost", func(m map[string]float64) bool {
		if _, err := source.Send(100); err != nil { // the first block after the loss says that there was one
			t.Fatal(err)
		}
		return lost(m) > before
	})
	sealed(t, l.cmd.Process.Pid)
}
