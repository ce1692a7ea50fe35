package passive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// marks is where root notes which interfaces it has shut, and says how they are. A variable for tests.
var marks = "/run/roje"

// The layers that root puts around an interface, to stay: what is sent meets the chain of nftables, then the TCX program,
// then the clsact filter. The last needs no pin to outlive the one who put it there, and everybody can see it.
type layers struct {
	index  int
	clsact *Egress
	tcx    *Egress // nil where it would end with the process, or the kernel has none
	nft    *NFT
}

// Shut puts every layer around an interface so that it stays when the caller ends, sets it up, and notes that it did. It
// is for root, once for each appearance of the interface, so that the sensor itself needs no CAP_NET_ADMIN. The note
// names the interface by its index: one that vanishes and comes back is shut anew, or not at all.
func Shut(iface string) error {
	_, err := shut(iface)
	return err
}

func shut(iface string) (l *layers, err error) {
	if _, err := Clean(iface); err != nil {
		return nil, err
	}
	l = new(layers)
	if l.clsact, err = DropEgress(iface, true); err != nil {
		return nil, err
	}
	if e, err := DropEgress(iface, false); err == nil && e.How == "tcx" && e.Unpinned == nil {
		l.tcx = e
	} else if err == nil && e.How == "tcx" {
		if err := e.Close(); err != nil {
			return nil, err
		}
	}
	if l.nft, err = DropNFT(iface); err != nil {
		return nil, err
	}
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(netlink.SetPromiscOn(link), netlink.LinkSetUp(link)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(marks, 0o755); err != nil {
		return nil, err
	}
	l.index = link.Attrs().Index
	return l, os.WriteFile(filepath.Join(marks, iface), fmt.Appendln(nil, l.index), 0o644)
}

// Open takes away what Shut has put at the egress of an interface, and its note; the settings stay. It is for root.
func Open(iface string) error {
	errs := []error{unpin(iface), (&NFT{table: "roje-" + iface, log: -1}).Close()}
	if link, err := netlink.LinkByName(iface); err == nil {
		errs = append(errs, netlink.SetPromiscOff(link), openClsact(link))
	}
	for _, name := range []string{iface, iface + reportSuffix} {
		if err := os.Remove(filepath.Join(marks, name)); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for i, err := range errs {
		if errors.Is(err, unix.ENOENT) { // it was not there
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

func openClsact(link netlink.Link) error {
	f, err := clsactFilter(link)
	if err != nil || f == nil {
		return err
	}
	return netlink.FilterDel(f)
}

// IsShut returns an error unless root has shut the interface as it is now, and what can be seen of it without a right
// still stands: the settings, and the clsact filter at the egress. What nobody but root can see, a Report says.
func IsShut(iface string) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return err
	}
	path := filepath.Join(marks, iface)
	if err := ofRoot(path); err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if index, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || index != link.Attrs().Index {
		return fmt.Errorf("%s: root has shut an earlier interface of this name", path)
	}
	if err := IsClean(iface); err != nil {
		return err
	}
	return clsactShut(link)
}

// ofRoot returns an error unless the file is root's, and nobody else can write to it.
func ofRoot(path string) error {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil || stat.Uid != 0 || stat.Mode&0o022 != 0 {
		return fmt.Errorf("%s: root has not shut the interface", path)
	}
	return nil
}

// clsactShut looks for the filter that DropEgress attaches to clsact. It needs no capability.
func clsactShut(link netlink.Link) error {
	f, err := clsactFilter(link)
	if err == nil && f == nil {
		err = errors.New("no program drops what is sent")
	}
	return err
}

func clsactFilter(link netlink.Link) (netlink.Filter, error) {
	filters, err := netlink.FilterList(link, netlink.HANDLE_MIN_EGRESS)
	if err != nil {
		return nil, err
	}
	for _, f := range filters {
		if b, ok := f.(*netlink.BpfFilter); ok && strings.HasPrefix(b.Name, "roje_egress") {
			return f, nil
		}
	}
	return nil, nil
}
