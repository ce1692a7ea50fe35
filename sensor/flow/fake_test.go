package flow_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
)

// fake is a protocol for these tests. A frame is a5 5a, the length of its text, the text, and the sum of all before.
// It is registered on port 7000.
var fake = &protocols.Protocol{Name: "fake", TCP: []uint16{7000}, UDP: []uint16{7000}}

func init() {
	fake.New = func(h protocols.Hint) protocols.Decoder { return &fakeDecoder{hint: h} }
	fake.Probe = func(b []byte, last bool) protocols.Guess {
		for frames := 0; ; frames++ {
			n, whole := fakeFrame(b)
			switch {
			case n < 0, last && !whole && frames < 2:
				return protocols.No
			case frames == 2 && (whole || last):
				return protocols.Yes
			case !whole:
				return protocols.Maybe
			}
			b = b[n:]
		}
	}
}

// framed returns the frame of a text.
func framed(text string) []byte {
	b := append([]byte{0xa5, 0x5a, byte(len(text))}, text...)
	return append(b, sum(b))
}

func sum(b []byte) (s byte) {
	for _, v := range b {
		s += v
	}
	return s
}

// fakeFrame returns the length of the frame at the front of b, and whether all of it is there; -1 if there is none.
func fakeFrame(b []byte) (n int, whole bool) {
	head := []byte{0xa5, 0x5a}
	if !bytes.HasPrefix(b, head[:min(2, len(b))]) {
		return -1, false
	}
	if len(b) < 3 || len(b) < int(b[2])+4 {
		return 0, false
	}
	n = int(b[2]) + 4
	if sum(b[:n-1]) != b[n-1] {
		return -1, false
	}
	return n, true
}

type fakeDecoder struct {
	hint protocols.Hint
	lost int
}

func (d *fakeDecoder) Split(_ protocols.Dir, b []byte, last bool) (skip, n int) {
	for skip < len(b) {
		n, whole := fakeFrame(b[skip:])
		if whole {
			return skip, n
		}
		if n == 0 && !last {
			return skip, 0
		}
		skip++
	}
	return skip, 0
}

func (d *fakeDecoder) Decode(f protocols.Frame, m *protocols.Message) bool {
	m.Reset()
	m.Proto, m.Dir, m.Raw, m.Detail = fake, f.Dir, f.Bytes, d
	m.Body = f.Bytes[3 : len(f.Bytes)-1]
	if d.hint.Known && f.Dir == d.hint.Server {
		m.From = protocols.Server
	}
	return true
}

func (d *fakeDecoder) Lost(protocols.Dir) { d.lost++ }

// recorder writes down what a Table tells, one line each.
type recorder struct {
	flow.Ignore
	texts    [2][]string // messages, by end of the connection
	log      []string
	counters flow.Counters
	closed   []flow.Reason
	lawless  []string // breaches of the law of bytes
	arps     []flow.ARP
	infos    []flow.PacketInfo
}

func (r *recorder) Message(c *flow.Conn, m *protocols.Message, p *flow.PacketInfo) {
	r.texts[m.Dir] = append(r.texts[m.Dir], string(m.Body))
	r.infos = append(r.infos, *p)
}

func (r *recorder) Unframed(c *flow.Conn, dir protocols.Dir, n int, first []byte, p *flow.PacketInfo) {
	r.log = append(r.log, fmt.Sprintf("unframed %d: %d % x", dir, n, first))
}

func (r *recorder) Overlap(c *flow.Conn, dir protocols.Dir, have, got []byte, p *flow.PacketInfo) {
	r.log = append(r.log, fmt.Sprintf("overlap %d: %q %q", dir, have, got))
}

func (r *recorder) AfterEnd(c *flow.Conn, dir protocols.Dir, got []byte, p *flow.PacketInfo) {
	r.log = append(r.log, fmt.Sprintf("after its end %d: %d", dir, len(got)))
}

func (r *recorder) Gap(c *flow.Conn, dir protocols.Dir, n int, p *flow.PacketInfo) {
	r.log = append(r.log, fmt.Sprintf("gap %d: %d", dir, n))
}

func (r *recorder) Edge(c *flow.Conn, e flow.Edge, dir protocols.Dir, p *flow.PacketInfo) {
	r.log = append(r.log, fmt.Sprintf("%v %d", e, dir))
}

