package passive

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// A Witness compares an interface's own count of sent frames with what it was at the start. It sees every way of
// sending, since the driver counts.
type Witness struct {
	iface string
	start uint64
}

// NewWitness notes the count. It needs no capability.
func NewWitness(iface string) (*Witness, error) {
	w := &Witness{iface: iface}
	var err error
	w.start, err = sent(iface)
	return w, err
}

// Sent returns how many frames the interface has sent since the start. Anything but 0 is an alarm.
func (w *Witness) Sent() (uint64, error) {
	now, err := sent(w.iface)
	if err != nil {
		return 0, err
	}
	if now < w.start { // the interface was replaced: its count began anew
		w.start = 0
	}
	return now - w.start, nil
}

func sent(iface string) (uint64, error) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return 0, fmt.Errorf("read the counters of %s: %w", iface, err)
	}
	stats := link.Attrs().Statistics
	if stats == nil {
		return 0, fmt.Errorf("read the counters of %s: the kernel gives none", iface)
	}
	return stats.TxPackets, nil
}
