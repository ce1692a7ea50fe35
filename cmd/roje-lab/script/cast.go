package script

import (
	"net"
	"net/netip"
	"time"
)

// Part is one host of the cast.
type Part struct {
	Name   string
	Addr   string
	MAC    byte // last octet of 00:00:5e:00:53:xx
	Site   int  // 0 substation, 1 telecom site
	Remote bool
	Think  time.Duration
	TTL    uint8
}

// Cast is everybody.
var Cast = []Part{
	{Name: "scada-a", Addr: "10.10.1.10", MAC: 0x10, Think: 400 * time.Microsecond},
	{Name: "scada-b", Addr: "10.10.1.11", MAC: 0x11, Think: 400 * time.Microsecond},
	{Name: "gateway", Addr: "10.10.1.20", MAC: 0x20, Think: 2 * time.Millisecond},
	{Name: "eng-laptop", Addr: "10.10.1.50", MAC: 0x50, Think: time.Millisecond, TTL: 128},
	{Name: "rogue", Addr: "10.10.1.66", MAC: 0x66, Think: 200 * time.Microsecond},
	{Name: "rtu-1", Addr: "10.10.1.101", MAC: 0xa1, Think: 12 * time.Millisecond},
	{Name: "rtu-2", Addr: "10.10.1.102", MAC: 0xa2, Think: 15 * time.Millisecond},
	{Name: "rtu-3", Addr: "10.10.1.103", MAC: 0xa3, Think: 9 * time.Millisecond},
	{Name: "rtu-4", Addr: "10.10.1.104", MAC: 0xa4, Think: 22 * time.Millisecond},
	{Name: "rtu-5", Addr: "10.10.1.105", MAC: 0xa5, Think: 30 * time.Millisecond},

	{Name: "site-ctl", Addr: "10.20.5.10", MAC: 0x30, Site: 1, Think: time.Millisecond},
	{Name: "rect-1", Addr: "10.20.5.31", MAC: 0x31, Site: 1, Think: 8 * time.Millisecond},
	{Name: "rect-2", Addr: "10.20.5.32", MAC: 0x32, Site: 1, Think: 8 * time.Millisecond},
	{Name: "genset", Addr: "10.20.5.41", MAC: 0x41, Site: 1, Think: 18 * time.Millisecond},
	{Name: "cooling", Addr: "10.20.5.51", MAC: 0x51, Site: 1, Think: 11 * time.Millisecond},
	{Name: "battery", Addr: "10.20.5.61", MAC: 0x61, Site: 1, Think: 45 * time.Millisecond},
	{Name: "site-rtu", Addr: "10.20.5.71", MAC: 0x71, Site: 1, Think: 10 * time.Millisecond},
	{Name: "visitor", Addr: "10.20.5.66", MAC: 0x67, Site: 1, Think: 300 * time.Microsecond, TTL: 128},
	{Name: "noc", Addr: "10.200.0.10", Site: 1, Remote: true, Think: time.Millisecond, TTL: 61},
	{Name: "outsider", Addr: "203.0.113.66", Site: 1, Remote: true, Think: time.Millisecond, TTL: 49},
}

// addr is the address of a part.
func addr(name string) netip.Addr {
	for _, p := range Cast {
		if p.Name == name {
			return netip.MustParseAddr(p.Addr)
		}
	}
	panic("script: nobody is called " + name)
}

// MAC is the hardware address of a part; one behind a router has none of its own in a capture.
func MAC(p Part) net.HardwareAddr {
	if p.MAC == 0 {
		return mac(0xf0 + p.Addr[len(p.Addr)-1]%16)
	}
	return mac(p.MAC)
}

// mac is an address from the range for documentation (RFC 7042 §2.1.2).
func mac(last byte) net.HardwareAddr { return net.HardwareAddr{0x00, 0x00, 0x5e, 0x00, 0x53, last} }
