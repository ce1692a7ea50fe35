package verify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/ring"
	"github.com/roje-ot/roje/sensor/passive/diode"
)

// A bench is one column's namespace with its pair of interfaces.
type bench struct {
	port    *net.Interface // where the attempts are made
	witness func() (uint64, error)
	tried   func() (uint64, error) // nil where nothing counts
	far     *ring.Ring
	sender  func(s *sender) error
	closers []func() error
}

func (b *bench) close() error {
	var errs []error
	for _, c := range slices.Backward(b.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// column makes the attempts against one layer. Its goroutine stays on its thread for ever.
func column(ctx context.Context, cfg Config, l *layer) (cells []Cell, err error) {
	runtime.LockOSThread()
	b := &bench{}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.open(ctx, cfg, l); err != nil {
		return nil, err
	}
	if _, err := b.arrived(nil, 0, time.Time{}); err != nil { // what setting up has sent
		return nil, err
	}
	for i := range senders {
		s := &senders[i]
		cell := Cell{Sender: s.name, Layer: l.name, Must: l.stops(s), Asked: !(l.sealed && s.kernel && l.apply == nil)}
		if cell.Asked {
			if err := b.attempt(s, l, &cell); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
		cells = append(cells, cell)
	}
	return cells, nil
}

// patience is how long the control waits for a frame that the kernel sends in its own time.
const patience = 5 * time.Second

func (b *bench) attempt(s *sender, l *layer, cell *Cell) (err error) {
	before, err := b.witness()
	if err != nil {
		return err
	}
	if b.tried != nil {
		earlier, err := b.tried()
		if err != nil {
			return err
		}
		defer func() {
			now, e := b.tried()
			cell.Tried, err = now-earlier, errors.Join(err, e)
		}()
	}
	cell.Err = b.sender(s)
	want, until := 0, time.Time{}
	if !cell.Must && cell.Err == nil {
		want, until = 1, time.Now().Add(patience)
		if !s.kernel {
			want = each
		}
	}
	if cell.Arrived, err = b.arrived(s.is, want, until); err != nil {
		return err
	}
	after, err := b.witness()
	cell.Sent = after - before
	return err
}

// arrived counts the frames at the far end for which is holds, until there is quiet and there were want of them, or until
// has passed.
func (b *bench) arrived(is func([]byte) bool, want int, until time.Time) (n int, err error) {
	var p capture.Packet
	for quiet := 0; quiet < 2; {
		switch err := b.far.Next(&p); {
		case errors.Is(err, capture.ErrIdle):
			if n >= want || time.Now().After(until) {
				quiet++
			}
		case err != nil:
			return n, err
		case is != nil && is(p.Data):
			n++
		}
	}
	return n, nil
}

// open makes the namespace, the interfaces, the layer and the one who sends.
func (b *bench) open(ctx context.Context, cfg Config, l *layer) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	const port, peer = "roje-port", "roje-far"
	if err := b.pair(port, peer); err != nil {
		return err
	}
	name := port
	if l.name == "diode" {
		name = "roje0"
		if err := b.diode(port, name); err != nil {
			return err
		}
	} else {
		b.witness = func() (uint64, error) { return sent(port) }
	}
	if l.apply != nil {
		a, err := l.apply(name)
		if err != nil {
			return err
		}
		b.closers, b.tried = append(b.closers, a.undo), a.tried
	}
	var err error
	if b.port, err = net.InterfaceByName(name); err != nil {
		return err
	}
	b.sender = func(s *sender) error { return s.send(b.port) }
	if l.sealed {
		child, err := startAttempt(ctx, cfg.Attempt, name)
		if err != nil {
			return err
		}
		b.closers = append(b.closers, child.close)
		b.sender = child.try
		if l.apply != nil && cfg.Load != nil {
			stop, err := cfg.Load(name)
			if err != nil {
				return err
			}
			b.closers = append(b.closers, func() error { stop(); return nil })
		}
	}
	return nil
}

// pair makes the two interfaces, the port with everything that makes a kernel talkative, and a ring at the far end.
func (b *bench) pair(port, peer string) error {
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: port}, PeerName: peer}); err != nil {
		return fmt.Errorf("make a pair of virtual interfaces: %w", err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+peer+"/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	far, err := netlink.LinkByName(peer)
	if err != nil {
		return err
	}
	near, err := netlink.LinkByName(port)
	if err != nil {
		return err
	}
	for _, do := range []func() error{
		func() error { return netlink.LinkSetUp(far) },
		func() error { return netlink.LinkSetUp(near) },
		func() error {
			return netlink.AddrAdd(near, &netlink.Addr{IPNet: &net.IPNet{IP: portIP, Mask: net.CIDRMask(24, 32)}})
		},
		func() error { // so that only the first sender asks for an address
			return netlink.NeighSet(&netlink.Neigh{LinkIndex: near.Attrs().Index, State: netlink.NUD_PERMANENT, IP: peerIP, HardwareAddr: far.Attrs().HardwareAddr})
		},
		func() error { return address6(near) },
		func() error { return b.passXDP(far) },
	} {
		if err := do(); err != nil {
			return err
		}
	}
	if b.far, err = ring.Open(ring.Config{Interface: peer, Blocks: 4, BlockSize: 1 << 16, Retire: 5, Idle: 60}); err != nil {
		return err
	}
	b.closers = append(b.closers, b.far.Close)
	return nil
}

// address6 gives the port an IPv6 address that may be used at once, where the kernel has IPv6.
func address6(near netlink.Link) error {
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		return nil
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP("fe80::99"), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD}
	return netlink.AddrAdd(near, addr)
}

// passXDP has the far end receive what is redirected into the port: a virtual interface does so with a program alone.
func (b *bench) passXDP(far netlink.Link) error {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, program.Close)
	attached, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: far.Attrs().Index})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, attached.Close)
	return nil
}

// diode puts the port into one more namespace.
func (b *bench) diode(port, outside string) error {
	here, err := netns.Get()
	if err != nil {
		return err
	}
	defer here.Close()
	in, err := netns.New()
	if err != nil {
		return err
	}
	b.closers = append(b.closers, in.Close)
	if err := netns.Set(here); err != nil {
		return err
	}
	if err := diode.Install(port, outside, in); err != nil {
		return err
	}
	b.witness = func() (n uint64, err error) {
		err = diode.Within(in, func() error { n, err = sent(port); return err })
		return n, err
	}
	return nil
}

// sent is the interface's own count.
func sent(name string) (uint64, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return 0, err
	}
	return l.Attrs().Statistics.TxPackets, nil
}
