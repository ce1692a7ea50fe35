package netlab

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/cmd/roje-lab/script"
	"github.com/roje-ot/roje/testdata/need"
)

// quick plays one act of each protocol soon, one after the other.
func quick() Config {
	return Config{Pace: time.Second, Settle: 3 * time.Second, Acts: []string{"modbus-rogue-master", "iec104-on-off", "dnp3-operate-unselected"}}
}

func TestLoopback(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w := Loopback(ctx)
	done, err := Play(ctx, w, quick())
	if err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if len(done) != 3 {
		t.Errorf("%d acts came to their end, want 3", len(done))
	}
}

// TestDatagrams holds that UDP peers of one port are kept apart.
func TestDatagrams(t *testing.T) {
	w := Loopback(context.Background())
	defer w.Close()
	l, err := w.Host("rtu-5").Listen("udp", ":20002")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				b := make([]byte, 100)
				for n, err := conn.Read(b); err == nil; n, err = conn.Read(b) {
					fmt.Fprintf(conn, "%s to %s", b[:n], conn.RemoteAddr().(*net.UDPAddr).IP)
				}
			}()
		}
	}()
	for _, name := range []string{"gateway", "rogue"} {
		conn, err := w.Host(name).Dial("udp", "10.10.1.105:20002")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		for i := range 3 {
			b := make([]byte, 100)
			fmt.Fprint(conn, i)
			n, err := conn.Read(b)
			if want := fmt.Sprintf("%d to %s", i, conn.LocalAddr().(*net.UDPAddr).IP); err != nil || string(b[:n]) != want {
				t.Errorf("%s: got %q, %v; want %q", name, b[:n], err, want)
			}
		}
	}
}

func TestUnknownAct(t *testing.T) {
	w := Loopback(context.Background())
	defer w.Close()
	for _, name := range []string{"no-such-act", "arp-mitm"} {
		if _, err := Play(context.Background(), w, Config{Acts: []string{name}}); err == nil {
			t.Errorf("%s is played", name)
		}
	}
}

// TestSpan holds that the SPAN port sees an act in full, with the MACs of the cast, and that nothing is left afterwards.
func TestSpan(t *testing.T) {
	need.Superuser(t)
	span := fmt.Sprintf("rl%d", os.Getpid())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w, err := Namespaces(ctx, span)
	if err != nil {
		t.Fatal(err)
	}
	seen, stop := sniff(t, span)
	_, err = Play(ctx, w, quick())
	if err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	stop()
	for _, want := range []struct {
		from, to string
		port     uint16
	}{
		{"visitor", "rect-1", 502}, {"rogue", "rtu-3", 2404}, {"rogue", "rtu-4", 20000}, {"gateway", "rtu-4", 20000}, {"scada-a", "rtu-1", 2404}, {"site-ctl", "battery", 502},
	} {
		if key := (talk{macOf(want.from), macOf(want.to), want.port}); !seen[key] {
			t.Errorf("the SPAN port did not see %s speak to %s", want.from, want.to)
		}
	}
	if _, err := net.InterfaceByName(span); err == nil {
		t.Errorf("interface %s is still there", span)
	}
}

// talk is who spoke to whom over TCP, by MAC.
type talk struct {
	from, to [6]byte
	port     uint16
}

func macOf(name string) (mac [6]byte) {
	for _, p := range script.Cast {
		if p.Name == name {
			copy(mac[:], script.MAC(p))
		}
	}
	return mac
}

// sniff collects TCP segments with data from an interface until stop is called.
func sniff(t *testing.T, iface string) (seen map[talk]bool, stop func()) {
	link, err := net.InterfaceByName(iface)
	if err != nil {
		t.Fatal(err)
	}
	const all = 0x0300 // ETH_P_ALL in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index}); err != nil {
		t.Fatal(err)
	}
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	seen = map[talk]bool{}
	var over sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	over.Go(func() {
		b := make([]byte, 4096)
		for ctx.Err() == nil {
			n, _, err := unix.Recvfrom(fd, b, 0)
			if err != nil || n < 54 || b[12] != 8 || b[13] != 0 || b[23] != unix.IPPROTO_TCP {
				continue
			}
			k := talk{port: binary.BigEndian.Uint16(b[36:])}
			copy(k.to[:], b)
			copy(k.from[:], b[6:])
			seen[k] = true
		}
	})
	return seen, func() {
		cancel()
		over.Wait()
		unix.Close(fd)
	}
}
