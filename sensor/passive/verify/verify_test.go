package verify

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture/bench/frames"
	"github.com/roje-ot/roje/sensor/passive"
	"github.com/roje-ot/roje/testdata/need"
)

// The test binary is its own sealed process.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "attempt" {
		if err := Attempt(os.Args[2], os.Stdin, os.Stdout); errors.Is(err, passive.ErrCgo) {
			fmt.Println("cgo")
		} else if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// flooding lets frames arrive at the port for as long as the attempts last: more than the sealed process's small ring
// can take.
func flooding(arrived *atomic.Uint64) func(string) (func(), error) {
	return func(port string) (func(), error) {
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return nil, err
		}
		stop, done, ready := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			defer close(done)
			defer home.Close()
			runtime.LockOSThread()
			if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
				ready <- err
				return
			}
			source, err := frames.New(port, 128, 1)
			ready <- err
			if err != nil {
				return
			}
			defer source.Close()
			for {
				select {
				case <-stop:
					return
				default:
				}
				n, err := source.Send(20_000)
				arrived.Add(n)
				if err != nil {
					return
				}
			}
		}()
		return func() { close(stop); <-done }, <-ready
	}
}

// TestTable runs the whole table, and holds every cell to what is known of its layer: what it must stop does
// not arrive, what goes around it does, and without a layer everything arrives.
func TestTable(t *testing.T) {
	need.Superuser(t)
	var arrived atomic.Uint64
	table, err := Run(t.Context(), Config{Attempt: []string{os.Args[0], "attempt"}, Load: flooding(&arrived)})
	if err != nil && strings.Contains(err.Error(), `"cgo"`) {
		t.Log("built with cgo, as the race detector needs: no process can be sealed")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := table.Write(&text); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text.String())
	broken, unproven := table.Failures()
	for _, c := range append(broken, unproven...) {
		t.Errorf("%s, %s: %d arrived, %d sent, %v", c.Sender, c.Layer, c.Arrived, c.Sent, c.Err)
	}
	for i, c := range table.Cells {
		s := &senders[i/len(layers)]
		if c.Asked && !c.Must && c.Err == nil && (c.Arrived != each && !s.kernel || c.Arrived == 0) {
			t.Errorf("%s passes %s, and %d arrived", c.Sender, c.Layer, c.Arrived)
		}
		if c.Layer == "all of them" && c.Sent != 0 {
			t.Errorf("%s, all layers: the port has sent %d frames", c.Sender, c.Sent)
		}
		if c.Layer == "all, another process" && c.Err == nil && c.Tried == 0 && c.Sent == 0 {
			t.Errorf("%s, all layers: neither a layer nor the port's own count saw it", c.Sender)
		}
		if c.Layer == "nothing" && c.Sent == 0 {
			t.Errorf("%s: the port's own count did not see it", c.Sender)
		}
	}
	if arrived.Load() == 0 {
		t.Error("no frame arrived while the attempts were made")
	}
}

// TestJoin: on a clean port a group can be joined by the interface's index, which sends a report, and not by its address.
func TestJoin(t *testing.T) {
	span, _ := need.Veth(t)
	link, err := netlink.LinkByName(span)
	if err == nil {
		err = netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: portIP, Mask: net.CIDRMask(24, 32)}})
	}
	if err != nil {
		t.Fatal(err)
	}
	byAddress := func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		return unix.SetsockoptIPMreq(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreq{Multiaddr: [4]byte(group), Interface: [4]byte(portIP)})
	}
	if err := byAddress(); err != nil {
		t.Errorf("with an address: %v", err)
	}
	if _, err := passive.Clean(span); err != nil {
		t.Fatal(err)
	}
	if err := byAddress(); err != unix.ENODEV {
		t.Errorf("a clean port, by its address: %v", err)
	}
	before, err := sent(span)
	if err != nil {
		t.Fatal(err)
	}
	if err := Send("IGMP, joining a group", &net.Interface{Index: link.Attrs().Index, Name: span}); err != nil {
		t.Errorf("a clean port, by its index: %v", err)
	}
	for deadline := time.Now().Add(time.Minute); ; { // the kernel reports in its own time
		if now, err := sent(span); err != nil || now > before {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no report of the membership was sent")
		}
	}
}
