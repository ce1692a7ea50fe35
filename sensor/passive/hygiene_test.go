package passive

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture/offload"
	"github.com/roje-ot/roje/testdata/need"
)

// state is what Clean changes and Close restores: merging are the offloads that are on.
func state(t *testing.T, iface string) (flags uint32, addresses int, merging []string) {
	t.Helper()
	link, err := netlink.LinkByName(iface)
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		t.Fatal(err)
	}
	features, err := offload.Read(iface)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range offload.Merging {
		if features[name].On {
			merging = append(merging, name)
		}
	}
	return link.Attrs().RawFlags & (unix.IFF_NOARP | unix.IFF_MULTICAST), len(addrs), merging
}

func TestClean(t *testing.T) {
	span, _ := need.Veth(t)
	link, err := netlink.LinkByName(span)
	if err != nil {
		t.Fatal(err)
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 99, 0, 1), Mask: net.CIDRMask(24, 32)}}
	if err := netlink.AddrAdd(link, addr); err != nil {
		t.Fatal(err)
	}
	on := []string{"rx-gro", "rx-gro-list"}
	for _, name := range on {
		if err := offload.Switch(span, name, true); err != nil {
			t.Fatal(err)
		}
	}
	flags, addresses, merging := state(t, span)
	if flags != unix.IFF_MULTICAST || addresses != 1 || !slices.Equal(merging, on) {
		t.Fatalf("before: flags %x, %d addresses, offloads %q", flags, addresses, merging)
	}
	if err := IsClean(span); err == nil || !strings.Contains(err.Error(), "rx-gro is on") {
		t.Errorf("IsClean before: %v", err)
	}
	h, err := Clean(span)
	if err != nil {
		t.Fatal(err)
	}
	if flags, addresses, merging := state(t, span); flags != unix.IFF_NOARP || addresses != 0 || merging != nil || len(h.Degraded) != 0 {
		t.Errorf("clean: flags %x, %d addresses, offloads %q, degraded %q", flags, addresses, merging, h.Degraded)
	}
	if err := IsClean(span); err != nil {
		t.Errorf("IsClean: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if f, a, m := state(t, span); f != flags || a != addresses || !slices.Equal(m, merging) {
		t.Errorf("restored: flags %x, %d addresses, offloads %q", f, a, m)
	}
}

// TestDegraded: a feature that stays on is no reason not to start, and is said. No virtual interface has one that merges,
// so that one which the kernel never lets go of stands for it.
func TestDegraded(t *testing.T) {
	need.Veth(t)
	merging := offload.Merging
	t.Cleanup(func() { offload.Merging = merging })
	offload.Merging = []string{"loopback", "rx-gro"}
	h, err := Clean("lo")
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Degraded) != 1 || !strings.Contains(h.Degraded[0], "loopback is on") || !strings.Contains(h.Degraded[0], "degraded") {
		t.Errorf("degraded: %q", h.Degraded)
	}
	if err := IsClean("lo"); err == nil || strings.Contains(err.Error(), "rx-gro") {
		t.Errorf("IsClean: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}
