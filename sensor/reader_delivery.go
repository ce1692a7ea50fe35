package sensor

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/roje-ot/roje/sensor/capture"
)

// A delivery recognises the sensor's own delivery where it crosses the mirror: TCP between the collector's address and an
// address of this host. Whoever else speaks to the collector is watched like anybody.
type delivery struct {
	ends  *atomic.Pointer[ends] // shared by all readers; nil leaves nothing out
	count uint64                // packets left out; the reader's goroutine owns it
}

// ends are the two sides of the delivery. It is not changed once made.
type ends struct {
	port      uint16
	collector map[netip.Addr]bool
	here      map[netip.Addr]bool
}

// findEnds resolves the collector's host and lists the addresses of this one. It returns nil where there is no collector
// or it cannot be resolved.
func findEnds(ctx context.Context, collector string) *ends {
	host, service, err := net.SplitHostPort(collector)
	if err != nil {
		return nil
	}
	number, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	e := &ends{port: uint16(number), collector: map[netip.Addr]bool{}, here: map[netip.Addr]bool{}}
	for _, a := range addrs {
		e.collector[a.Unmap()] = true
	}
	local, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range local {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			e.here[prefix.Addr().Unmap()] = true
		}
	}
	return e
}

// is says whether the packet belongs to the delivery. It allocates nothing.
func (o *delivery) is(p *capture.Packet) bool {
	if o.ends == nil || p.Link != capture.Ethernet {
		return false
	}
	e := o.ends.Load()
	if e == nil {
		return false
	}
	src, dst, ok := tcpEnds(p.Data)
	if !ok {
		return false
	}
	return src.Port() == e.port && e.collector[src.Addr()] && e.here[dst.Addr()] || dst.Port() == e.port && e.collector[dst.Addr()] && e.here[src.Addr()]
}

// tcpEnds reads the ends of a TCP segment in an Ethernet frame, behind any tags. A fragment has none.
func tcpEnds(b []byte) (src, dst netip.AddrPort, ok bool) {
	at := 12
	for len(b) >= at+2 {
		switch binary.BigEndian.Uint16(b[at:]) {
		case 0x8100, 0x88a8, 0x9100:
			at += 4
			continue
		case 0x0800:
			return tcp4(b[at+2:])
		case 0x86dd:
			return tcp6(b[at+2:])
		}
		return
	}
	return
}

const protocolTCP = 6

func tcp4(b []byte) (src, dst netip.AddrPort, ok bool) {
	if len(b) < 20 || b[9] != protocolTCP || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return
	}
	head := int(b[0]&15) * 4
	if head < 20 || len(b) < head+4 {
		return
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:])), binary.BigEndian.Uint16(b[head:])),
		netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:])), binary.BigEndian.Uint16(b[head+2:])), true
}

func tcp6(b []byte) (src, dst netip.AddrPort, ok bool) {
	if len(b) < 44 || b[6] != protocolTCP {
		return
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:])), binary.BigEndian.Uint16(b[40:])),
		netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[24:])), binary.BigEndian.Uint16(b[42:])), true
}

// resolveWithin is how long a look-up of the collector's name may take.
const resolveWithin = 5 * time.Second

// findOwn looks up the two ends of the delivery, for all readers. It is called at the start, and now and then, since
// names and addresses change; an end that cannot be found leaves the ones that were.
func (d *daemon) findOwn() {
	if d.identity == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), resolveWithin)
	defer stop()
	if e := findEnds(ctx, d.identity.Collector); e != nil {
		d.passive.delivery.Store(e)
	}
}
