package passive

//go:generate go tool bpf2go -cc clang -cflags "-O2 -g -Wall -Werror" -target bpfel egress egress.bpf.c -- -I/usr/include/x86_64-linux-gnu

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// An Egress is the program that drops whatever is sent through an interface's queueing layer, and counts it. What goes
// around that layer (PACKET_QDISC_BYPASS, AF_XDP, an XDP redirect) it does not see.
type Egress struct {
	objs  egressObjects
	tried *ebpf.Memory
	index int
	tcx   link.Link          // on kernels with TCX (6.6)
	pin   string             // where the link is pinned, or ""
	qdisc *netlink.BpfFilter // on older ones
	id    ebpf.ProgramID     // of the program, by which Watch knows it
	How   string             // "tcx" or "clsact"
	guard []netlink.Qdisc    // what Close removes
	// Unpinned is why a TCX program ends with the process: the link to it could not be pinned.
	Unpinned error
}

// DropEgress puts the program in front of everything else at the interface's egress. It needs CAP_NET_ADMIN and CAP_BPF,
// and none of them afterwards. useClsact makes it skip TCX, as a kernel older than 6.6 would.
func DropEgress(iface string, useClsact bool) (*Egress, error) {
	dev, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, fmt.Errorf("drop the egress of %s: %w", iface, unix.ENODEV)
	}
	_ = rlimit.RemoveMemlock() // kernels before 5.11 need it; where it may not be raised, loading says what is wrong
	e := &Egress{index: dev.Index}
	if err := loadEgressObjects(&e.objs, nil); err != nil {
		return nil, fmt.Errorf("drop the egress of %s: load the program: %w", iface, err)
	}
	if err := e.attach(iface, useClsact); err != nil {
		return nil, errors.Join(fmt.Errorf("drop the egress of %s: %w", iface, err), e.Close())
	}
	return e, nil
}

func (e *Egress) attach(iface string, useClsact bool) error {
	info, err := e.objs.Drop.Info()
	if err != nil {
		return err
	}
	e.id, _ = info.ID()
	if e.tried, err = e.objs.Tried.Memory(); err != nil {
		return err
	}
	if useClsact {
		return e.attachClsact()
	}
	err = e.attachTCX(iface)
	if errors.Is(err, ebpf.ErrNotSupported) {
		return e.attachClsact()
	}
	e.How = "tcx"
	return err
}

// attachClsact is for kernels before 6.6. The filter outlives the process, so Close has to take it away.
func (e *Egress) attachClsact() error {
	e.How = "clsact"
	qdisc := &netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: e.index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
	if err := netlink.QdiscAdd(qdisc); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("add clsact: %w", err)
	} else if err == nil {
		e.guard = append(e.guard, qdisc)
	}
	filter := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: e.index, Parent: netlink.HANDLE_MIN_EGRESS, Handle: 1, Priority: 1, Protocol: unix.ETH_P_ALL},
		Fd:          e.objs.Drop.FD(), Name: "roje_egress", DirectAction: true,
	}
	if err := netlink.FilterReplace(filter); err != nil {
		return fmt.Errorf("add the filter: %w", err)
	}
	e.qdisc = filter
	return nil
}

// Tried returns how many frames, and bytes of them, somebody has tried to send and the program has dropped.
func (e *Egress) Tried() (frames, bytes uint64, err error) {
	var b [16]byte
	if _, err := e.tried.ReadAt(b[:], 0); err != nil {
		return 0, 0, err
	}
	return binary.NativeEndian.Uint64(b[:]), binary.NativeEndian.Uint64(b[8:]), nil
}

// Watch returns an error if the program no longer stands at the egress: whoever is root can detach it without a trace. A
// sealed process cannot ask what else stands there, only whether its own link still holds.
func (e *Egress) Watch() error {
	if e.How == "clsact" {
		filters, err := netlink.FilterList(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: e.index}}, netlink.HANDLE_MIN_EGRESS)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(filters, func(f netlink.Filter) bool {
			b, ok := f.(*netlink.BpfFilter)
			return ok && b.Id == int(e.id)
		}) {
			return errors.New("the egress filter was removed")
		}
		return nil
	}
	if err := errors.Join(e.linkHolds(), e.pinHolds()); err != nil || isSealed.Load() {
		return err
	}
	result, err := link.QueryPrograms(link.QueryOptions{Target: e.index, Attach: ebpf.AttachTCXEgress})
	if err == nil && (len(result.Programs) == 0 || result.Programs[0].ID != e.id) {
		return errors.New("another program stands before the egress program")
	}
	return nil // or this process may not ask
}

// linkHolds reads what the kernel says about the process's own link to the program: its interface is 0 once it was
// detached.
func (e *Egress) linkHolds() error {
	paths, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte("link_type:\ttcx\n")) || !bytes.Contains(text, fmt.Appendf(nil, "prog_id:\t%d\n", e.id)) {
			continue
		}
		if bytes.Contains(text, fmt.Appendf(nil, "ifindex:\t%d\n", e.index)) {
			return nil
		}
	}
	return errors.New("the egress program was removed")
}

// EgressShut says how the egress of an interface is shut, by this process or another, or returns an error if it is not.
// It needs CAP_NET_ADMIN.
func EgressShut(iface string) (how string, err error) {
	dev, err := netlink.LinkByName(iface)
	if err != nil {
		return "", err
	}
	result, err := link.QueryPrograms(link.QueryOptions{Target: dev.Attrs().Index, Attach: ebpf.AttachTCXEgress})
	if err == nil && len(result.Programs) > 0 {
		if name, err := programName(result.Programs[0].ID); err != nil || name == "drop" {
			return "tcx", err
		}
	}
	return "clsact", clsactShut(dev)
}

func programName(id ebpf.ProgramID) (string, error) {
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return "", err
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return "", err
	}
	return info.Name, nil
}

// Close takes the program away.
func (e *Egress) Close() error {
	var errs []error
	if e.tcx != nil && e.pin != "" {
		errs = append(errs, e.tcx.Unpin())
	}
	if e.tcx != nil {
		errs = append(errs, e.tcx.Close())
	}
	if e.qdisc != nil {
		errs = append(errs, netlink.FilterDel(e.qdisc))
	}
	for _, q := range e.guard {
		errs = append(errs, netlink.QdiscDel(q))
	}
	return errors.Join(append(errs, e.objs.Close())...)
}
