package simnet

import (
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// sendDatagram sends p as one datagram.
func (c *conn) sendDatagram(p []byte) {
	data := append([]byte(nil), p...)
	c.depart(c.host.think(), func() {
		hold := c.host.resolve(c.peer, c.sock.peer.Addr())
		headers, ip := c.host.ip(c.sock.peer.Addr(), layers.IPProtocolUDP)
		u := &layers.UDP{SrcPort: layers.UDPPort(c.sock.local), DstPort: layers.UDPPort(c.sock.peer.Port())}
		if err := u.SetNetworkLayerForChecksum(ip); err != nil {
			panic(err) // ip is IPv4 by construction
		}
		from := c.local()
		frame := serialize(append(headers, u, gopacket.Payload(data))...)
		c.carry(frame, frame, hold, func() {
			c.peer.arriveDatagram(c.sock.peer.Port(), from, data)
		})
	})
}

// arriveDatagram gives a datagram to its exchange, or makes one where somebody listens.
func (h *Host) arriveDatagram(port uint16, from netip.AddrPort, data []byte) {
	c := h.conns[socket{port, from, true}]
	if c == nil {
		l := h.udp[port]
		if l == nil {
			return
		}
		c = h.open(port, from, true)
		l.offer(c)
	}
	c.inbox = append(c.inbox, data)
	c.wake()
}
