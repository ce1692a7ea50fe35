package asset

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// maxAssets bounds the table. Where it is full, a sixteenth of those that serve no control protocol and were not heard
// for longest make room; where there are none, new devices are only counted in Overflow.
const maxAssets = 4096

// A Registry is the account of all devices. One goroutine uses it. Make it with New or Open.
type Registry struct {
	Overflow uint64 // devices that found no room

	byID    map[string]*device
	byAddr  map[netip.Addr]*device
	owner   map[rules.MAC]*device // of link-layer addresses that ARP has shown to be a device's own
	path    string
	changed bool  // something but counts and times has changed since the last save
	saved   int64 // packet time of the last save
	last    int64
	cache   [256]talk
}

// A device is an Asset in the making.
type device struct {
	Asset
	fresh bool // changed since it was last handed out by Changed
	roles role
}

// A talk is who a connection is between, so that most messages cost no look-up.
type talk struct {
	client, server       netip.AddrPort
	clientMAC, serverMAC rules.MAC
	vlan                 uint16
	proto                *protocols.Protocol
	from, to             *device
	service              *Service // nil until the server has answered
	part                 *Part    // that spoke last
}

// New makes an empty registry that is kept in memory alone.
func New() *Registry {
	return &Registry{byID: map[string]*device{}, byAddr: map[netip.Addr]*device{}, owner: map[rules.MAC]*device{}}
}

// Take notes what an event says of devices. It keeps nothing of e and allocates nothing for traffic that is known.
func (r *Registry) Take(e *rules.Event) {
	r.last = max(r.last, e.At)
	switch {
	case e.What == rules.Message && e.Msg != nil && e.Msg.Proto != nil && e.Msg.Faults == 0:
		r.message(e)
	case e.What == rules.ARP:
		r.arp(e)
	case e.What == rules.Connection && e.Flow.Outcome == rules.Accepted:
		r.talk(e, nil)
	}
}

func (r *Registry) message(e *rules.Event) {
	t := r.talk(e, e.Msg.Proto)
	if t.from == nil || t.to == nil {
		return
	}
	r.role(t, e.Msg, e.At)
	if e.Msg.From == protocols.Client {
		return
	}
	if t.service == nil {
		t.service = r.service(t.to, e)
	}
	if t.service != nil {
		t.service.Last = max(t.service.Last, Time(e.At))
	}
	if e.Msg.HasStation && e.Msg.HasCode && e.Msg.Status == 0 {
		if p := t.part; p == nil || p.Station != e.Msg.Station {
			t.part = r.part(t.to, e)
		}
		if t.part != nil {
			t.part.Last = max(t.part.Last, Time(e.At))
			r.identify(t.to, t.part, e)
		}
	}
}

// talk returns the two devices of e, made if need be. proto is nil for a connection that nothing was said on.
func (r *Registry) talk(e *rules.Event, proto *protocols.Protocol) *talk {
	f := &e.Flow
	var vlan uint16
	if f.NVLAN > 0 {
		vlan = f.VLANs[f.NVLAN-1]
	}
	t := &r.cache[f.Conn%uint64(len(r.cache))]
	if t.client != f.Client || t.server != f.Server || t.proto != proto || t.clientMAC != f.ClientMAC || t.serverMAC != f.ServerMAC || t.vlan != vlan || t.from == nil || t.to == nil {
		*t = talk{client: f.Client, server: f.Server, clientMAC: f.ClientMAC, serverMAC: f.ServerMAC, vlan: vlan, proto: proto,
			from: r.at(f.Client.Addr(), e.At), to: r.at(f.Server.Addr(), e.At)}
		if t.from == nil || t.to == nil {
			return t
		}
		r.frame(t.from, f.ClientMAC, vlan, e.At)
		r.frame(t.to, f.ServerMAC, vlan, e.At)
		if proto != nil {
			r.peer(t.from, f.Server.Addr())
			r.peer(t.to, f.Client.Addr())
		}
	}
	t.from.heard(e.At)
	t.to.heard(e.At)
	return t
}

func (d *device) heard(at int64) {
	d.First, d.Last = min(d.First, Time(at)), max(d.Last, Time(at))
}

// at returns the device of an IP address, made if need be; nil if there is no room or the address is nobody's.
func (r *Registry) at(addr netip.Addr, now int64) *device {
	addr = addr.Unmap()
	if d := r.byAddr[addr]; d != nil {
		return d
	}
	if !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() || addr == broadcast {
		return nil
	}
	d := r.make("ip "+addr.String(), now)
	if d != nil {
		d.Addrs = []netip.Addr{addr}
		r.byAddr[addr] = d
	}
	return d
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// make adds a device; seed is the address that was heard first.
func (r *Registry) make(seed string, now int64) *device {
	if len(r.byID) >= maxAssets && !r.evict() {
		r.Overflow++
		return nil
	}
	sum := sha256.Sum256([]byte(seed))
	id := "a" + hex.EncodeToString(sum[:6])
	for r.byID[id] != nil { // an address that left another device, whose name is made of it
		sum = sha256.Sum256(sum[:])
		id = "a" + hex.EncodeToString(sum[:6])
	}
	d := &device{Asset: Asset{ID: id, First: Time(now), Last: Time(now)}}
	r.byID[id] = d
	r.mark(d)
	return d
}

// mark notes that more than counts and times of d has changed.
func (r *Registry) mark(d *device) { d.fresh, r.changed = true, true }

// evict forgets devices that serve no control protocol; false if there are none.
func (r *Registry) evict() bool {
	var idle []*device
	for _, d := range r.byID {
		if len(d.Parts) == 0 && d.roles == 0 {
			idle = append(idle, d)
		}
	}
	slices.SortFunc(idle, func(a, b *device) int { return cmp.Or(cmp.Compare(a.Last, b.Last), cmp.Compare(a.ID, b.ID)) })
	for _, d := range idle[:min(len(idle), maxAssets/16)] {
		delete(r.byID, d.ID)
		for _, a := range d.Addrs {
			delete(r.byAddr, a)
		}
		for mac, o := range r.owner {
			if o == d {
				delete(r.owner, mac)
			}
		}
	}
	clear(r.cache[:])
	return len(idle) > 0
}

// Assets returns every device, sorted by its first address. What it returns is the caller's.
func (r *Registry) Assets() []*Asset {
	shared := r.routers()
	all := make([]*Asset, 0, len(r.byID))
	for _, d := range r.byID {
		all = append(all, d.finished(shared))
	}
	sortAssets(all)
	return all
}

// Changed returns the devices of which something but counts and times has changed since the last call, sorted.
func (r *Registry) Changed() []*Asset {
	var all []*Asset
	var shared map[string]int
	for _, d := range r.byID {
		if !d.fresh {
			continue
		}
		if shared == nil {
			shared = r.routers()
		}
		d.fresh = false
		all = append(all, d.finished(shared))
	}
	sortAssets(all)
	return all
}

func sortAssets(all []*Asset) {
	slices.SortFunc(all, func(a, b *Asset) int {
		var x, y netip.Addr
		if len(a.Addrs) > 0 {
			x = a.Addrs[0]
		}
		if len(b.Addrs) > 0 {
			y = b.Addrs[0]
		}
		return cmp.Or(x.Compare(y), cmp.Compare(a.ID, b.ID))
	})
}
