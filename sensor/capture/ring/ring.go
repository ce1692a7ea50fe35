// Package ring reads frames from an interface through a memory ring that the kernel fills (TPACKET_V3): no copy, no
// system call while frames are waiting, and no descriptor that could send.
//
// After Open the process holds the mapped ring and an epoll descriptor. The socket's own descriptor is closed: the
// mapping keeps the ring alive, epoll still wakes the reader, and nothing is left on which a frame could be written.
package ring

import (
	"errors"
	"fmt"
	"net"
	"os"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/filter"
)

// Config says how to read an interface. The zero value of each number is its default.
type Config struct {
	Interface string
	Filter    *filter.Filter       // nil keeps every frame, or leaves it to Classic
	Classic   []bpf.RawInstruction // where the kernel refuses eBPF
	Blocks    int                  // of the ring: 64
	BlockSize int                  // bytes, a multiple of the page size: 1 MiB
	Retire    int                  // milliseconds after which the kernel hands over a block that is not full: 64
	Idle      int                  // milliseconds without a frame after which Next returns capture.ErrIdle: 250
	Fanout    uint16               // rings with the same number share the interface's frames by flow; 0 is alone
	Spread    *filter.Spread       // how they share them; nil is by the kernel's hash, with all that is not IP on one ring
	KeepOpen  bool                 // keep the socket's descriptor; to compare with, in tests
}

func (c *Config) fill() {
	c.Blocks = orElse(c.Blocks, 64)
	c.BlockSize = orElse(c.BlockSize, 1<<20)
	c.Retire = orElse(c.Retire, 64)
	c.Idle = orElse(c.Idle, 250)
}

func orElse(v, fallback int) int {
	if v > 0 {
		return v
	}
	return fallback
}

// A Ring is a capture.Source over one interface. It is used by one goroutine. With a Filter
// it follows the interface that the filter is told to watch; without one it belongs to the interface that it was opened
// on, through renames and while it is down, and ends with it.
type Ring struct {
	cfg    Config
	mem    []byte
	epoll  int
	socket int // -1 once closed

	block  int    // index of the block that is read, or waited for
	left   uint32 // frames of it not yet given out
	next   int    // offset in mem of the next frame
	held   bool   // block belongs to us
	frame  uint64
	losing bool // a block's status said that frames were dropped
	stamps Stamps
	poison bool
}

var _ capture.Source = (*Ring)(nil)

// Open makes the ring and starts it. It needs CAP_NET_RAW, and none of it afterwards. No frame that the filter refuses
// enters the ring, not even during Open. The error wraps os.ErrPermission, or syscall.ENODEV where there is no such
// interface.
func Open(cfg Config) (*Ring, error) {
	cfg.fill()
	iface, err := net.InterfaceByName(cfg.Interface)
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", cfg.Interface, unix.ENODEV)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("capture on %s: open a packet socket: %w", cfg.Interface, err)
	}
	r := &Ring{cfg: cfg, socket: fd, epoll: -1}
	if err := r.set(iface.Index); err != nil {
		r.Close()
		return nil, fmt.Errorf("capture on %s: %w", cfg.Interface, err)
	}
	if !cfg.KeepOpen {
		unix.Close(r.socket)
		r.socket = -1
	}
	return r, nil
}

// set does the steps of Open on the socket, in the order that lets no unfiltered frame in: the socket has no protocol
// until it is bound.
func (r *Ring) set(index int) error {
	fd := r.socket
	req := unix.TpacketReq3{
		Block_size: uint32(r.cfg.BlockSize), Block_nr: uint32(r.cfg.Blocks),
		Frame_size: 2048, Frame_nr: uint32(r.cfg.BlockSize / 2048 * r.cfg.Blocks),
		Retire_blk_tov: uint32(r.cfg.Retire),
	}
	steps := []struct {
		name string
		do   func() error
	}{
		{"choose TPACKET_V3", func() error {
			return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3)
		}},
		{"make the ring", func() error { return unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req) }},
		{"ignore outgoing frames", func() error { return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1) }},
		{"ask for hardware timestamps", func() error {
			return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_TIMESTAMP, unix.SOF_TIMESTAMPING_RAW_HARDWARE)
		}},
		{"attach the filter", func() error { return r.attach(index) }},
		{"map the ring", func() (err error) {
			r.mem, err = unix.Mmap(fd, 0, r.cfg.BlockSize*r.cfg.Blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			return err
		}},
		{"enter promiscuous mode", func() error {
			return unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC})
		}},
		{"bind", func() error {
			if r.cfg.Filter != nil {
				index = 0 // the filter chooses the interface
			}
			return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: index})
		}},
		{"join the fanout group", func() error {
			if r.cfg.Fanout == 0 {
				return nil
			}
			if r.cfg.Spread == nil {
				return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, int(r.cfg.Fanout)|unix.PACKET_FANOUT_HASH<<16)
			}
			return errors.Join(
				unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, int(r.cfg.Fanout)|unix.PACKET_FANOUT_EBPF<<16),
				unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, r.cfg.Spread.Program().FD()))
		}},
		{"lock the filter", func() error {
			if r.cfg.Filter == nil && len(r.cfg.Classic) == 0 {
				return nil
			}
			return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1)
		}},
		{"wait on it", r.poll},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// attach gives the socket its filter.
func (r *Ring) attach(index int) error {
	switch {
	case r.cfg.Filter != nil:
		if err := r.cfg.Filter.Watch(index); err != nil {
			return err
		}
		return unix.SetsockoptInt(r.socket, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, r.cfg.Filter.Program().FD())
	case len(r.cfg.Classic) > 0:
		program := make([]unix.SockFilter, len(r.cfg.Classic))
		for i, in := range r.cfg.Classic {
			program[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
		}
		return unix.SetsockoptSockFprog(r.socket, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	}
	return nil
}

// poll is edge-triggered: the error that a socket has after its interface went down can be cleared on its descriptor
// alone, and must not wake the reader for ever.
func (r *Ring) poll() (err error) {
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	return unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, r.socket, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLERR | unix.EPOLLET, Fd: int32(r.socket)})
}

func bigEndian(v uint16) uint16 { return v<<8 | v>>8 }

// Close gives the ring back to the kernel, which ends the capture and the promiscuous mode. Frames that were lent are
// gone.
func (r *Ring) Close() error {
	var errs []error
	for _, fd := range []*int{&r.epoll, &r.socket} {
		if *fd >= 0 {
			errs = append(errs, unix.Close(*fd))
			*fd = -1
		}
	}
	if r.mem != nil {
		errs = append(errs, unix.Munmap(r.mem))
		r.mem = nil
	}
	return errors.Join(errs...)
}

// wait sleeps until the kernel hands a block over, at most cfg.Idle ms.
func (r *Ring) wait() error {
	var events [1]unix.EpollEvent
	_, err := unix.EpollWait(r.epoll, events[:], r.cfg.Idle)
	if err != nil && err != unix.EINTR {
		return os.NewSyscallError("epoll_wait", err)
	}
	return nil
}

// header is the block's descriptor, tpacket_hdr_v1 behind the version and the offset to private data.
func (r *Ring) header() *unix.TpacketHdrV1 {
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&r.mem[r.block*r.cfg.BlockSize+8]))
}
