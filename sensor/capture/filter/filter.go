// Package filter is the sensor's filter in the kernel: an eBPF socket filter that keeps what the sensor decodes or
// cannot judge, and counts all the rest per pair of assets and service. It is attached to the packet sockets of the
// capture ring, and only ever sees copies: it cannot change, delay or send a frame.
//
// Loading needs CAP_BPF and CAP_NET_RAW; with CAP_PERFMON the verifier leaves out mitigations that cost time per frame.
// After loading, no capability is needed: counts, ports and verdicts go through mapped memory and open descriptors. A
// kernel before 5.5 maps no arrays, and where it was told to keep bpf(2) from users, what is counted there can be read with
// CAP_SYS_ADMIN alone.
package filter

//go:generate go tool bpf2go -cc clang -cflags "-O2 -g -Wall -Werror" -target bpfel filter filter.bpf.c -- -I/usr/include/x86_64-linux-gnu

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"

	"github.com/roje-ot/roje/protocols"
)

// EtherTypes are the ethertypes that the filter keeps: those of control and time protocols, and of the ones that say
// who is where (ARP, LLDP). Frames with a length instead of an ethertype are always kept.
var EtherTypes = []uint16{
	0x0806, // ARP
	0x88b8, // GOOSE
	0x88b9, // GSE management
	0x88ba, // sampled values
	0x8892, // PROFINET
	0x88a4, // EtherCAT
	0x88ab, // POWERLINK
	0x88cc, // LLDP
	0x88cd, // SERCOS III
	0x88e3, // MRP
	0x88f7, // PTP
	0x88fb, // PRP supervision
	0x892f, // HSR
	0x890f, // CC-Link IE
	0x8847, // MPLS
	0x8848, // MPLS multicast
	0x8864, // PPPoE session
}

// A Filter is the program with its maps, loaded once per interface and shared by the rings on it. Its methods may be
// called from any goroutine.
type Filter struct {
	objs   filterObjects
	counts memory
	ports  memory
	told   memory // struct told

	mu sync.Mutex // held while a word of ports or told is changed
}

// Config says what to keep beside the ethertypes. The zero value keeps no port.
type Config struct {
	TCP, UDP []uint16 // server ports
	Old      bool     // make do with what kernels before 5.8 have; where the kernel is one, that is found out
}

// Ports collects the registered ports of protocols, with the TLS ports on which they are recognised.
func Ports(all []*protocols.Protocol) Config {
	c := Config{TCP: []uint16{802, 19998, 19999}}
	for _, p := range all {
		c.TCP = append(c.TCP, p.TCP...)
		c.UDP = append(c.UDP, p.UDP...)
	}
	return c
}

// Load loads the filter into the kernel. The error wraps os.ErrPermission where the process may not, and
// ebpf.ErrNotSupported where the kernel cannot.
func Load(cfg Config) (*Filter, error) {
	if runtime.NumCPU() > maxCPUs {
		return nil, fmt.Errorf("load filter: %d CPUs, and it counts on %d: %w", runtime.NumCPU(), maxCPUs, ebpf.ErrNotSupported)
	}
	_ = rlimit.RemoveMemlock() // kernels before 5.11 need it; where it may not be raised, loading says what is wrong
	f := new(Filter)
	if err := f.load(cfg.Old); err != nil {
		var verifier *ebpf.VerifierError
		if errors.As(err, &verifier) {
			return nil, fmt.Errorf("load filter: the verifier refuses it: %w", err)
		}
		return nil, fmt.Errorf("load filter: %w", err)
	}
	if err := f.fill(cfg); err != nil {
		f.Close()
		return nil, fmt.Errorf("load filter: %w", err)
	}
	return f, nil
}

// load loads the program for what the kernel has.
func (f *Filter) load(old bool) error {
	spec, err := loadFilter()
	if err != nil {
		return err
	}
	if old || features.HaveMapFlag(features.BPF_F_MMAPABLE) != nil {
		for _, m := range spec.Maps {
			m.Flags &^= uint32(features.BPF_F_MMAPABLE)
		}
	}
	if old {
		return spec.LoadAndAssign(&f.objs, nil)
	}
	if err := setCoarse(spec); err != nil {
		return err
	}
	return spec.LoadAndAssign(&f.objs, nil)
}

// setCoarse has a program take the cheap clock where the kernel has it.
func setCoarse(spec *ebpf.CollectionSpec) error {
	if features.HaveProgramHelper(ebpf.SocketFilter, asm.FnKtimeGetCoarseNs) != nil {
		return nil
	}
	return spec.Variables["coarse"].Set(uint32(1))
}

// fill maps the arrays and sets the first ports and ethertypes.
func (f *Filter) fill(cfg Config) error {
	ethers, err := memoryOf(f.objs.Ethers)
	if err != nil {
		return fmt.Errorf("map the ethertypes: %w", err)
	}
	if f.ports, err = memoryOf(f.objs.Ports); err != nil {
		return fmt.Errorf("map the ports: %w", err)
	}
	if f.told, err = memoryOf(f.objs.Told); err != nil {
		return fmt.Errorf("map what it is told: %w", err)
	}
	if f.counts, err = memoryOf(f.objs.Counts); err != nil {
		return fmt.Errorf("map the counts: %w", err)
	}
	for _, ether := range EtherTypes {
		err = errors.Join(err, setBit(ethers, int(ether), true))
	}
	for _, port := range cfg.TCP {
		err = errors.Join(err, f.KeepPort(TCP, port, true))
	}
	for _, port := range cfg.UDP {
		err = errors.Join(err, f.KeepPort(UDP, port, true))
	}
	return err
}

// setBit sets or clears bit n of an array of 64-bit words. The kernel reads it while it is written: a word is written
// whole.
func setBit(mem memory, n int, on bool) error {
	var word [8]byte
	off := int64(n / 64 * 8)
	if _, err := mem.ReadAt(word[:], off); err != nil {
		return err
	}
	v := binary.NativeEndian.Uint64(word[:])
	if on {
		v |= 1 << (n % 64)
	} else {
		v &^= 1 << (n % 64)
	}
	binary.NativeEndian.PutUint64(word[:], v)
	_, err := mem.WriteAt(word[:], off)
	return err
}

// Transport is the IP protocol that a port belongs to.
type Transport uint8

// The transports with ports, by IP protocol number.
const (
	TCP Transport = 6
	UDP Transport = 17
)

// KeepPort makes the filter keep, or no longer keep, whatever has that port at either end. It takes effect with the
// next frame.
func (f *Filter) KeepPort(t Transport, port uint16, on bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := int(port)
	if t == UDP {
		n += 1 << 16
	}
	return setBit(f.ports, n, on)
}

// Watch makes the filter look at the frames of one interface alone, and keep and count no other. 0 is every interface.
func (f *Filter) Watch(index int) error {
	return f.tell(0, uint32(index))
}

// tell writes one word of struct told.
func (f *Filter) tell(off int64, v uint32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var word [4]byte
	binary.NativeEndian.PutUint32(word[:], v)
	_, err := f.told.WriteAt(word[:], off)
	return err
}

// Program is what a ring attaches to its socket.
func (f *Filter) Program() *ebpf.Program { return f.objs.Keep }

// Close lets go of the program and its maps. Sockets that it is attached to keep it.
func (f *Filter) Close() error { return f.objs.Close() }

func isAbsent(err error) bool { return errors.Is(err, ebpf.ErrKeyNotExist) }
