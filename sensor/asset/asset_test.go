package asset

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

const second = int64(1e9)

var proto = &protocols.Protocol{Name: "modbus", TCP: []uint16{502}}

func message(at int64, from protocols.Side, client, server string, station uint32, op protocols.Op) *rules.Event {
	return &rules.Event{At: at, Flow: rules.Flow{Client: netip.MustParseAddrPort(client + ":40000"), Server: netip.MustParseAddrPort(server + ":502"), Conn: uint64(station) + 1,
		ClientMAC: rules.MAC{0x00, 0x30, 0xa7, 0, 0, 1}, ServerMAC: rules.MAC{0x00, 0x80, 0xf4, 0, 0, 2}},
		Msg: &protocols.Message{Proto: proto, From: from, HasCode: true, Code: 3, HasStation: true, Station: station, Op: op}}
}

func arp(at int64, addr string, mac byte) *rules.Event {
	return &rules.Event{What: rules.ARP, At: at, Flow: rules.Flow{Client: netip.AddrPortFrom(netip.MustParseAddr(addr), 0), ClientMAC: rules.MAC{2, 0, 0, 0, 0, mac}}}
}

func (r *Registry) shown(t *testing.T, addr string) *Asset {
	t.Helper()
	for _, a := range r.Assets() {
		for _, own := range a.Addrs {
			if own.String() == addr {
				return a
			}
		}
	}
	t.Fatalf("no asset %s", addr)
	return nil
}

// TestRoles: what messages show, and what they do not.
func TestRoles(t *testing.T) {
	r := New()
	r.Take(message(1*second, protocols.Client, "10.0.0.1", "10.0.0.2", 1, protocols.File)) // not answered yet
	if got := r.shown(t, "10.0.0.1").Roles; len(got) != 0 {
		t.Errorf("an unanswered client has the roles %v", got)
	}
	r.Take(message(2*second, protocols.Server, "10.0.0.1", "10.0.0.2", 1, protocols.Read))
	r.Take(message(3*second, protocols.Client, "10.0.0.1", "10.0.0.2", 1, protocols.Configure))
	r.Take(message(4*second, protocols.Server, "10.0.0.1", "10.0.0.2", 7, protocols.Read))
	for _, test := range []struct{ addr, roles, vendor, by string }{
		{"10.0.0.1", "master engineering", "Schweitzer Engineering Laboratories", "oui"},
		{"10.0.0.2", "outstation gateway", "Schneider Electric", "oui"},
	} {
		a := r.shown(t, test.addr)
		if got := strings.Join(a.Roles, " "); got != test.roles || a.Vendor != test.vendor || a.By != test.by {
			t.Errorf("%s: roles %q, vendor %q by %q; want %q, %q by %q", test.addr, got, a.Vendor, a.By, test.roles, test.vendor, test.by)
		}
	}
	a := r.shown(t, "10.0.0.2")
	if len(a.Parts) != 2 || a.Parts[1].Station != 7 || len(a.Serves) != 1 || a.Serves[0].Port != 502 || len(a.Peers) != 1 {
		t.Errorf("parts %v, services %v, peers %v", a.Parts, a.Serves, a.Peers)
	}
}

// TestIdentity: which addresses are one device.
func TestIdentity(t *testing.T) {
	for _, test := range []struct {
		name   string
		events []*rules.Event
		want   string // addresses of each asset
	}{
		{"two addresses of one interface", []*rules.Event{arp(1, "10.0.0.1", 1), arp(2, "10.0.0.9", 1)}, "10.0.0.1,10.0.0.9"},
		{"two interfaces", []*rules.Event{arp(1, "10.0.0.1", 1), arp(2, "10.0.0.9", 2)}, "10.0.0.1 10.0.0.9"},
		{"an impostor claims a device that is known", []*rules.Event{arp(1, "10.0.0.1", 1), arp(2, "10.0.0.66", 6), arp(3, "10.0.0.1", 6)}, "10.0.0.1 10.0.0.66"},
		{"an impostor was there first", []*rules.Event{arp(1, "10.0.0.66", 6), arp(2, "10.0.0.1", 6), arp(3, "10.0.0.1", 1)}, "10.0.0.1 10.0.0.66"},
		{"a router answers for a network", []*rules.Event{arp(1, "10.0.0.1", 1), arp(2, "10.0.0.2", 1), arp(3, "10.0.0.3", 1), arp(4, "10.0.0.4", 1), arp(5, "10.0.0.5", 1), arp(6, "10.0.0.6", 1)},
			"10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4 10.0.0.5 10.0.0.6"},
		{"a probe has no address", []*rules.Event{arp(1, "0.0.0.0", 1)}, ""},
	} {
		r := New()
		for _, e := range test.events {
			r.Take(e)
		}
		var got []string
		for _, a := range r.Assets() {
			var own []string
			for _, addr := range a.Addrs {
				own = append(own, addr.String())
			}
			got = append(got, strings.Join(own, ","))
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%s: %q, want %q", test.name, s, test.want)
		}
	}
}

