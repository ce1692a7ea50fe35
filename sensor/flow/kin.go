package flow

import (
	"net/netip"

	"github.com/roje-ot/roje/protocols"
)

// kinKey says which TCP connections are kin: those between two hosts, the lesser first, in one network, to one port.
type kinKey struct {
	proto *protocols.Protocol
	a, b  netip.Addr
	port  uint16 // the server's; 0 where it is not known which end that is
	vni   uint32
}

// kin is shared by the connections of one key, and forgotten with the last.
type kin struct {
	protocols.Kin
	key  kinKey
	refs int
}

// join makes c, whose protocol is known, one of its kin.
func (t *Table) join(c *Conn) *protocols.Kin {
	if c.Transport != TCP {
		return nil
	}
	k := kinKey{proto: c.Proto, a: c.Ends[0].Addr(), b: c.Ends[1].Addr(), vni: c.VNI}
	if k.b.Less(k.a) {
		k.a, k.b = k.b, k.a
	}
	if c.ServerKnown {
		k.port = c.Ends[c.Server].Port()
	}
	n := t.kins[k]
	if n == nil {
		n = &kin{key: k}
		t.kins[k] = n
	}
	n.refs++
	n.Conns++
	c.kin = n
	return &n.Kin
}

// part notes that c has ended on the wire. Its kin stay until it is forgotten.
func (t *Table) part(c *Conn) {
	if c.kin == nil || c.parted {
		return
	}
	c.parted = true
	c.kin.Conns--
	if d, ok := c.dec.(protocols.Ender); ok {
		d.Ended()
	}
}

// leave takes c from its kin.
func (t *Table) leave(c *Conn) {
	if c.kin == nil {
		return
	}
	t.part(c)
	if c.kin.refs--; c.kin.refs == 0 {
		delete(t.kins, c.kin.key)
	}
	c.kin, c.parted = nil, false
}
