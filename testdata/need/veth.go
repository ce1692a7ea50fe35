package need

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Veth moves the test into a network namespace of its own, which vanishes with it, and returns the two ends of a pair
// of virtual interfaces in it, both up: what one sends the other receives. It skips without root.
//
// The calling goroutine stays on its thread, and only that thread is in the namespace: sockets, and whatever else looks
// at the network, must be opened by it.
func Veth(t testing.TB) (a, b string) {
	t.Helper()
	Superuser(t)
	runtime.LockOSThread() // and never unlock: the thread ends with the goroutine, and the namespace with the thread
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	// Without it the kernel's own neighbour discovery would be among the frames.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil {
		t.Fatalf("switch IPv6 off: %v", err)
	}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "span", MTU: 9000}, PeerName: "peer", PeerMTU: 9000}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatalf("make a veth pair: %v", err)
	}
	for _, name := range []string{"span", "peer"} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			t.Fatalf("set %s up: %v", name, err)
		}
	}
	return "span", "peer"
}

// Sender opens a packet socket that writes frames to the interface, in the namespace of the calling thread, and
// returns a function that sends one frame. Errors that are passed over are named: an interface on which a program drops says
// unix.ENOBUFS, as it would to no mirror.
func Sender(t testing.TB, iface string, passed ...error) func(frame []byte) {
	t.Helper()
	link, err := netlink.LinkByName(iface)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	to := &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index}
	return func(frame []byte) {
		err := unix.Sendto(fd, frame, 0, to)
		if err != nil && !slices.ContainsFunc(passed, func(one error) bool { return errors.Is(err, one) }) {
			t.Fatalf("send %d bytes to %s: %v", len(frame), iface, err)
		}
	}
}

// OneCPU keeps the test's goroutine on one processor until the test ends: a kernel program that counts per CPU then sees
// all that this goroutine sends on one of them.
func OneCPU(t testing.TB) {
	runtime.LockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !before.IsSet(cpu) {
		cpu++
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.SchedSetaffinity(0, &before); err != nil {
			t.Error(err) // the thread stays locked, and ends with the goroutine
			return
		}
		runtime.UnlockOSThread()
	})
}

// BPFFS gives the calling thread, which is the test's own since Veth, a view of the mounted file systems that nobody else
// shares, and in it a bpffs of its own.
func BPFFS(t testing.TB) {
	t.Helper()
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("make mounts private: %v", err)
	}
	if err := unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, ""); err != nil {
		t.Fatalf("mount a bpffs: %v", err)
	}
}
