package simnet

import (
	"net"

	"github.com/gopacket/gopacket/layers"
)

// ForgeEnd sends, from h's MAC, an RST as if an end of a connection of this network gave the connection up. It lies outside
// the window of the other end, which goes on (RFC 9293 3.10.7.4).
func (h *Host) ForgeEnd(end net.Conn) {
	c := end.(*conn)
	to := c.sock.peer
	h.ipID++
	ip := &layers.IPv4{Version: 4, Id: h.ipID, TTL: h.TTL, Protocol: layers.IPProtocolTCP, SrcIP: c.host.Addr.AsSlice(), DstIP: to.Addr().AsSlice()}
	t := &layers.TCP{SrcPort: layers.TCPPort(c.sock.local), DstPort: layers.TCPPort(to.Port()), Seq: c.tcp.next - 2*window, RST: true}
	if err := t.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err) // ip is IPv4 by construction
	}
	h.net.record(h.net.now.Add(hop), serialize(append(h.link(h.MAC, c.peer.MAC, layers.EthernetTypeIPv4), ip, t)...))
}
