package collector

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"

	"github.com/roje-ot/roje/collector/pki"
)

// listen opens a listener, and says how to help it where it cannot.
func listen(what, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: address %s is taken; stop what uses it, or choose another with --%s", what, address, what)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: address %s needs rights that this process does not have; choose a port above 1023 with --%s", what, address, what)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return l, nil
}

// isLoopback says whether a listener can be reached from this machine only.
func isLoopback(l net.Listener) bool {
	tcp, ok := l.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// anywhere says whether a listener takes connections at every address of the machine.
func anywhere(l net.Listener) bool {
	tcp, ok := l.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsUnspecified()
}

// hostNames is what the collector's own certificates are made for: the names that were given, the hosts of the
// listeners, and the machine.
func hostNames(cfg Config, listeners ...net.Listener) []string {
	names := append(slices.Clone(cfg.Console.Names), cfg.Ingest.Names...)
	for _, l := range listeners {
		if host, _, err := net.SplitHostPort(l.Addr().String()); err == nil && !anywhere(l) {
			names = append(names, host)
		}
	}
	for _, address := range []string{cfg.Console.Address, cfg.Ingest.Address} {
		if host, _, err := net.SplitHostPort(address); err == nil && net.ParseIP(host) == nil {
			names = append(names, host)
		}
	}
	names = append(names, machine(), "localhost", "127.0.0.1", "::1")
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// machine is the machine's name, "" if it has none.
func machine() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// reached is the address at which others reach a listener: its first name, or the host it listens at, or the machine's
// name where it listens everywhere.
func reached(cfg Listen, l net.Listener) string {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return l.Addr().String()
	}
	switch {
	case len(cfg.Names) > 0:
		host = cfg.Names[0]
	case anywhere(l) && machine() != "":
		host = machine()
	}
	return net.JoinHostPort(host, port)
}

// consoleTLS is how the console's listener speaks: by the certificate it was given; by one of the collector's own CA off
// loopback; nil, in the clear, on loopback.
func consoleTLS(cfg Listen, l net.Listener, ca *pki.CA, hosts []string) (*tls.Config, error) {
	if cfg.Cert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.Cert, cfg.Key)
		if err != nil {
			return nil, fmt.Errorf("console: certificate: %w", err)
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
	}
	if isLoopback(l) {
		return nil, nil
	}
	secure := ca.Server(hosts...)
	secure.MinVersion, secure.ClientAuth = tls.VersionTLS12, tls.NoClientCert // people come with a password, from any client
	return secure, nil
}

func consoleURL(cfg Listen, l net.Listener, secure bool) string {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return scheme + "://" + reached(cfg, l) + "/"
}
