package flow

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/capture"
)

// key4 and key6 tell connections apart, with the lesser end first, so that both directions have the same key.
type key4 struct {
	a, b   uint32 // as numbers, the most significant octet first
	pa, pb uint16
	kind   uint32 // VXLAN network identifier, transport
}

type key6 struct {
	a, b   [16]byte
	pa, pb uint16
	kind   uint32
}

// key is either.
type key struct {
	v6 key6
	v4 key4
	is bool // v6
}

// list holds connections of one kind, the longest idle first.
type list struct {
	first, last *Conn
	n           int
}

type lists struct {
	strays list // half open, ended, or not worth much yet
	tcp    list
	udp    list
}

func (l *lists) all() [3]*list { return [3]*list{&l.strays, &l.tcp, &l.udp} }

func (l *list) remove(c *Conn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.prev, c.next, c.list = nil, nil, nil
	l.n--
}

func (l *list) push(c *Conn) {
	c.prev, c.list = l.last, l
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
	l.n++
}

// move puts c at the young end of l.
func (l *list) move(c *Conn) {
	if c.list == l && l.last == c {
		return
	}
	if c.list != nil {
		c.list.remove(c)
	}
	l.push(c)
}

// packet reads the layers of p and hands on what they carry.
func (t *Table) packet(p *capture.Packet) Bucket {
	v := &t.view
	t.frags.release()
	v.info = PacketInfo{} // in place; a literal would be built elsewhere and copied
	v.info.At, v.info.Frame, v.info.Iface, v.info.Link = p.At, p.Frame, p.Iface, p.Link
	v.info.Len, v.info.Wire = len(p.Data), max(p.OrigLen, len(p.Data))
	v.missing, v.depth, v.vni, v.ipid, v.reassembly = 0, 0, 0, 0, false
	if p.HasVLAN {
		v.info.Tags.add(p.VLAN)
	}
	bucket := t.link(v, p.Link, p.Data)
	if bucket != carry {
		return bucket
	}
	c, dir := t.find(v)
	v.info.Dir = dir
	if c.Transport == TCP {
		return t.segment(c, dir, v)
	}
	t.touch(c, dir, v)
	return t.datagram(c, dir, v)
}

// touch notes what every packet says about its connection.
func (t *Table) touch(c *Conn, dir protocols.Dir, v *view) {
	c.Count.Packets++
	c.Last = v.info.At
	if v.info.HasMAC {
		c.MACs[dir] = v.info.MACs[0]
		if v.info.MACs[1] != (MAC{}) {
			c.MACs[dir.Other()] = v.info.MACs[1]
		}
	}
	c.Tags[dir] = v.info.Tags
	if c.TTLs[dir] == 0 && len(v.payload) > 0 {
		c.TTLs[dir], c.Senders[dir] = v.info.TTL, v.info.MACs[0]
	}
	c.list.move(c)
}

// find returns the connection of a packet, made if need be, and the end that sent it.
func (t *Table) find(v *view) (*Conn, protocols.Dir) {
	kind := v.vni<<8 | uint32(v.proto)
	if !v.v6 {
		a, b := binary.BigEndian.Uint32(v.src[:]), binary.BigEndian.Uint32(v.dst[:])
		k := key4{a: a, b: b, pa: v.sport, pb: v.dport, kind: kind}
		swapped := a > b || a == b && v.sport > v.dport
		if swapped {
			k = key4{a: b, b: a, pa: v.dport, pb: v.sport, kind: kind}
		}
		c := t.recent
		if c == nil || c.table.is || c.table.v4 != k {
			if c = t.conns4[k]; c == nil {
				c = t.make(v, swapped)
				c.table = key{v4: k}
				t.conns4[k] = c
			}
			t.recent = c
		}
		return c, c.dir(swapped)
	}
	k := key6{a: v.src, b: v.dst, pa: v.sport, pb: v.dport, kind: kind}
	swapped := false
	if order := bytes.Compare(k.a[:], k.b[:]); order > 0 || order == 0 && k.pa > k.pb {
		k.a, k.b, k.pa, k.pb, swapped = k.b, k.a, k.pb, k.pa, true
	}
	c := t.recent
	if c == nil || !c.table.is || c.table.v6 != k {
		if c = t.conns6[k]; c == nil {
			c = t.make(v, swapped)
			c.table = key{v6: k, is: true}
			t.conns6[k] = c
		}
		t.recent = c
	}
	return c, c.dir(swapped)
}

// dir is the end that sent a packet whose key was, or was not, swapped.
func (c *Conn) dir(swapped bool) protocols.Dir {
	if swapped != c.swapped {
		return 1
	}
	return 0
}

