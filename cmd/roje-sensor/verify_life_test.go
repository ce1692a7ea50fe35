package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/roje-ot/roje/cmd/chaos/rig"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/testdata/need"
)

// acts are recorded frames in which there is something to tell of.
const acts = "act-dnp3-cold-restart.pcap"

// traffic sends the frames of a capture to the peer of a watched port, and returns how many.
func traffic(t *testing.T, peer, name string) (n int) {
	t.Helper()
	file, err := capture.Open(filepath.Join(need.Root(t), "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	to := need.Sender(t, peer)
	var p capture.Packet
	for ; ; n++ {
		if err := file.Next(&p); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
		to(p.Data)
	}
}

// run runs a program to its end in the namespace of the calling thread.
func runHere(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), args[0], err, out)
	}
	return strings.TrimSpace(string(out))
}

// joined starts a collector in the namespace, has a sensor join it, and returns the sensor's enrolment.
func joined(t *testing.T) (enrolment string) {
	t.Helper()
	collector, err := build("../roje-collector")
	if err != nil {
		t.Fatal(err)
	}
	sensor, err := built()
	if err != nil {
		t.Fatal(err)
	}
	loopback(t)
	dir := t.TempDir()
	p := rig.Start(t, exec.Command(collector, "serve", "--data", dir+"/collector", "--console", "127.0.0.1:0", "--ingest", "127.0.0.1:0", "--log", "error"))
	p.Expect("ingest")
	token := runHere(t, collector, "token", "--data", dir+"/collector", "--site", "live")
	runHere(t, sensor, "enrol", "--token", token, "--dir", dir+"/enrolment", "--name", "live")
	return dir + "/enrolment"
}

// TestLife runs the sensor through what it does in a life, with the list of system calls that ships: alerts with their
// evidence go to a collector by TLS; the rules are reloaded; the interface vanishes and comes back; the spool goes over each kind of one-way link,
// to a name that has to be looked up, too. A call that is not on the list ends it.
func TestLife(t *testing.T) {
	span, peer := need.Veth(t)
	enrolment := joined(t)
	evidence := folder(t)
	mode := fmt.Sprintf("phase: enforce\nenrolment: %s\n", enrolment)

	l := startWith(t, nil, folder(t), mode+"evidence: "+evidence+"\n", span)
	l.says("watching")
	traffic(t, peer, acts)
	delivered := func(m map[string]float64) bool { return m["roje_alerts_total"] > 0 && m["roje_spool_bytes"] == 0 }
	l.until("the collector has every alert", delivered)
	sealed(t, l.cmd.Process.Pid)
	if err := l.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	l.says("rules reloaded")

	link, err := netlink.LinkByName(span)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		t.Fatal(err)
	}
	l.says("vanished")
	again(t, span, peer)
	l.says("is back")
	before := l.until("the metrics answer", func(m map[string]float64) bool { return true })[decoded]
	traffic(t, peer, acts)
	l.until("frames after the interface came back, and their alerts, have arrived", func(m map[string]float64) bool {
		return m[decoded] > before && delivered(m)
	})
	sealed(t, l.cmd.Process.Pid)
	l.end()
	if kept, err := filepath.Glob(evidence + "/*"); err != nil || len(kept) == 0 {
		t.Errorf("no evidence was kept: %v", err)
	}

	heard, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	go func() {
		for {
			conn, err := proxy.Accept()
			if err != nil {
				return
			}
			go io.Copy(io.Discard, conn)
		}
	}()
	files := folder(t)
	_, port, _ := net.SplitHostPort(heard.LocalAddr().String())
	for _, way := range []struct{ name, line string }{
		{"udp", "udp: " + heard.LocalAddr().String()},
		{"udp by name", "udp: localhost:" + port},
		{"tcp", "tcp: " + proxy.Addr().String()},
		{"files", "files: " + files},
	} {
		l := startWith(t, nil, folder(t), mode+"oneway:\n  "+way.line+"\n", span)
		l.says("watching")
		traffic(t, peer, acts)
		l.until("all is sent by "+way.name, delivered)
		l.end()
	}
	l = startWith(t, nil, folder(t), mode+"oneway:\n  udp: nobody.invalid:9\n", span)
	l.says("watching")
	l.says("nobody.invalid")
	l.end()
	if dropped, err := os.ReadDir(files); err != nil || len(dropped) == 0 {
		t.Errorf("no file was made: %v", err)
	}
}

// again makes the pair of interfaces anew, both up.
func again(t *testing.T, span, peer string) {
	t.Helper()
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: span}, PeerName: peer}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{span, peer} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
