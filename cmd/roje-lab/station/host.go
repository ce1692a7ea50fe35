package station

import "net"

// Host is the world of a station: a clock, and a network stack with one address. simnet.Host is one in virtual time;
// netlab has one over the kernel's sockets.
type Host interface {
	Clock
	Dial(network, address string) (net.Conn, error)
	Listen(network, address string) (net.Listener, error)
	Go(f func())
}

// Serve accepts on port ":port" of a host and gives each connection its own goroutine, until the listener is closed.
func Serve(h Host, network, port string, serve func(net.Conn) error) (net.Listener, error) {
	l, err := h.Listen(network, port)
	if err != nil {
		return nil, err
	}
	h.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			h.Go(func() { _ = serve(conn) }) // a peer that goes is no news
		}
	})
	return l, nil
}
