package netlab

import (
	"context"
	"net"

	"github.com/roje-ot/roje/cmd/roje-lab/script"
)

const unprivileged = 10000 // added to ports below 1024, which need rights

// Loopback makes the cast on loopback addresses: 10.10.1.101 is 127.10.1.101, and port 502 is 10502.
func Loopback(ctx context.Context) *World {
	w := newWorld(ctx)
	place := func(ip net.IP, port int) (net.IP, int) {
		if port < 1024 {
			port += unprivileged
		}
		v4 := ip.To4()
		return net.IPv4(127, v4[1], v4[2], v4[3]), port
	}
	for _, p := range script.Cast {
		at, _ := place(net.ParseIP(p.Addr), 0)
		w.hosts[p.Name] = &host{world: w, addr: at, place: place, inside: func(f func() error) error { return f() }}
	}
	return w
}
