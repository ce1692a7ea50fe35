package main

import (
	"crypto/ed25519"
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/capture/bench/frames"
	"github.com/roje-ot/roje/sensor/enrol"
	"github.com/roje-ot/roje/sensor/spool"
	"github.com/roje-ot/roje/testdata/need"
)

// received is how many frames an interface's driver has received.
func received(t *testing.T, iface string) float64 {
	t.Helper()
	link, err := netlink.LinkByName(iface)
	if err != nil {
		t.Fatal(err)
	}
	return float64(link.Attrs().Statistics.RxPackets)
}

const (
	watchedPrefilter = "; a prefilter in the driver"
	filtered         = `roje_frames_total{bucket="filtered",source="span"}`
	own              = `roje_frames_total{bucket="own_delivery",source="span"}`
	ringFull         = `roje_frames_total{bucket="ring_full",source="span"}`
)

// TestPrefilterLife: with a prefilter the sensor goes on through all that can happen to its port, and every frame is in
// one bucket all the while: the port down at the start, a cable that is pulled, another name, and a port that vanishes,
// with its prefilter, and comes back.
func TestPrefilterLife(t *testing.T) {
	span, peer := need.Veth(t)
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	link, err := netlink.LinkByName(span)
	do("find it", err)
	far, err := netlink.LinkByName(peer)
	do("find its peer", err)
	do("set it down", netlink.LinkSetDown(link))
	l := startWith(t, nil, folder(t), "phase: learn\nprefilter: [span]\n", span)
	if line := l.says("watching", "source="+span); !strings.Contains(line, watchedPrefilter) || !strings.Contains(line, "passivity=kernel") {
		t.Errorf("the start line: %s", line)
	}
	sealed(t, l.cmd.Process.Pid)

	number, earlier := uint16(0), 0.0
	// flows sends polls, and frames of another kind, until some of each are where they belong, and every frame that came
	// in is in a bucket. A link that was set up carries nothing at first.
	flows := func(after, name string) {
		t.Helper()
		to := need.Sender(t, peer)
		var before map[string]float64
		l.until("polls "+after, func(m map[string]float64) bool {
			if before == nil {
				before = m
			}
			if m[decoded] > before[decoded] && m[filtered] > before[filtered] {
				return true
			}
			for range 10 {
				to(poll(number))
				to(append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, make([]byte, 46)...))
				number++
			}
			return false
		})
		l.until("every frame in a bucket "+after, func(m map[string]float64) bool { return sum(m, span) == earlier+received(t, name) })
	}
	flows("after the port was down at the start", span)
	do("pull the cable", netlink.LinkSetDown(far))
	l.says("no link", "interface="+span)
	do("plug it in", netlink.LinkSetUp(far))
	l.says("link", "interface="+span, "before=down")
	flows("after the cable was pulled", span)

	do("shut the port", netlink.LinkSetDown(link))
	l.says("no link")
	do("rename it", netlink.LinkSetName(link, "other"))
	l.says("renamed", "interface=other")
	do("open it", netlink.LinkSetUp(link))
	l.says("link", "before=down")
	flows("after it was renamed", "other")

	earlier = received(t, "other")
	do("take it away", netlink.LinkDel(link))
	l.says("vanished")
	do("bring it back", netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: span}, PeerName: peer}))
	for _, name := range []string{peer, span} {
		back, err := netlink.LinkByName(name)
		do("find "+name, err)
		do("set it up", netlink.LinkSetUp(back))
	}
	l.says("is back without its prefilter")
	l.says("watching it on")
	flows("after it came back", span)
}

