// Package diode installs the topology in which the sensor cannot reach its SPAN port at all: the port is alone in a
// network namespace of its own, and a program at its ingress hands each frame to a virtual interface in the sensor's
// namespace. There is no program for the other direction: what the sensor's side sends is counted and dropped.
//
//	SPAN port ─▸ [ namespace of the port: ingress ─▸ redirect_peer ] ─▸ virtual interface ─▸ sensor
//	                                 drop, count ◂─ what the sensor's side sends
//
// It needs root, once; the programs stay with the interfaces until they are removed. Kernel 5.10 or later.
package diode

//go:generate go tool bpf2go -cc clang -cflags "-O2 -g -Wall -Werror" -target bpfel diode diode.bpf.c -- -I/usr/include/x86_64-linux-gnu

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/passive"
)

const (
	inside = "roje-in" // the virtual pair's end in the port's namespace
	mtu    = 65535
)

// Install puts the port into the namespace and makes the interface outside in the calling thread's. The calling
// goroutine stays on its thread meanwhile. What was done before an error is undone as far as Remove can.
func Install(port, outside string, in netns.NsHandle) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := install(port, outside, in); err != nil {
		return fmt.Errorf("put %s behind a diode: %w", port, err)
	}
	return nil
}

func install(port, outside string, in netns.NsHandle) error {
	nic, err := netlink.LinkByName(port)
	if err != nil {
		return err
	}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: outside, MTU: mtu}, PeerName: inside, PeerMTU: mtu, PeerNamespace: netlink.NsFd(in)}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("make %s: %w", outside, err)
	}
	if err := netlink.LinkSetNsFd(nic, int(in)); err != nil {
		return errors.Join(fmt.Errorf("move it: %w", err), netlink.LinkDel(pair))
	}
	if err := Within(in, func() error { return arm(port) }); err != nil {
		return err
	}
	out, err := netlink.LinkByName(outside)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetAlias(out, passive.DiodeAlias+port); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+outside+"/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := netlink.LinkSetARPOff(out); err != nil {
		return err
	}
	return netlink.LinkSetUp(out)
}

// arm runs in the port's namespace. The port is set up last.
func arm(port string) error {
	nic, err := netlink.LinkByName(port)
	if err != nil {
		return err
	}
	in, err := netlink.LinkByName(inside)
	if err != nil {
		return err
	}
	if _, err := passive.Clean(port); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+inside+"/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := passive.DropEgress(port, true); err != nil { // the filter stays when this process ends
		return err
	}
	if _, err := passive.DropNFT(port); err != nil && !errors.Is(err, unix.EOPNOTSUPP) { // 5.16
		return err
	}
	spec, err := loadDiode()
	if err != nil {
		return err
	}
	if err := spec.Variables["inside"].Set(uint32(in.Attrs().Index)); err != nil {
		return err
	}
	var objs diodeObjects
	if err := spec.LoadAndAssign(&objs, nil); err != nil {
		return err
	}
	defer objs.Close() // the interfaces hold the programs
	if err := netlink.LinkSetXdpFd(in, objs.Tripwire.FD()); err != nil {
		return fmt.Errorf("attach the tripwire: %w", err)
	}
	qdisc := &netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: nic.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
	if err := netlink.QdiscAdd(qdisc); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("add clsact: %w", err)
	}
	if err := netlink.FilterReplace(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: nic.Attrs().Index, Parent: netlink.HANDLE_MIN_INGRESS, Handle: 1, Priority: 1, Protocol: unix.ETH_P_ALL},
		Fd:          objs.Forward.FD(), Name: "roje_forward", DirectAction: true,
	}); err != nil {
		return fmt.Errorf("attach the hand-over: %w", err)
	}
	if err := netlink.SetPromiscOn(nic); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(in); err != nil {
		return err
	}
	return netlink.LinkSetUp(nic)
}

// Within runs do in the namespace, on the calling thread.
func Within(in netns.NsHandle, do func() error) error {
	runtime.LockOSThread()
	here, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer here.Close()
	if err := netns.Set(in); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = do()
	if back := netns.Set(here); back != nil {
		return errors.Join(err, back) // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// Tried is how many frames the sensor's side has tried to send, in the namespace of the port.
func Tried(in netns.NsHandle) (frames uint64, err error) {
	err = Within(in, func() error {
		link, err := netlink.LinkByName(inside)
		if err != nil {
			return err
		}
		xdp := link.Attrs().Xdp
		if xdp == nil || !xdp.Attached {
			return errors.New("the tripwire was removed")
		}
		program, err := ebpf.NewProgramFromID(ebpf.ProgramID(xdp.ProgId))
		if err != nil {
			return err
		}
		defer program.Close()
		info, err := program.Info()
		if err != nil {
			return err
		}
		ids, _ := info.MapIDs()
		for _, id := range ids {
			m, err := ebpf.NewMapFromID(id)
			if err != nil {
				return err
			}
			defer m.Close()
			var value [16]byte
			if m.ValueSize() == 16 && m.Lookup(uint32(0), &value) == nil {
				frames = binary.NativeEndian.Uint64(value[:])
				return nil
			}
		}
		return errors.New("the tripwire has no count")
	})
	return frames, err
}

// Remove takes the port out of the namespace into the calling thread's, without its programs, and leaves it down.
func Remove(port, outside string, in netns.NsHandle) error {
	here, err := netns.Get()
	if err != nil {
		return err
	}
	defer here.Close()
	err = Within(in, func() error {
		nic, err := netlink.LinkByName(port)
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkSetDown(nic), netlink.SetPromiscOff(nic), removeClsact(nic), netlink.LinkSetNsFd(nic, int(here)))
	})
	if out, e := netlink.LinkByName(outside); e == nil && strings.HasPrefix(out.Attrs().Alias, passive.DiodeAlias) {
		err = errors.Join(err, netlink.LinkDel(out))
	}
	if err != nil {
		return fmt.Errorf("take %s from behind its diode: %w", port, err)
	}
	return nil
}

func removeClsact(nic netlink.Link) error {
	qdiscs, err := netlink.QdiscList(nic)
	if err != nil {
		return err
	}
	for _, q := range qdiscs {
		if q.Type() == "clsact" {
			err = errors.Join(err, netlink.QdiscDel(q))
		}
	}
	return err
}