func (r *recorder) Closed(c *flow.Conn, why flow.Reason) {
	r.closed = append(r.closed, why)
	n := c.Count
	if n.Seen != n.Decoded+n.Skipped {
		r.lawless = append(r.lawless, fmt.Sprintf("%v: seen %d, decoded %d, skipped %d", c.Ends, n.Seen, n.Decoded, n.Skipped))
	}
	r.counters.Seen += n.Seen
	r.counters.Decoded += n.Decoded
	r.counters.Skipped += n.Skipped
	r.counters.Gaps += n.Gaps
	r.counters.GapBytes += n.GapBytes
	r.counters.Messages += n.Messages
	r.counters.Repeated += n.Repeated
	r.counters.Overlaps += n.Overlaps
}

func (r *recorder) ARP(a *flow.ARP, p *flow.PacketInfo) { r.arps = append(r.arps, *a) }

var (
	alice = netip.MustParseAddrPort("10.0.0.1:40000")
	bob   = netip.MustParseAddrPort("10.0.0.2:7000")
)

// tcpHeader is the part of a TCP header that tests choose.
type tcpHeader struct {
	seq, ack uint32
	flags    flow.TCPFlags
}

// segment returns the TCP segment, without IP.
func segment(from, to netip.AddrPort, h tcpHeader, payload []byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	binary.BigEndian.PutUint16(b, from.Port())
	binary.BigEndian.PutUint16(b[2:], to.Port())
	binary.BigEndian.PutUint32(b[4:], h.seq)
	binary.BigEndian.PutUint32(b[8:], h.ack)
	b[12], b[13] = 5<<4, byte(h.flags)
	return append(b, payload...)
}

// datagram returns the UDP datagram, without IP.
func datagram(from, to netip.AddrPort, payload []byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b, from.Port())
	binary.BigEndian.PutUint16(b[2:], to.Port())
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	return append(b, payload...)
}

// ip wraps b in IPv4 or IPv6, after the addresses.
func ip(from, to netip.Addr, proto byte, b []byte) []byte {
	if from.Is4() {
		h := make([]byte, 20, 20+len(b))
		h[0], h[8], h[9] = 0x45, 64, proto
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(b)))
		copy(h[12:], from.AsSlice())
		copy(h[16:], to.AsSlice())
		return append(h, b...)
	}
	h := make([]byte, 40, 40+len(b))
	h[0], h[6], h[7] = 0x60, proto, 64
	binary.BigEndian.PutUint16(h[4:], uint16(len(b)))
	copy(h[8:], from.AsSlice())
	copy(h[24:], to.AsSlice())
	return append(h, b...)
}

// ether wraps b in Ethernet.
func ether(kind uint16, b []byte) []byte {
	h := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, byte(kind >> 8), byte(kind)}
	return append(h, b...)
}

// etherIP wraps an IP packet in Ethernet, after its version.
func etherIP(b []byte) []byte {
	if b[0]>>4 == 6 {
		return ether(0x86dd, b)
	}
	return ether(0x0800, b)
}

// tcpFrame is a whole Ethernet frame.
func tcpFrame(from, to netip.AddrPort, h tcpHeader, payload []byte) []byte {
	return etherIP(ip(from.Addr(), to.Addr(), 6, segment(from, to, h, payload)))
}

// udpFrame is a whole Ethernet frame.
func udpFrame(from, to netip.AddrPort, payload []byte) []byte {
	return etherIP(ip(from.Addr(), to.Addr(), 17, datagram(from, to, payload)))
}

// feeder gives a Table frames, a millisecond apart.
type feeder struct {
	table *flow.Table
	p     capture.Packet
}

func newFeeder(config flow.Config, h flow.Handler) *feeder {
	if config.Protocols == nil {
		config.Protocols = []*protocols.Protocol{fake}
	}
	return &feeder{table: flow.New(config, h), p: capture.Packet{Link: capture.Ethernet, At: 1e18}}
}

func (f *feeder) frame(b []byte) flow.Bucket {
	f.p.Data, f.p.OrigLen = b, len(b)
	return f.next()
}

// next gives the Table f.p.
func (f *feeder) next() flow.Bucket {
	f.p.Frame++
	f.p.At += 1e6
	return f.table.Packet(&f.p)
}