// TestHistory: a device that comes with another interface keeps its name and says so; so does the time before it.
func TestHistory(t *testing.T) {
	r := New()
	r.Take(arp(1*second, "10.0.0.1", 1))
	id := r.shown(t, "10.0.0.1").ID
	r.Take(arp(9*second, "10.0.0.1", 2))
	a := r.shown(t, "10.0.0.1")
	want := Change{Time(9 * second), "mac", "02:00:00:00:00:01", "02:00:00:00:00:02"}
	if a.ID != id || len(a.Changes) != 1 || a.Changes[0] != want {
		t.Errorf("asset %s %v, want %s with %v", a.ID, a.Changes, id, want)
	}
	if got := r.Changed(); len(got) != 1 {
		t.Errorf("%d changed, want 1", len(got))
	}
	r.Take(arp(10*second, "10.0.0.1", 2))
	if got := r.Changed(); len(got) != 0 {
		t.Errorf("%d changed though nothing has", len(got))
	}
}

// TestStore: what is saved is what is read, and a second save of it is the same to the byte. A broken file is set aside.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	r, _, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		r.Take(message(int64(i+1)*second, protocols.Server, "10.0.0.1", "10.0.0.2", uint32(i), protocols.Read))
	}
	r.Take(arp(5*second, "10.0.0.1", 1))
	r.Take(arp(6*second, "10.0.0.1", 2))
	r.Counted([]Count{{MACs: [2]rules.MAC{{0, 1, 5}, {0, 1, 6}}, Ether: 0x88cc, Frames: 9, Bytes: 900}}, 7*second)
	want, err := json.Marshal(r.Assets())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	again, warning, err := Open(dir)
	if err != nil || warning != nil {
		t.Fatal(err, warning)
	}
	if got, err := json.Marshal(again.Assets()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %s\nwant %s (%v)", got, want, err)
	}
	before, _ := os.ReadFile(path)
	again.changed = true
	if err := again.Save(); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Errorf("saved again: %s\nwant %s", after, before)
	}
	if err := os.WriteFile(path, before[:len(before)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	fresh, warning, err := Open(dir)
	if err != nil || warning == nil || len(fresh.Assets()) != 0 {
		t.Errorf("broken file: %v, warning %v, %d assets", err, warning, len(fresh.Assets()))
	}
	if kept, _ := os.ReadFile(path + ".broken"); len(kept) != len(before)-20 {
		t.Errorf("%d bytes were set aside, want %d", len(kept), len(before)-20)
	}
}

// TestFlood: invented senders neither fill the table nor push out a device of a control protocol.
func TestFlood(t *testing.T) {
	r := New()
	r.Take(message(1, protocols.Server, "10.0.0.1", "10.0.0.2", 1, protocols.Read))
	for i := range 3 * maxAssets {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)}), 40000)
		r.Take(&rules.Event{What: rules.Connection, At: int64(i) + 2, Flow: rules.Flow{Client: addr, Server: netip.MustParseAddrPort("10.0.0.2:502"), Outcome: rules.Attempted}})
	}
	if n := len(r.Assets()); n != 2 {
		t.Errorf("%d assets after unanswered connections, want 2", n)
	}
	for i := range 3 * maxAssets {
		r.Take(&rules.Event{What: rules.ARP, At: int64(i) + second, Flow: rules.Flow{Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)}), 0),
			ClientMAC: rules.MAC{2, 1, 0, byte(i >> 16), byte(i >> 8), byte(i)}}})
	}
	if n := len(r.Assets()); n > maxAssets {
		t.Errorf("%d assets, want at most %d", n, maxAssets)
	}
	r.shown(t, "10.0.0.1")
	r.shown(t, "10.0.0.2")
}

func TestCounted(t *testing.T) {
	r := New()
	hosts := [2]netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("10.0.0.6")}
	r.Counted([]Count{
		{Addrs: hosts, Protocol: 6, Port: 443, Ether: 0x800, Frames: 100, Bytes: 9000, VLAN: 20},
		{Addrs: [2]netip.Addr{hosts[0], netip.MustParseAddr("10.0.0.7")}, Protocol: 6, Port: 22, Ether: 0x800, Frames: 1, Bytes: 60},
		{Addrs: [2]netip.Addr{hosts[0], netip.MustParseAddr("224.0.0.1")}, Protocol: 17, Port: 9, Ether: 0x800, Frames: 50, Bytes: 60},
	}, second)
	if n := len(r.Assets()); n != 2 {
		t.Errorf("%d assets, want 2: one frame makes none, and a group is none", n)
	}
	a := r.shown(t, "10.0.0.5")
	if len(a.Traffic) != 2 || a.Traffic[0].Peer != "10.0.0.6" || a.Traffic[0].Ether != 0 || len(a.VLANs) != 1 || len(a.Roles) != 0 {
		t.Errorf("%+v", a)
	}
}

func TestNoAllocation(t *testing.T) {
	r := New()
	ask, answer := message(1, protocols.Client, "10.0.0.1", "10.0.0.2", 1, protocols.Read), message(2, protocols.Server, "10.0.0.1", "10.0.0.2", 1, protocols.Read)
	claim := arp(3, "10.0.0.1", 1)
	take := func() {
		for _, e := range [...]*rules.Event{ask, answer, claim} {
			e.At += 10
			r.Take(e)
		}
	}
	take()
	take()
	if n := testing.AllocsPerRun(100, take); n != 0 {
		t.Errorf("%v allocations for known traffic", n)
	}
}

func BenchmarkTake(b *testing.B) {
	r := New()
	ask, answer := message(1, protocols.Client, "10.0.0.1", "10.0.0.2", 1, protocols.Read), message(2, protocols.Server, "10.0.0.1", "10.0.0.2", 1, protocols.Read)
	b.ReportAllocs()
	for b.Loop() {
		ask.At += 2
		answer.At += 2
		r.Take(ask)
		r.Take(answer)
	}
}