// TestOwnDelivery: behind a prefilter, too, what the sensor and its collector say to each other where it crosses the mirror
// is left out: its first frames are counted as the sensor's own, and the rest are not even kept.
func TestOwnDelivery(t *testing.T) {
	span, peer := need.Veth(t)
	enrolment := joined(t)
	identity, err := enrol.Load(enrolment)
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := net.SplitHostPort(identity.Collector)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	l := startWith(t, nil, folder(t), "phase: learn\nprefilter: [span]\nenrolment: "+enrolment+"\n", span)
	if line := l.says("watching"); !strings.Contains(line, watchedPrefilter) {
		t.Errorf("the start line: %s", line)
	}
	to, vlan := need.Sender(t, peer), uint16(0)
	m := l.until("frames of the delivery are left out", func(m map[string]float64) bool {
		if m[own] >= 8 && m[filtered] >= 32 && sum(m, span) == received(t, span) {
			return true
		}
		vlan++ // in each VLAN the first ones are kept anew
		for range 40 {
			to(delivered(vlan%4095, uint16(port)))
		}
		return false
	})
	if m[decoded] != 0 || m[own]+m[filtered] > received(t, span) {
		t.Errorf("%v decoded, %v own, %v filtered", m[decoded], m[own], m[filtered])
	}
}

// delivered makes a segment from this host to the collector on it, in a VLAN.
func delivered(vlan, port uint16) []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, byte(vlan >> 8), byte(vlan), 8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1, 0xc3, 0x50, byte(port >> 8), byte(port)}
	return append(b, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0)
}

// TestOverload stops the sensor while more frames arrive than its ring holds, and lets it go on. The buckets sum up to what
// arrived, to the frame, with some that the ring had no room for; in the metrics, and in the health record at the end.
func TestOverload(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		driver      bool // frames come through it
	}{
		{"the filter alone", "phase: learn\n", false},
		{"behind the prefilter", "phase: learn\nprefilter: [span]\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			span, peer := need.Veth(t)
			dir := folder(t)
			l := startWith(t, nil, dir, c.lines, span)
			if line := l.says("watching"); strings.Contains(line, watchedPrefilter) != c.driver {
				t.Errorf("the start line: %s", line)
			}
			source, err := frames.New(span, 128, 2)
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			if c.driver {
				if err := source.By(peer); err != nil {
					t.Fatal(err)
				}
			}
			pid := l.cmd.Process.Pid
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			sent, err := source.Send(1_000_000) // half of them kept; the ring holds some 300,000
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			l.until("every frame in a bucket", func(m map[string]float64) bool {
				arrived := float64(sent)
				if c.driver {
					arrived = received(t, span)
				}
				return sum(m, span) == arrived && m[ringFull] > 0 && m[filtered] > 0
			})
			arrived := sent
			if c.driver {
				arrived = uint64(received(t, span))
			}
			l.end()
			port := lastHealth(t, dir+"/state").Ports[0]
			var total uint64
			for bucket, n := range port.Frames {
				if !strings.HasPrefix(bucket, "nic_") {
					total += n
				}
			}
			if total != arrived || port.Frames["ring_full"] == 0 || port.Frames["filtered"] == 0 || port.Frames["waiting"] != 0 {
				t.Errorf("%d frames arrived, %d in buckets: %v", arrived, total, port.Frames)
			}
		})
	}
}

// lastHealth reads the latest health record in a spool that nobody uses.
func lastHealth(t *testing.T, state string) (h batch.Health) {
	t.Helper()
	sp, err := spool.Open(spool.Config{Dir: state})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := sp.Bind("operator", "live"); err != nil {
		t.Fatal(err)
	}
	for found := 0; ; {
		raw, err := sp.Next(batch.Vital, spool.Limit{}, key, spool.Stamp{})
		if err != nil {
			t.Fatal(err)
		}
		if raw == nil {
			if found == 0 {
				t.Fatal("no health record in the spool")
			}
			return h
		}
		e, _, err := batch.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		records, err := e.Records()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.Kind != batch.KindHealth {
				continue
			}
			h = batch.Health{}
			if err := json.Unmarshal(r.Body, &h); err != nil {
				t.Fatal(err)
			}
			found++
		}
		if err := sp.Ack(e.Epoch, batch.Vital, e.To); err != nil {
			t.Fatal(err)
		}
	}
}
