package netlab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/roje-ot/roje/cmd/roje-lab/script"
)

// Namespaces makes a network namespace for each member of the cast, joins them by a bridge that floods, and leaves the
// bridge's SPAN port in the caller's namespace as an interface called span, up and without addresses. It needs root.
func Namespaces(ctx context.Context, span string) (w *World, err error) {
	w = newWorld(ctx)
	defer func() {
		if err != nil {
			w.Close()
			w = nil
		}
	}()
	own, err := netns.Get()
	if err != nil {
		return w, fmt.Errorf("open the network namespace: %w", err)
	}
	w.undo = append(w.undo, own.Close)
	hub, err := w.namespace()
	if err != nil {
		return w, err
	}
	if err := within(hub, makeBridge); err != nil {
		return w, err
	}
	if err := w.spanPort(span, hub); err != nil {
		return w, err
	}
	for i, p := range script.Cast {
		ns, err := w.namespace()
		if err != nil {
			return w, err
		}
		if err := join(p, i, hub, ns); err != nil {
			return w, fmt.Errorf("join %s to the hub: %w", p.Name, err)
		}
		w.hosts[p.Name] = &host{world: w, addr: net.ParseIP(p.Addr),
			place:  func(ip net.IP, port int) (net.IP, int) { return ip, port },
			inside: func(f func() error) error { return within(ns, f) }}
	}
	return w, nil
}

// namespace makes a network namespace that lives as long as w.
func (w *World) namespace() (netns.NsHandle, error) {
	var made netns.NsHandle
	err := within(netns.None(), func() (err error) {
		made, err = netns.New()
		if err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		quiet("all")
		quiet("default")
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err == nil {
		w.undo = append(w.undo, made.Close)
	}
	return made, err
}

// within runs f on a thread in a namespace (none: one that f may change), and returns the thread as it was.
func within(ns netns.NsHandle, f func() error) error {
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer before.Close()
	if ns != netns.None() {
		if err := netns.Set(ns); err != nil {
			runtime.UnlockOSThread()
			return fmt.Errorf("enter a network namespace: %w", err)
		}
	}
	err = f()
	if back := netns.Set(before); back != nil {
		return fmt.Errorf("leave a network namespace: %w", back) // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// quiet keeps IPv6 from speaking by itself on an interface. Where there is no IPv6 there is nothing to keep quiet.
func quiet(iface string) {
	_ = os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", iface, "disable_ipv6"), []byte("1"), 0o644)
}

const bridge = "hub"

// makeBridge makes a bridge that forgets addresses at once, so that every port sees every frame.
func makeBridge() error {
	forget := uint32(0)
	off := false
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}, AgeingTime: &forget, MulticastSnooping: &off}
	if err := netlink.LinkAdd(br); err != nil {
		return fmt.Errorf("make a bridge: %w", err)
	}
	return netlink.LinkSetUp(br)
}

// plug makes a veth pair of which one end is the hub's.
func plug(name, hubSide string, mac net.HardwareAddr, hub netns.NsHandle) error {
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, HardwareAddr: mac}, PeerName: hubSide, PeerNamespace: netlink.NsFd(int(hub))}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("make interface %s: %w", name, err)
	}
	return within(hub, func() error {
		port, err := netlink.LinkByName(hubSide)
		if err != nil {
			return err
		}
		br, err := netlink.LinkByName(bridge)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetMaster(port, br); err != nil {
			return err
		}
		return netlink.LinkSetUp(port)
	})
}

// spanPort makes the port that sees everything, in the caller's namespace.
func (w *World) spanPort(span string, hub netns.NsHandle) error {
	if err := plug(span, "span", nil, hub); err != nil {
		return err
	}
	w.undo = append(w.undo, func() error {
		link, err := netlink.LinkByName(span)
		if err != nil {
			return nil // it went with the hub
		}
		return netlink.LinkDel(link)
	})
	quiet(span)
	link, err := netlink.LinkByName(span)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetARPOff(link); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// join gives a member of the cast an interface, its address and a way to everybody.
func join(p script.Part, i int, hub, ns netns.NsHandle) error {
	return within(ns, func() error {
		if err := plug("eth0", fmt.Sprintf("port%d", i), script.MAC(p), hub); err != nil {
			return err
		}
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(p.Addr), Mask: net.CIDRMask(32, 32)}}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		everybody := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: everybody, Scope: netlink.SCOPE_LINK})
	})
}
