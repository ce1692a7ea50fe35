package asset

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/roje-ot/roje/rules"
)

// Where a link-layer address comes from.
const (
	byARP   = "arp"
	byFrame = "frame"
)

// maxOwned is how many IP addresses of one link-layer address are taken for one device. A router that answers ARP for
// others has more, and is not one device with them.
const maxOwned = 4

// arp notes whose link-layer address an IP address has, and joins the addresses of one device.
func (r *Registry) arp(e *rules.Event) {
	addr, mac := e.Flow.Client.Addr().Unmap(), e.Flow.ClientMAC
	if !addr.IsValid() || addr.IsUnspecified() || mac == (rules.MAC{}) || mac[0]&1 != 0 {
		return
	}
	var vlan uint16
	if e.Flow.NVLAN > 0 {
		vlan = e.Flow.VLANs[e.Flow.NVLAN-1]
	}
	d := r.byAddr[addr]
	if d == nil {
		if o := r.owner[mac]; o != nil && len(o.Addrs) < maxOwned {
			o.Addrs = append(o.Addrs, addr)
			r.byAddr[addr] = o
			o.change(e.At, "address", "", addr.String())
			r.mark(o)
			d = o
		} else if d = r.at(addr, e.At); d == nil {
			return
		}
	}
	if d.owns(mac) {
		d.heard(e.At)
		d.link(mac, byARP, e.At)
		return
	}
	if len(d.Addrs) > 1 && d.ownsAny() {
		d = r.detach(d, addr, mac, e.At)
		if d == nil {
			return
		}
	}
	d.heard(e.At)
	was := d.latestOwn()
	known := d.link(mac, byARP, e.At)
	if !known && was != "" {
		d.change(e.At, "mac", was, mac.String())
	}
	d.onVLAN(vlan)
	if r.owner[mac] == nil {
		r.owner[mac] = d
	}
	r.mark(d)
}

// detach makes an address that another link-layer address claims a device of its own.
func (r *Registry) detach(d *device, addr netip.Addr, mac rules.MAC, at int64) *device {
	split := r.make("ip "+addr.String(), at)
	if split == nil {
		return nil
	}
	d.Addrs = slices.DeleteFunc(d.Addrs, func(a netip.Addr) bool { return a == addr })
	d.change(at, "address", addr.String(), "")
	r.mark(d)
	split.Addrs = []netip.Addr{addr}
	split.change(at, "mac", d.latestOwn(), mac.String())
	r.byAddr[addr] = split
	clear(r.cache[:])
	return split
}

func (d *device) owns(mac rules.MAC) bool {
	for i := range d.MACs {
		if l := &d.MACs[i]; l.By == byARP && is(l.MAC, mac) {
			return true
		}
	}
	return false
}

func (d *device) ownsAny() bool { return d.latestOwn() != "" }

// latestOwn is the link-layer address that ARP gave last; "" if none did.
func (d *device) latestOwn() string {
	best, last := "", Time(0)
	for i := range d.MACs {
		if l := &d.MACs[i]; l.By == byARP && (best == "" || l.Last >= last) {
			best, last = l.MAC, l.Last
		}
	}
	return best
}

// is compares without allocating.
func is(text string, mac rules.MAC) bool {
	var b [17]byte
	return text == string(mac.Append(b[:0]))
}

// link notes a link-layer address and tells whether it was known by that way.
func (d *device) link(mac rules.MAC, by string, at int64) bool {
	for i := range d.MACs {
		l := &d.MACs[i]
		if !is(l.MAC, mac) {
			continue
		}
		l.Last = max(l.Last, Time(at))
		known := l.By == by || l.By == byARP
		if !known {
			l.By = by
		}
		return known
	}
	if len(d.MACs) < maxMACs {
		d.MACs = append(d.MACs, Link{MAC: mac.String(), By: by, Vendor: VendorOf(mac), First: Time(at), Last: Time(at)})
	}
	return false
}

// frame notes the link-layer address and the VLAN that a packet of d came with.
func (r *Registry) frame(d *device, mac rules.MAC, vlan uint16, at int64) {
	if mac != (rules.MAC{}) && mac[0]&1 == 0 && !d.link(mac, byFrame, at) {
		r.mark(d)
	}
	if d.onVLAN(vlan) {
		r.mark(d)
	}
}

// onVLAN notes a VLAN and tells whether it is new.
func (d *device) onVLAN(vlan uint16) bool {
	if vlan == 0 || slices.Contains(d.VLANs, vlan) || len(d.VLANs) >= maxVLANs {
		return false
	}
	d.VLANs = append(d.VLANs, vlan)
	return true
}

// routers counts the devices behind each link-layer address that only frames have shown.
func (r *Registry) routers() map[string]int {
	n := map[string]int{}
	for _, d := range r.byID {
		for i := range d.MACs {
			n[d.MACs[i].MAC]++
		}
	}
	return n
}

// finished is a copy for others: sorted, and with what follows from the rest. shared says how many devices have a
// link-layer address.
func (d *device) finished(shared map[string]int) *Asset {
	a := d.Asset
	a.Addrs, a.VLANs, a.Peers = slices.Clone(a.Addrs), slices.Clone(a.VLANs), slices.Clone(a.Peers)
	slices.SortFunc(a.Addrs, netip.Addr.Compare)
	slices.SortFunc(a.Peers, netip.Addr.Compare)
	slices.Sort(a.VLANs)
	a.MACs, a.Changes = slices.Clone(a.MACs), slices.Clone(a.Changes)
	slices.SortFunc(a.MACs, func(x, y Link) int { return strings.Compare(x.MAC, y.MAC) })
	a.Parts, a.Serves, a.Traffic = copies(a.Parts), copies(a.Serves), copies(a.Traffic)
	slices.SortFunc(a.Parts, comparePart)
	slices.SortFunc(a.Serves, compareService)
	a.Roles = d.roles.words(&d.Asset)
	a.Vendor, a.By = "unknown", ""
	for _, l := range a.MACs {
		if l.Vendor != "" && (l.By == byARP || shared[l.MAC] == 1) {
			a.Vendor, a.By = l.Vendor, "oui"
			break
		}
	}
	if len(a.Parts) == 1 && a.Parts[0].Ident != nil {
		a.Ident = a.Parts[0].Ident
		if a.Ident.Vendor != "" {
			a.Vendor, a.By = a.Ident.Vendor, a.Ident.By
		}
	}
	return &a
}

func copies[T any](list []*T) []*T {
	out := make([]*T, len(list))
	for i, p := range list {
		v := *p
		out[i] = &v
	}
	return out
}
