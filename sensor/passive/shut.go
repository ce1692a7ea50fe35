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

// marks is where root notes which interfaces it has shut. A variable for tests.
var marks = "/run/roje"

// Shut puts every layer around an interface so that it stays when the caller ends, sets it up, and notes that it did. It
// is for root, once for each appearance of the interface, so that the sensor itself needs no CAP_NET_ADMIN. The note
// names the interface by its index: one that vanishes and comes back is shut anew, or not at all.
func Shut(iface string) error {
	if _, err := Clean(iface); err != nil {
		return err
	}
	if _, err := DropEgress(iface, true); err != nil { // clsact: a filter that outlives the process
		return err
	}
	if _, err := DropNFT(iface); err != nil {
		return err
	}
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.SetPromiscOn(link), netlink.LinkSetUp(link)); err != nil {
		return err
	}
	if err := os.MkdirAll(marks, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(marks, iface), fmt.Appendln(nil, link.Attrs().Index), 0o644)
}

// IsShut returns an error unless root has shut the interface as it is now, and what can be seen of it without a right
// still stands: the settings, and the filter at the egress. The chain of nftables nobody but root can see.
func IsShut(iface string) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return err
	}
	path := filepath.Join(marks, iface)
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil || stat.Uid != 0 || stat.Mode&0o022 != 0 {
		return fmt.Errorf("%s: root has not shut the interface", path)
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

// clsactShut looks for the filter that DropEgress attaches to clsact. It needs no capability.
func clsactShut(link netlink.Link) error {
	filters, err := netlink.FilterList(link, netlink.HANDLE_MIN_EGRESS)
	if err != nil {
		return err
	}
	for _, f := range filters {
		if b, ok := f.(*netlink.BpfFilter); ok && strings.HasPrefix(b.Name, "roje_egress") {
			return nil
		}
	}
	return errors.New("no program drops what is sent")
}
