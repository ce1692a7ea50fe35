package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture/ring"
)

// each is how many frames a sender sends that does not leave it to the kernel.
const each = 5

// A sender is a way to make a frame leave an interface. It runs on a thread in the interface's namespace.
type sender struct {
	name   string
	kernel bool // the kernel sends, in answer to what the process does: at least one frame instead of `each`
	send   func(port *net.Interface) error
	is     func(frame []byte) bool // its frames, at the peer
}

const marker = 0x88b5 // IEEE local experimental ethertype

// The addresses of the virtual pair on which the table is run.
var (
	portIP = net.IPv4(10, 99, 0, 1).To4()
	peerIP = net.IPv4(10, 99, 0, 2).To4()
	group  = net.IPv4(239, 1, 2, 3).To4()
)

// frame is a frame that tells its sender by a number.
func frame(number byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, marker >> 8, marker & 0xff, number}
	return append(b, make([]byte, 64-len(b))...)
}

func marked(number byte) func([]byte) bool {
	return func(b []byte) bool {
		return len(b) > 14 && binary.BigEndian.Uint16(b[12:]) == marker && b[14] == number
	}
}

func ofType(ether uint16) func([]byte) bool {
	return func(b []byte) bool { return len(b) > 14 && binary.BigEndian.Uint16(b[12:]) == ether }
}

func ofProtocol(proto byte) func([]byte) bool {
	return func(b []byte) bool { return ofType(0x0800)(b) && len(b) > 23 && b[23] == proto }
}

const rawProto = 253 // for experiments, RFC 3692

// senders are the ways in which a frame can leave a port, the most innocent first.
var senders = []sender{
	{"ARP, for an address of the port's network", true, askAddress, ofType(0x0806)},
	{"IPv6, a ping to all nodes", true, pingAll, ofType(0x86dd)},
	{"IGMP, joining a group", true, join, ofProtocol(2)},
	{"raw IP, bound to the port", false, rawIP, ofProtocol(rawProto)},
	{"packet socket", false, func(p *net.Interface) error { return packet(p, 1, false) }, marked(1)},
	{"write on the capture's own socket", false, captureSocket, marked(2)},
	{"packet socket past the queues", false, func(p *net.Interface) error { return packet(p, 3, true) }, marked(3)},
	{"packet socket's transmit ring", false, txRing, marked(4)},
	{"XDP socket", false, xdpSocket, marked(5)},
	{"XDP redirect into the port", false, redirect, marked(6)},
}

// Ways are the names of the ways of sending that are tried.
func Ways() (names []string) {
	for _, s := range senders {
		names = append(names, s.name)
	}
	return names
}

// Send makes frames leave the port in the named way, if nothing stops them, from the calling thread's namespace. It returns
// what the sender is told.
func Send(way string, port *net.Interface) error {
	for _, s := range senders {
		if s.name == way {
			return s.send(port)
		}
	}
	return fmt.Errorf("no way of sending is called %q", way)
}

func askAddress(*net.Interface) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, []byte("?"), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{10, 99, 0, 77}})
}

func pingAll(port *net.Interface) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	to := &unix.SockaddrInet6{ZoneId: uint32(port.Index), Addr: [16]byte{0xff, 2, 15: 1}}
	return repeat(func() error { return unix.Sendto(fd, []byte{128, 0, 0, 0, 0, 1, 0, 1}, 0, to) })
}

func join(port *net.Interface) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) // which sends that the group is left
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: [4]byte(group), Ifindex: int32(port.Index)})
}

func rawIP(port *net.Interface) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, rawProto)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.BindToDevice(fd, port.Name); err != nil {
		return err
	}
	return repeat(func() error { return unix.Sendto(fd, make([]byte, 32), 0, &unix.SockaddrInet4{Addr: [4]byte(peerIP)}) })
}

// repeat calls do `each` times and returns its first error.
func repeat(do func() error) (first error) {
	for range each {
		if err := do(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func packet(port *net.Interface, number byte, bypass bool) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if bypass {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
			return err
		}
	}
	return repeat(func() error { return unix.Sendto(fd, frame(number), 0, &unix.SockaddrLinklayer{Ifindex: port.Index}) })
}

// errNoDescriptor says that the process holds nothing to write to.
var errNoDescriptor = errors.New("no descriptor that could send")

// captureSocket writes to every packet socket that the process holds on the port. A process that is not the sensor opens
// a capture whose descriptor stays, first.
func captureSocket(port *net.Interface) error {
	if !sealedHere {
		r, err := ring.Open(ring.Config{Interface: port.Name, Blocks: 2, BlockSize: 1 << 16, KeepOpen: true})
		if err != nil {
			return err
		}
		defer r.Close()
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	err = errNoDescriptor
	for _, e := range entries {
		fd, _ := strconv.Atoi(e.Name())
		if name, e := unix.Getsockname(fd); e == nil {
			if at, ok := name.(*unix.SockaddrLinklayer); ok && at.Ifindex == port.Index {
				err = repeat(func() error { _, err := unix.Write(fd, frame(2)); return err })
			}
		}
	}
	return err
}

func txRing(port *net.Interface) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return err
	}
	const slot, slots = 2048, 8
	req := &unix.TpacketReq{Block_size: slot * slots, Block_nr: 1, Frame_size: slot, Frame_nr: slots}
	if err := unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_TX_RING, req); err != nil {
		return err
	}
	mem, err := unix.Mmap(fd, 0, slot*slots, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer unix.Munmap(mem)
	for i := range each {
		h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&mem[i*slot]))
		h.Len = uint32(copy(mem[i*slot+32:], frame(4))) // behind the header, aligned to 16
		h.Status = unix.TP_STATUS_SEND_REQUEST
	}
	return unix.Sendto(fd, nil, 0, &unix.SockaddrLinklayer{Ifindex: port.Index})
}

// redirect lets frames arrive whose XDP program sends them on into the port.
func redirect(port *net.Interface) error {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R1, int32(port.Index)), asm.Mov.Imm(asm.R2, 0), asm.FnRedirect.Call(), asm.Return()}})
	if err != nil {
		return err
	}
	defer program.Close()
	context := make([]byte, 24) // struct xdp_md: data, data_end, data_meta, ingress_ifindex, ...
	binary.NativeEndian.PutUint32(context[4:], 64)
	binary.NativeEndian.PutUint32(context[12:], uint32(port.Index))
	const live = 2 // BPF_F_TEST_XDP_LIVE_FRAMES
	_, err = program.Run(&ebpf.RunOptions{Data: bytes.Clone(frame(6)), Context: context, Repeat: each, Flags: live})
	return err
}
