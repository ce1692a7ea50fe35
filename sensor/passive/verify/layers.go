package verify

import (
	"errors"
	"slices"

	"github.com/roje-ot/roje/sensor/passive"
)

// A layer is a column: what is put around the port, and what that must stop.
type layer struct {
	name   string
	sealed bool // the sender is a sealed process with an open ring
	apply  func(port string) (*around, error)
	stops  func(*sender) bool
}

// around is a layer that stands.
type around struct {
	undo  func() error
	tried func() (uint64, error) // frames that it has dropped so far; nil where it does not count
}

var (
	pastQueues = []string{"packet socket past the queues", "XDP socket", "XDP redirect into the port"}
	pastNFT    = []string{"XDP socket", "XDP redirect into the port"}
	// untidy is what hygiene ends. Of IGMP it ends only the joins of a process that names the interface by its address or
	// leaves it to the routes, of which none is left (ENODEV). One that names it by its index is served: the kernel asks
	// neither for an address nor for IFF_MULTICAST before it reports the membership, from 0.0.0.0. TestJoin has both. The
	// layers at the egress drop the report.
	untidy = []string{"ARP, for an address of the port's network", "IPv6, a ping to all nodes"}
)

func allBut(names []string) func(*sender) bool {
	return func(s *sender) bool { return !slices.Contains(names, s.name) }
}

func everything(*sender) bool { return true }

var layers = []layer{
	{"nothing", false, nil, func(*sender) bool { return false }},
	{"TCX egress", false, dropEgress(false), allBut(pastQueues)},
	{"clsact egress", false, dropEgress(true), allBut(pastQueues)},
	{"nftables", false, dropNFT, allBut(pastNFT)},
	{"hygiene", false, clean, func(s *sender) bool { return slices.Contains(untidy, s.name) }},
	{"sealed process", true, nil, func(s *sender) bool { return !s.kernel }},
	{"all of them", true, all, everything},
	{"all, another process", false, all, allBut(pastNFT)},
	{"diode", false, nil, everything},
}

func dropEgress(clsact bool) func(string) (*around, error) {
	return func(port string) (*around, error) {
		e, err := passive.DropEgress(port, clsact)
		if err != nil {
			return nil, err
		}
		return &around{e.Close, func() (uint64, error) { n, _, err := e.Tried(); return n, err }}, nil
	}
}

func dropNFT(port string) (*around, error) {
	n, err := passive.DropNFT(port)
	if err != nil {
		return nil, err
	}
	return &around{n.Close, n.Counted}, nil
}

func clean(port string) (*around, error) {
	h, err := passive.Clean(port)
	if err != nil {
		return nil, err
	}
	return &around{undo: h.Close}, nil
}

func all(port string) (*around, error) {
	var parts []*around
	for _, apply := range []func(string) (*around, error){clean, dropEgress(false), dropNFT} {
		a, err := apply(port)
		if err != nil {
			return nil, err
		}
		parts = append(parts, a)
	}
	return &around{
		undo: func() error {
			var errs []error
			for _, a := range slices.Backward(parts) {
				errs = append(errs, a.undo())
			}
			return errors.Join(errs...)
		},
		tried: func() (sum uint64, err error) {
			for _, a := range parts {
				if a.tried != nil {
					n, e := a.tried()
					sum, err = sum+n, errors.Join(err, e)
				}
			}
			return sum, err
		},
	}, nil
}