// make makes the connection of a packet that belongs to none. The server is end 1 where it is known.
func (t *Table) make(v *view, swapped bool) *Conn {
	t.room()
	var c *Conn
	if n := len(t.spare); n > 0 {
		c, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		c = &Conn{}
	}
	t.lastID++
	t.cover.Connections++
	*c = Conn{ID: t.lastID, Transport: Transport(v.proto), First: v.info.At, Last: v.info.At, VNI: v.vni}
	from, to := netip.AddrPortFrom(v.address(&v.src), v.sport), netip.AddrPortFrom(v.address(&v.dst), v.dport)
	proto, server, known := t.guess(v)
	c.ServerKnown = known
	c.swapped = swapped
	c.Ends = [2]netip.AddrPort{from, to}
	c.Server = 1
	if known && server == 0 { // the sender is the server
		c.Ends = [2]netip.AddrPort{to, from}
		c.swapped = !swapped
	}
	if proto != nil {
		t.adopt(c, proto, v.proto == protoTCP && v.info.Flags&(SYN|ACK|RST) == SYN)
	}
	t.lists.strays.push(c)
	return c
}

func (v *view) address(a *[16]byte) netip.Addr {
	if v.v6 {
		return netip.AddrFrom16(*a)
	}
	return netip.AddrFrom4([4]byte(a[:4]))
}

// guess looks at ports and flags: which protocol is registered, and whether the sender (0) or the receiver (1) of the
// packet is the server. A registered port weighs more than who called whom.
func (t *Table) guess(v *view) (proto *protocols.Protocol, server protocols.Dir, known bool) {
	ports := &t.ports[0]
	if v.proto == protoUDP {
		ports = &t.ports[1]
	}
	from, to := ports[v.sport], ports[v.dport]
	at := to
	switch {
	case to != 0 && from == 0:
		server, known = 1, true
	case from != 0 && to == 0:
		at, server, known = from, 0, true
	case v.proto == protoTCP && v.info.Flags&(SYN|RST) == SYN: // both or none: the one that was called
		server, known = 1, true
		if v.info.Flags&ACK != 0 {
			at, server = from, 0
		}
	}
	if at != 0 {
		proto = t.config.Protocols[at-1]
	}
	return proto, server, known
}

// adopt makes p's decoder the one of c. start says that c was seen from its first packet.
func (t *Table) adopt(c *Conn, p *protocols.Protocol, start bool) {
	if p.New == nil {
		return
	}
	t.leave(c)
	c.Proto, c.state = p, decoding
	c.dec = p.New(protocols.Hint{Server: c.Server, Known: c.ServerKnown, Start: start, Datagram: c.Transport == UDP, Kin: t.join(c)})
}

// promote moves c from the strays to the connections that a flood must not push out.
func (t *Table) promote(c *Conn) {
	if c.list != &t.lists.strays {
		return
	}
	if c.Transport == TCP {
		t.lists.tcp.move(c)
	} else {
		t.lists.udp.move(c)
	}
}

// room makes room for one more connection.
func (t *Table) room() {
	l := &t.lists
	for l.strays.n >= t.config.MaxStrays {
		t.close(l.strays.first, Evicted)
	}
	for l.tcp.n+l.udp.n >= t.config.MaxConns {
		t.close(l.eldest(), Evicted)
	}
}

// fit frees memory, if the buffers hold too much, by closing the connections that were idle longest.
func (t *Table) fit() {
	for t.held > t.config.MaxBytes {
		c := t.lists.strays.first
		if c == nil {
			if c = t.lists.eldest(); c == nil {
				return
			}
		}
		t.close(c, Evicted)
	}
}

// eldest is the connection, other than a stray, that was idle longest.
func (l *lists) eldest() *Conn {
	c, u := l.tcp.first, l.udp.first
	if c == nil || u != nil && u.Last < c.Last {
		return u
	}
	return c
}

// sweep closes up to n idle connections of each list, and gives up what was waited for too long.
func (t *Table) sweep(now int64, n int) {
	t.closeIdle(&t.lists.strays, now-int64(t.config.StrayIdle), n)
	t.closeIdle(&t.lists.tcp, now-int64(t.config.TCPIdle), n)
	t.closeIdle(&t.lists.udp, now-int64(t.config.UDPIdle), n)
	for left := n; left > 0 && t.holes != nil && now-t.holes.waitingSince() > int64(t.config.HoleTimeout); left-- {
		c := t.holes
		t.giveUpLate(c, now)
	}
}

// closeIdle closes up to n connections of l that had no packet since then.
func (t *Table) closeIdle(l *list, since int64, n int) {
	for ; n > 0 && l.first != nil && l.first.Last < since; n-- {
		why := Idle
		if l.first.edges&(1<<Finished|1<<Reset|1<<Refused) != 0 {
			why = Ended
		}
		t.close(l.first, why)
	}
}

// close delivers what is left of c, says goodbye, and forgets it.
func (t *Table) close(c *Conn, why Reason) {
	t.finish(c)
	if why == Evicted {
		t.cover.Evicted++
	}
	t.cover.Total.add(&c.Count)
	sum := t.cover.Protocols[c.Name()]
	sum.add(&c.Count)
	t.cover.Protocols[c.Name()] = sum
	t.handler.Closed(c, why)
	c.list.remove(c)
	if c.table.is {
		delete(t.conns6, c.table.v6)
	} else {
		delete(t.conns4, c.table.v4)
	}
	if t.recent == c {
		t.recent = nil
	}
	t.free(c)
	if len(t.spare) < 1024 {
		t.spare = append(t.spare, c)
	}
}
