package passive

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture/offload"
)

// A Hygiene is an interface without an address, ARP, multicast and IPv6, whose driver hands frames over as they came.
// Close puts back what was changed.
type Hygiene struct {
	iface string
	undo  []func() error
	// Degraded says which settings could not be made and what that means: "rx-gro-hw is on: timing and
	// frame counts are degraded".
	Degraded []string
}

// Clean makes the settings. It needs CAP_NET_ADMIN; the error names the first that must hold and could not be made. An
// offload that cannot be switched off is no error but Degraded.
func Clean(iface string) (*Hygiene, error) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return nil, fmt.Errorf("clean %s: %w", iface, err)
	}
	h := &Hygiene{iface: iface}
	for _, step := range []func(netlink.Link) error{h.noIPv6, h.noAddresses, h.noARP, h.noMulticast} {
		if err := step(link); err != nil {
			return nil, errors.Join(fmt.Errorf("clean %s: %w", iface, err), h.Close())
		}
	}
	for _, name := range offload.Merging {
		undo, err := offload.Off(iface, []string{name})
		if err != nil {
			h.Degraded = append(h.Degraded, fmt.Sprintf("%s is on (%v): timing and frame counts are degraded", name, err))
		}
		h.undo = append(h.undo, undo)
	}
	return h, nil
}

// IsClean returns an error that names all that Clean would change.
func IsClean(iface string) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return err
	}
	var errs []error
	if on, err := os.ReadFile(filepath.Join("/proc/sys/net/ipv6/conf", iface, "disable_ipv6")); err == nil && !bytes.HasPrefix(on, []byte("1")) {
		errs = append(errs, errors.New("IPv6 is on"))
	}
	if addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL); err != nil {
		errs = append(errs, err)
	} else if len(addrs) > 0 {
		errs = append(errs, fmt.Errorf("it has the address %s", addrs[0].IPNet))
	}
	flags := link.Attrs().RawFlags
	if flags&unix.IFF_NOARP == 0 {
		errs = append(errs, errors.New("ARP is on"))
	}
	if flags&unix.IFF_MULTICAST != 0 {
		errs = append(errs, errors.New("multicast is on"))
	}
	features, err := offload.Read(iface)
	errs = append(errs, err)
	for _, name := range offload.Merging {
		if features[name].On {
			errs = append(errs, fmt.Errorf("%s is on", name))
		}
	}
	return errors.Join(errs...)
}

// Close restores the interface, the last change first.
func (h *Hygiene) Close() error {
	var errs []error
	for i := len(h.undo) - 1; i >= 0; i-- {
		errs = append(errs, h.undo[i]())
	}
	h.undo = nil
	return errors.Join(errs...)
}

func (h *Hygiene) noIPv6(netlink.Link) error {
	path := filepath.Join("/proc/sys/net/ipv6/conf", h.iface, "disable_ipv6")
	old, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the kernel has no IPv6
	}
	if err != nil || bytes.HasPrefix(old, []byte("1")) {
		return err
	}
	h.undo = append(h.undo, func() error { return os.WriteFile(path, old, 0) })
	return os.WriteFile(path, []byte("1"), 0)
}

func (h *Hygiene) noAddresses(link netlink.Link) error {
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		h.undo = append(h.undo, func() error { return netlink.AddrReplace(link, &addr) })
		if err := netlink.AddrDel(link, &addr); err != nil {
			return fmt.Errorf("remove address %s: %w", addr.IPNet, err)
		}
	}
	return nil
}

func (h *Hygiene) noARP(link netlink.Link) error {
	if link.Attrs().RawFlags&unix.IFF_NOARP != 0 {
		return nil
	}
	h.undo = append(h.undo, func() error { return netlink.LinkSetARPOn(link) })
	return netlink.LinkSetARPOff(link)
}

func (h *Hygiene) noMulticast(link netlink.Link) error {
	if link.Attrs().RawFlags&unix.IFF_MULTICAST == 0 {
		return nil
	}
	h.undo = append(h.undo, func() error { return netlink.LinkSetMulticastOn(link) })
	return netlink.LinkSetMulticastOff(link)
}
