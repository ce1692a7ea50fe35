package filter

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"github.com/cilium/ebpf"
)

const maxCPUs = 256 // slots of the counts map

// Counts is what became of every frame that the filter has seen. Seen = Kept + Other, and Kept is the sum of OTPort,
// OTEther, First, Fragment, Tunnel, Unparsed and Verdict; a read while frames arrive may be a frame or two off.
type Counts struct {
	Seen, Bytes uint64
	Kept, Other uint64
	OTPort      uint64 // a port of a control protocol at either end
	OTEther     uint64 // an ethertype that is kept, or an 802.3 length
	First       uint64 // among the first of its pair of assets and service
	Fragment    uint64 // belongs to a kept datagram, or to one whose head was not seen
	Tunnel      uint64 // carries other frames, or IPv6 extension headers
	Unparsed    uint64 // too short, or IPv4 options
	Verdict     uint64 // user space asked for it
	VLAN, QinQ  uint64 // frames with a tag, and further tags
	GSO         uint64 // several segments merged by the host: timing and counts are degraded
	Early       uint64 // of Other, those that the prefilter dropped in the driver
}

// Counts sums the counts of all CPUs.
func (f *Filter) Counts() (Counts, error) {
	var sum Counts
	size := int(unsafe.Sizeof(filterCounts{}))
	buf := make([]byte, size*maxCPUs)
	if _, err := f.counts.ReadAt(buf, 0); err != nil {
		return sum, fmt.Errorf("read the filter's counts: %w", err)
	}
	for ; len(buf) >= size; buf = buf[size:] {
		for i, field := range []*uint64{&sum.Seen, &sum.Bytes, &sum.Kept, &sum.Other, &sum.OTPort, &sum.OTEther, &sum.First,
			&sum.Fragment, &sum.Tunnel, &sum.Unparsed, &sum.Verdict, &sum.VLAN, &sum.QinQ, &sum.GSO, &sum.Early} {
			*field += binary.NativeEndian.Uint64(buf[i*8:])
		}
	}
	return sum, nil
}

// A Pair is two assets and the service between them. For IP, A and B are addresses, the lower first; for other frames
// they are invalid, and MACs says who.
type Pair struct {
	A, B    netip.Addr
	MACs    [2][6]byte
	Service uint16 // the lower of the two ports; 0 without ports
	VLAN    uint16
	Ether   uint16 // ethertype
	Proto   uint8  // IP protocol
}

// A Tally is how much of a pair's traffic the filter has seen, kept or not.
type Tally struct {
	Pair
	Frames, Bytes uint64
	Last          uint64 // CLOCK_MONOTONIC, nanoseconds
}

// Pairs lists what the filter has counted per pair of assets. Its two maps, of IPv4 and of all else, forget the pairs
// that were heard of longest ago once they hold 65,536 each.
func (f *Filter) Pairs() ([]Tally, error) {
	var key4 filterPair4
	all, err := tallies(nil, f.objs.Pairs4, &key4, func() Pair {
		return Pair{A: addr4(key4.A), B: addr4(key4.B), Service: key4.Service, VLAN: key4.Vlan, Ether: 0x0800, Proto: key4.Proto}
	})
	if err != nil {
		return all, err
	}
	var key filterPair
	return tallies(all, f.objs.Pairs, &key, func() Pair { return pairOf(&key) })
}

// tallies appends what a map holds; pair says what its key means.
func tallies(all []Tally, m *ebpf.Map, key any, pair func() Pair) ([]Tally, error) {
	var perCPU []filterTally
	iter := m.Iterate()
	for iter.Next(key, &perCPU) {
		t := Tally{Pair: pair()}
		for _, c := range perCPU {
			t.Frames += c.Frames
			t.Bytes += c.Bytes
			t.Last = max(t.Last, c.Last)
		}
		all = append(all, t)
	}
	if err := iter.Err(); err != nil {
		return all, fmt.Errorf("read the filter's pairs: %w", err)
	}
	return all, nil
}

func pairOf(k *filterPair) Pair {
	p := Pair{Service: k.Service, VLAN: k.Vlan, Ether: k.Ether, Proto: k.Proto}
	switch k.Ether {
	case 0x86dd:
		p.A, p.B = addr6(k.A), addr6(k.B)
	default:
		p.MACs = [2][6]byte{mac(k.A), mac(k.B)}
	}
	return p
}

func addr4(v uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}

func addr6(v [4]uint32) netip.Addr {
	var b [16]byte
	for i, w := range v {
		binary.BigEndian.PutUint32(b[4*i:], w)
	}
	return netip.AddrFrom16(b)
}

// mac reads the address out of the last six bytes of the key's words, as the kernel copied them there.
func mac(v [4]uint32) (m [6]byte) {
	var b [8]byte
	binary.NativeEndian.PutUint32(b[:], v[2])
	binary.NativeEndian.PutUint32(b[4:], v[3])
	copy(m[:], b[2:])
	return m
}

// Verdict is what user space decides for a pair.
type Verdict uint32

// The verdicts.
const (
	Undecided Verdict = iota // the first frames are kept, then none
	Keep
	Drop
	Headers // the first 96 bytes of each frame
)

// Decide makes the filter treat p's frames as v from now on. It does not overrule ports: what has a kept port is kept.
func (f *Filter) Decide(p Pair, v Verdict) error {
	key := filterPair{Service: p.Service, Vlan: p.VLAN, Ether: p.Ether, Proto: p.Proto}
	a, b := p.A, p.B
	if b.Less(a) {
		a, b = b, a
	}
	switch {
	case a.Is4() && b.Is4():
		x, y := a.As4(), b.As4()
		key.Ether, key.A[3], key.B[3] = 0x0800, binary.BigEndian.Uint32(x[:]), binary.BigEndian.Uint32(y[:])
	case a.Is6() && b.Is6():
		x, y := a.As16(), b.As16()
		key.Ether = 0x86dd
		for i := range 4 {
			key.A[i], key.B[i] = binary.BigEndian.Uint32(x[4*i:]), binary.BigEndian.Uint32(y[4*i:])
		}
	default:
		return fmt.Errorf("decide on %v and %v: want two addresses of one IP version", p.A, p.B)
	}
	if v == Undecided {
		if err := f.objs.Verdicts.Delete(&key); err != nil && !isAbsent(err) {
			return fmt.Errorf("take a verdict back: %w", err)
		}
		return nil
	}
	if err := f.objs.Verdicts.Update(&key, uint32(v), ebpf.UpdateAny); err != nil {
		return fmt.Errorf("set a verdict: %w", err)
	}
	return f.tell(4, 1)
}
