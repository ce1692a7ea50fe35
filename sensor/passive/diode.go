package passive

import (
	"strings"

	"github.com/vishvananda/netlink"
)

// DiodeAlias is how the alias of an interface begins behind which package diode has put a port; the port's name follows.
const DiodeAlias = "roje diode of "

// BehindDiode returns the port's name if iface is the sensor's end of a diode: a virtual interface with its other end in
// another network namespace, and marked by the one who installed it.
func BehindDiode(iface string) (port string, ok bool) {
	link, err := netlink.LinkByName(iface)
	if err != nil || link.Type() != "veth" || link.Attrs().NetNsID < 0 {
		return "", false
	}
	return strings.CutPrefix(link.Attrs().Alias, DiodeAlias)
}
