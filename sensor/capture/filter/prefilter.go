package filter

import (
	"errors"
	"fmt"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/roje-ot/roje/sensor/capture/offload"
)

//go:generate go tool bpf2go -cc clang -cflags "-O2 -g -Wall -Werror" -no-global-types -target bpfel prefilter prefilter.bpf.c -- -I/usr/include/x86_64-linux-gnu

// A Prefilter is a Filter's forerunner in an interface's driver (native XDP), for links so fast that to make packets of
// frames that nobody wants is what costs most. It drops what the filter would not keep, and counts it where the filter
// would have: with it and without, all counts are the same, but for Early. It can neither change nor send a frame.
//
// What it drops the host itself does not get either. An interface that carries traffic of the host must not have one.
type Prefilter struct {
	objs prefilterObjects
	link link.Link
	undo func() error // puts the offloads back
}

// ErrHost says that an interface carries traffic of the host.
var ErrHost = errors.New("it carries the host's own traffic, which must not be dropped")

// Prefilter attaches the filter's forerunner to an interface. It needs CAP_NET_ADMIN and CAP_BPF, a kernel from 5.18 on, and a
// driver with native XDP; where one is missing the filter works alone, as before. Tags must come in the data, so that
// the driver's taking them out is switched off until Close.
func (f *Filter) Prefilter(iface string) (*Prefilter, error) {
	p := &Prefilter{undo: func() error { return nil }}
	if err := p.attach(f, iface); err != nil {
		return nil, errors.Join(fmt.Errorf("prefilter %s: %w", iface, err), p.Close())
	}
	return p, nil
}

func (p *Prefilter) attach(f *Filter, iface string) error {
	on, err := netlink.LinkByName(iface)
	if err != nil {
		return err
	}
	addrs, err := netlink.AddrList(on, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	if len(addrs) > 0 || on.Attrs().Flags&net.FlagLoopback != 0 || on.Attrs().MasterIndex != 0 {
		return ErrHost
	}
	if p.undo, err = offload.Off(iface, offload.Stripping); err != nil {
		return err
	}
	spec, err := loadPrefilter()
	if err != nil {
		return err
	}
	if err := setCoarse(spec); err != nil {
		return err
	}
	maps := map[string]*ebpf.Map{
		"counts": f.objs.Counts, "ports": f.objs.Ports, "ethers": f.objs.Ethers, "told": f.objs.Told,
		"pairs": f.objs.Pairs, "pairs4": f.objs.Pairs4, "verdicts": f.objs.Verdicts, "fragments": f.objs.Fragments,
	}
	if err := spec.LoadAndAssign(&p.objs, &ebpf.CollectionOptions{MapReplacements: maps}); err != nil {
		return err
	}
	p.link, err = link.AttachXDP(link.XDPOptions{Program: p.objs.Prefilter, Interface: on.Attrs().Index, Flags: link.XDPDriverMode})
	return err
}

// Close takes the prefilter off its interface. That happens too when the process ends, or when the interface vanishes.
func (p *Prefilter) Close() error {
	var errs []error
	if p.link != nil {
		errs = append(errs, p.link.Close())
	}
	return errors.Join(append(errs, p.objs.Close(), p.undo())...)
}

// Program is the program in the driver.
func (p *Prefilter) Program() *ebpf.Program { return p.objs.Prefilter }
