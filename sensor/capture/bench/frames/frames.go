// Package frames makes frames faster than any sender: the kernel lets them arrive at an interface without a driver or
// a socket in between (BPF_PROG_RUN with live XDP frames, kernel 5.18). Each carries its number, so that a reader knows
// of every frame that it has missed. It is for tests and benchmarks, and needs root.
package frames

//go:generate go tool bpf2go -cc clang -cflags "-O2 -g -Wall -Werror" -target bpfel frames frames.bpf.c -- -I/usr/include/x86_64-linux-gnu

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Port is the UDP port of the frames that count as a control protocol's; the others have 8080.
const Port = 502

const (
	numberAt  = 42      // offset of the number in a frame, big-endian, 8 bytes
	liveFlag  = 1 << 1  // BPF_F_TEST_XDP_LIVE_FRAMES
	perCall   = 1 << 18 // frames per system call, so that it can be interrupted
	contextAt = 24      // size of struct xdp_md
)

// Number reads the number of a frame.
func Number(frame []byte) uint64 { return binary.BigEndian.Uint64(frame[numberAt:]) }

// A Source lets frames arrive at one interface. It is used by one goroutine that stays on its thread, in the network
// namespace of the interface.
type Source struct {
	objs    framesObjects
	state   *ebpf.Memory
	frame   []byte
	context []byte
}

// New makes a source for the interface, of frames with size bytes. One in every has Port, starting with the first; 0
// is none.
func New(iface string, size, every int) (*Source, error) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return nil, fmt.Errorf("frames for %s: %w", iface, err)
	}
	s := &Source{frame: make([]byte, max(size, 60)), context: make([]byte, contextAt)}
	if err := loadFramesObjects(&s.objs, nil); err != nil {
		return nil, fmt.Errorf("frames for %s: %w", iface, err)
	}
	if s.state, err = s.objs.States.Memory(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	copy(s.frame, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0, 10, 0, 0, 0, 10, 1, 0, 2, 0x9c, 0x40})
	binary.BigEndian.PutUint16(s.frame[16:], uint16(len(s.frame)-14))
	binary.BigEndian.PutUint16(s.frame[38:], uint16(len(s.frame)-34))
	binary.NativeEndian.PutUint32(s.context[4:], uint32(len(s.frame)))
	binary.NativeEndian.PutUint32(s.context[12:], uint32(link.Attrs().Index))
	return s, s.put(8, uint64(every))
}

// By has the frames sent by an interface's driver: those of one end of a virtual pair arrive at the other as frames arrive
// from a wire, through its driver, where a native XDP program sees them. The other end needs one, or generic receive
// offload, to take them; it loses some where it cannot keep up, and counts those that it received.
func (s *Source) By(iface string) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("frames by %s: %w", iface, err)
	}
	return s.put(16, uint64(link.Attrs().Index))
}

func (s *Source) put(off int64, v uint64) error {
	var word [8]byte
	binary.NativeEndian.PutUint64(word[:], v)
	_, err := s.state.WriteAt(word[:], off)
	return err
}

// Sent is how many frames were made so far; the next one has this number.
func (s *Source) Sent() (uint64, error) {
	var word [8]byte
	_, err := s.state.ReadAt(word[:], 0)
	return binary.NativeEndian.Uint64(word[:]), err
}

// Send lets at least n further frames arrive, as fast as the kernel can, and returns how many they were: a signal
// between can make it some more.
func (s *Source) Send(n uint64) (uint64, error) {
	begun, err := s.Sent()
	if err != nil {
		return 0, err
	}
	for sent := uint64(0); sent < n; {
		_, err := s.objs.Number.Run(&ebpf.RunOptions{Data: s.frame, Context: s.context, Repeat: uint32(min(n-sent, perCall)), Flags: liveFlag})
		if err != nil && !errors.Is(err, unix.EINTR) {
			return sent, fmt.Errorf("let frames arrive: %w", err)
		}
		now, err := s.Sent()
		if err != nil {
			return sent, err
		}
		sent = now - begun
		if sent >= n {
			return sent, nil
		}
	}
	return 0, nil
}

// Close lets go of the program.
func (s *Source) Close() error { return s.objs.Close() }
