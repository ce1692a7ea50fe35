package simnet

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

const (
	arpLife  = time.Hour              // how long a neighbour is remembered
	arpTrip  = 300 * time.Microsecond // request to reply
	hop      = 150 * time.Microsecond // from a host to the tap, and from the tap to a host
	farHop   = 9 * time.Millisecond   // the same beyond a router
	tapDrift = 2 * time.Microsecond   // least distance of two frames of one connection
)

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Interception is a man in the middle between two hosts of a LAN: since Start, what the tap sees of their traffic is
// the leg between the interceptor and Victim. End is zero while it goes on.
type Interception struct {
	By, Victim, Peer *Host
	End              time.Time
}

// Intercept starts a man in the middle; set End on what it returns to stop it.
func (n *Net) Intercept(by, victim, peer *Host) *Interception {
	i := &Interception{By: by, Victim: victim, Peer: peer}
	n.middle = append(n.middle, i)
	return i
}

// macs says which addresses a frame from a to b carries at the tap, and over how many hosts it has come there.
func (n *Net) macs(a, b *Host) (src, dst net.HardwareAddr, over uint8) {
	src, dst = a.wireMAC(), b.wireMAC()
	for _, i := range n.middle {
		if !i.End.IsZero() && n.now.After(i.End) {
			continue
		}
		switch {
		case a == i.Peer && b == i.Victim:
			src, over = i.By.MAC, 1
		case a == i.Victim && b == i.Peer:
			dst = i.By.MAC
		}
	}
	return src, dst, over
}

func (h *Host) wireMAC() net.HardwareAddr {
	if h.Remote {
		return h.LAN.Router
	}
	return h.MAC
}

// delay is the way from h to the tap.
func (h *Host) delay() time.Duration {
	if h.Remote {
		return farHop
	}
	return hop
}

// link makes the Ethernet header, with a VLAN tag if the LAN has one.
func (h *Host) link(src, dst net.HardwareAddr, kind layers.EthernetType) []gopacket.SerializableLayer {
	eth := &layers.Ethernet{SrcMAC: src, DstMAC: dst, EthernetType: kind}
	if h.LAN.VLAN == 0 {
		return []gopacket.SerializableLayer{eth}
	}
	eth.EthernetType = layers.EthernetTypeDot1Q
	return []gopacket.SerializableLayer{eth, &layers.Dot1Q{VLANIdentifier: h.LAN.VLAN, Type: kind}}
}

// serialize makes the bytes of a frame. It can fail only for a header that this package filled in wrongly.
func serialize(parts ...gopacket.SerializableLayer) []byte {
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, parts...); err != nil {
		panic(fmt.Sprintf("simnet: serialize a frame: %v", err))
	}
	return append([]byte(nil), buf.Bytes()...)
}

// record shows a frame to the tap at t.
func (n *Net) record(t time.Time, frame []byte) {
	n.at(t, func() { n.tap(n.now, frame) })
}

// arp makes one ARP frame from h: op is 1 for a request, 2 for a reply.
func (h *Host) arp(op uint16, dst net.HardwareAddr, senderIP netip.Addr, targetMAC net.HardwareAddr, targetIP netip.Addr) []byte {
	return serialize(append(h.link(h.MAC, dst, layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: op, SourceHwAddress: h.MAC, SourceProtAddress: senderIP.AsSlice(),
		DstHwAddress: targetMAC, DstProtAddress: targetIP.AsSlice(),
	})...)
}

// resolve asks for peer's MAC where h does not know it, and returns how long that holds a packet up.
func (h *Host) resolve(peer *Host, asked netip.Addr) time.Duration {
	n := h.net
	if seen, ok := h.neighbour[asked]; ok && n.now.Sub(seen) < arpLife || h.Remote || peer != nil && peer.Remote {
		return 0
	}
	n.record(n.now.Add(hop), h.arp(1, broadcast, h.Addr, make(net.HardwareAddr, 6), asked))
	if peer == nil {
		return arpTrip
	}
	h.neighbour[asked] = n.now
	n.record(n.now.Add(hop+arpTrip), peer.arp(2, h.MAC, peer.Addr, h.MAC, h.Addr))
	return 2*hop + arpTrip
}

// Announce sends a forged or gratuitous ARP reply: "claimed is at my MAC", to one host or, with nil, to all.
func (h *Host) Announce(claimed netip.Addr, to *Host) {
	dst, target := broadcast, claimed
	if to != nil {
		dst, target = to.MAC, to.Addr
	}
	h.net.record(h.net.now.Add(hop), h.arp(2, dst, claimed, dst, target))
}

// Ask sends an ARP request for an address, whether or not h knows it; who has it answers.
func (h *Host) Ask(addr netip.Addr) {
	n := h.net
	n.record(n.now.Add(hop), h.arp(1, broadcast, h.Addr, make(net.HardwareAddr, 6), addr))
	if peer := n.hosts[addr]; peer != nil {
		n.record(n.now.Add(hop+arpTrip), peer.arp(2, h.MAC, peer.Addr, h.MAC, h.Addr))
	}
}

// ip makes the headers of a packet from h to the host or address it goes to.
func (h *Host) ip(to netip.Addr, proto layers.IPProtocol) ([]gopacket.SerializableLayer, *layers.IPv4) {
	h.ipID++
	peer := h.net.hosts[to]
	src, dst, over := h.wireMAC(), h.LAN.Router, uint8(0)
	if peer != nil {
		src, dst, over = h.net.macs(h, peer)
	}
	ip := &layers.IPv4{
		Version: 4, Id: h.ipID, Flags: layers.IPv4DontFragment, TTL: h.TTL - over, Protocol: proto,
		SrcIP: h.Addr.AsSlice(), DstIP: to.AsSlice(),
	}
	return append(h.link(src, dst, layers.EthernetTypeIPv4), ip), ip
}
