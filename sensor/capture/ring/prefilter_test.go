package ring

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/sensor/capture/offload"
	"github.com/roje-ot/roje/testdata/need"
)

// Verdicts of linux/bpf.h, enum xdp_action.
const xdpDrop, xdpPass = 1, 2

// TestVerdicts has the kernel run the prefilter over each kind of frame once the filter has seen enough of them, over
// each beginning of it, and over broken ones. It drops what the filter has dropped, passes all else, and has no other
// verdict.
func TestVerdicts(t *testing.T) {
	span, send := pair(t)
	f, err := filter.Load(kept)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := f.Prefilter(span)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r := open(t, Config{Interface: span, Filter: f, Blocks: 8, Retire: 1, Idle: 20})
	for _, k := range kinds {
		for range k.sent {
			send(k.frame)
		}
		settle(t, r, send, func(*capture.Packet) {})
	}
	if err := f.Watch(0); err != nil { // a test run is of no interface
		t.Fatal(err)
	}
	run := func(frame []byte) uint32 {
		verdict, err := p.Program().Run(&ebpf.RunOptions{Data: frame})
		if err != nil {
			t.Fatalf("%d bytes: %v", len(frame), err)
		}
		if verdict != xdpDrop && verdict != xdpPass {
			t.Errorf("verdict %d on % x", verdict, frame)
		}
		return verdict
	}
	random := rand.New(rand.NewPCG(4, 502))
	for _, k := range kinds {
		if dropped := run(k.frame) == xdpDrop; dropped != (k.kept < k.sent) {
			t.Errorf("%s: dropped %v; %d of %d were kept", k.name, dropped, k.kept, k.sent)
		}
		for n := 14; n < min(len(k.frame), 120); n++ {
			run(k.frame[:n])
		}
		for range 200 {
			broken := bytes.Clone(k.frame)
			for range 1 + random.IntN(3) {
				broken[12+random.IntN(min(len(broken), 64)-12)] = byte(random.Uint32())
			}
			run(broken)
		}
	}
}

// TestPrefilterPlaces: it goes nowhere where it could drop what the host needs, takes tags as they are on the wire, and
// leaves the interface as it was.
func TestPrefilterPlaces(t *testing.T) {
	span, peer := need.Veth(t)
	f, err := filter.Load(kept)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	host, err := netlink.LinkByName(peer)
	if err == nil {
		err = netlink.AddrAdd(host, &netlink.Addr{IPNet: netlink.NewIPNet([]byte{192, 0, 2, 1})})
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, iface := range []string{peer, "lo"} {
		if _, err := f.Prefilter(iface); !errors.Is(err, filter.ErrHost) {
			t.Errorf("on %s: %v", iface, err)
		}
	}
	if _, err := f.Prefilter("nosuch0"); err == nil {
		t.Error("on an interface that is not there: no error")
	}
	stripping := func() (on bool) {
		state, err := offload.Read(span)
		if err != nil {
			t.Fatal(err)
		}
		return state[offload.Stripping[0]].On
	}
	if !stripping() {
		t.Fatal("the driver takes no tags out to begin with")
	}
	p, err := f.Prefilter(span)
	if err != nil {
		t.Fatal(err)
	}
	if stripping() {
		t.Error("the driver takes tags out")
	}
	if _, err := f.Prefilter(span); err == nil {
		t.Error("a second one on the interface: no error")
	}
	if stripping() {
		t.Error("the driver takes tags out again, after a second one was refused")
	}
	if err := p.Close(); err != nil || !stripping() {
		t.Errorf("closed: %v; tags are taken out: %v", err, stripping())
	}
}

// TestPrefilterEnds: the prefilter goes with its interface, by whatever that goes, and everything is counted on.
func TestPrefilterEnds(t *testing.T) {
	span, send := pair(t)
	f, err := filter.Load(kept)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	prefilter(t, f, span)
	r := open(t, Config{Interface: span, Filter: f, Blocks: 8, Retire: 1, Idle: 20})
	link, err := netlink.LinkByName(span)
	if err != nil {
		t.Fatal(err)
	}
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	web := ether(0x0800, ipv4(3, tcp, 1, 0, ports(40000, 80, 0)))
	var before filter.Counts
	again := func(after string, arrive, early int) {
		t.Helper()
		for range 20 {
			send(web)
		}
		n := 0
		settle(t, r, send, func(*capture.Packet) { n++ })
		now, err := f.Counts()
		if err != nil {
			t.Fatal(err)
		}
		if n != arrive || now.Seen-before.Seen != 21 || int(now.Early-before.Early) < early || now.Seen != now.Kept+now.Other || now.Kept != r.Read() {
			t.Errorf("%s: %d of 20 arrived, want %d; %+v", after, n, arrive, now)
		}
		before = now
	}
	probes := byte(0)
	// flows sends probes until the last of them arrives: a link that was set up carries nothing at first.
	flows := func() {
		t.Helper()
		var p capture.Packet
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
			probes++
			probe := ether(0x88b8, append(make([]byte, 46), probes))
			send(probe)
			for err = nil; err == nil; err = r.Next(&p) {
				if bytes.Equal(p.Data, probe) {
					before, err = f.Counts()
					do("count", err)
					return
				}
			}
			if !errors.Is(err, capture.ErrIdle) {
				t.Fatal(err)
			}
			p.Data = nil
		}
		t.Fatal("the link has carried nothing for a minute")
	}
	again("at the start", 8, 1)
	do("set down", netlink.LinkSetDown(link))
	do("rename", netlink.LinkSetName(link, "other"))
	do("set up", netlink.LinkSetUp(link))
	flows()
	again("down, renamed, and up", 0, 20)
	do("take away", netlink.LinkDel(link))
	do("bring back", netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: span}, PeerName: "peer"}))
	for _, name := range []string{"peer", span} {
		back, err := netlink.LinkByName(name)
		do("find", err)
		do("set up", netlink.LinkSetUp(back))
		if name == span {
			do("follow", f.Watch(back.Attrs().Index))
		}
	}
	send = need.Sender(t, "peer")
	flows()
	was := before.Early
	again("away and back", 0, 0)
	if before.Early != was {
		t.Errorf("%d frames were dropped by a prefilter that is not there", before.Early-was)
	}
}
