package passive

import (
	"net"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/testdata/need"
)

// state is what Clean changes and Close restores.
func state(t *testing.T, iface string) (flags uint32, addresses int, gro uint32) {
	t.Helper()
	link, err := netlink.LinkByName(iface)
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		t.Fatal(err)
	}
	gro, err = ethtool(iface, offloads[0].get, 0)
	if err != nil {
		t.Fatal(err)
	}
	return link.Attrs().RawFlags & (unix.IFF_NOARP | unix.IFF_MULTICAST), len(addrs), gro
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
	if _, err := ethtool(span, offloads[0].set, 1); err != nil {
		t.Fatal(err)
	}
	flags, addresses, gro := state(t, span)
	if flags != unix.IFF_MULTICAST || addresses != 1 || gro != 1 {
		t.Fatalf("before: flags %x, %d addresses, GRO %d", flags, addresses, gro)
	}
	h, err := Clean(span)
	if err != nil {
		t.Fatal(err)
	}
	if flags, addresses, gro := state(t, span); flags != unix.IFF_NOARP || addresses != 0 || gro != 0 || len(h.Degraded) != 0 {
		t.Errorf("clean: flags %x, %d addresses, GRO %d, degraded %q", flags, addresses, gro, h.Degraded)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if f, a, g := state(t, span); f != flags || a != addresses || g != gro {
		t.Errorf("restored: flags %x, %d addresses, GRO %d", f, a, g)
	}
}
