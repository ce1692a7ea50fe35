package asset

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/roje-ot/roje/rules"
)

// A Count is what the kernel has counted of a pair of hosts and the service between them since it started.
type Count struct {
	Addrs         [2]netip.Addr // invalid where the frames are not IP
	MACs          [2]rules.MAC  // where they are not
	VLAN          uint16
	Ether         uint16
	Protocol      uint8
	Port          uint16
	Frames, Bytes uint64
}

// Counted notes what the kernel has counted up to now (Unix nanoseconds). Pairs of less than a few frames are left
// out: a sweep over a network's addresses names many that nobody has.
func (r *Registry) Counted(counts []Count, now int64) {
	const few = 4
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Frames, a.Frames), a.Addrs[0].Compare(b.Addrs[0]), a.Addrs[1].Compare(b.Addrs[1]), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	r.last = max(r.last, now)
	for i := range counts {
		c := &counts[i]
		if c.Frames < few {
			break
		}
		for side := range c.Addrs {
			d, peer := r.counted(c, side, now), c.Addrs[1-side].String()
			if d == nil {
				continue
			}
			if !c.Addrs[1-side].IsValid() {
				peer = c.MACs[1-side].String()
			}
			if d.onVLAN(c.VLAN) {
				r.mark(d)
			}
			r.traffic(d, peer, c, now)
		}
	}
}

// counted returns the device on one side of a count.
func (r *Registry) counted(c *Count, side int, now int64) *device {
	if addr := c.Addrs[side]; addr.IsValid() {
		return r.at(addr, now)
	}
	mac := c.MACs[side]
	if mac == (rules.MAC{}) || mac[0]&1 != 0 {
		return nil
	}
	if d := r.owner[mac]; d != nil {
		return d
	}
	d := r.make("mac "+mac.String(), now)
	if d != nil {
		d.link(mac, byARP, now) // it has no other address, so the frame's is its own
		r.owner[mac] = d
	}
	return d
}

// traffic sets the figures of one peer and service.
func (r *Registry) traffic(d *device, peer string, c *Count, now int64) {
	ether := c.Ether
	if c.Addrs[0].IsValid() {
		ether = 0
	}
	for _, t := range d.Traffic {
		if t.Peer == peer && t.Protocol == c.Protocol && t.Port == c.Port && t.Ether == ether {
			if t.Frames != c.Frames {
				d.heard(now)
			}
			t.Frames, t.Bytes = c.Frames, c.Bytes
			return
		}
	}
	if len(d.Traffic) < maxTraffic {
		d.Traffic = append(d.Traffic, &Traffic{Peer: peer, Protocol: c.Protocol, Ether: ether, Port: c.Port, Frames: c.Frames, Bytes: c.Bytes})
		r.mark(d)
	}
}
