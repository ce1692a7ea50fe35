package capture

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gopacket/gopacket/afpacket"
)

const (
	liveBlock  = 1 << 20
	liveBlocks = 64
	livePoll   = 100 * time.Millisecond
)

// Interface is a live source: an AF_PACKET ring (TPACKET_V3) on one network interface in promiscuous mode. It reads
// only. The kernel takes the outer VLAN tag out of the frame; it is found in Packet.VLAN.
type Interface struct {
	name  string
	ring  *afpacket.TPacket
	link  LinkType
	count uint64
}

var _ Source = (*Interface)(nil)

// Live opens the interface called name. It needs CAP_NET_RAW.
func Live(name string) (*Interface, error) {
	link, err := linkOf(name)
	if err != nil {
		return nil, err
	}
	ring, err := afpacket.NewTPacket(afpacket.OptInterface(name), afpacket.OptTPacketVersion(afpacket.TPacketVersion3),
		afpacket.OptFrameSize(1<<16), afpacket.OptBlockSize(liveBlock), afpacket.OptNumBlocks(liveBlocks), afpacket.OptPollTimeout(livePoll))
	if err != nil {
		return nil, fmt.Errorf("open ring on %s: %w", name, err)
	}
	if err := ring.SetPromiscuous(true); err != nil {
		ring.Close()
		return nil, fmt.Errorf("promiscuous mode on %s: %w", name, err)
	}
	if err := ring.InitSocketStats(); err != nil {
		ring.Close()
		return nil, fmt.Errorf("counters of %s: %w", name, err)
	}
	return &Interface{name: name, ring: ring, link: link}, nil
}

// linkOf reads the ARPHRD_* number that the kernel has for an interface.
func linkOf(name string) (LinkType, error) {
	text, err := os.ReadFile("/sys/class/net/" + name + "/type")
	if err != nil {
		return 0, fmt.Errorf("no interface %q: %w", name, err)
	}
	hardware, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("interface %q: %w", name, err)
	}
	switch hardware {
	case 1, 772: // Ethernet, loopback
		return Ethernet, nil
	case 512:
		return PPP, nil
	case 768, 769, 776, 778, 65534: // tunnels and TUN devices
		return RawIP, nil
	}
	return 0, fmt.Errorf("interface %q: link layer %d is not understood", name, hardware)
}

// Next implements Source. It waits no longer than a tenth of a second.
func (i *Interface) Next(p *Packet) error {
	data, info, err := i.ring.ZeroCopyReadPacketData()
	switch {
	case errors.Is(err, afpacket.ErrTimeout):
		return ErrIdle
	case err != nil:
		return fmt.Errorf("read %s: %w", i.name, err)
	}
	i.count++
	*p = Packet{At: info.Timestamp.UnixNano(), Frame: i.count, Link: i.link, Data: data, OrigLen: info.Length}
	for _, extra := range info.AncillaryData {
		if tag, ok := extra.(afpacket.AncillaryVLAN); ok {
			p.VLAN, p.HasVLAN = uint16(tag.VLAN), true
		}
	}
	return nil
}

// Dropped returns how many packets the kernel has dropped since Live because the ring was full.
func (i *Interface) Dropped() (uint64, error) {
	_, stats, err := i.ring.SocketStats()
	if err != nil {
		return 0, fmt.Errorf("counters of %s: %w", i.name, err)
	}
	return uint64(stats.Drops()), nil
}

// Close ends the capture. No packet may be in use.
func (i *Interface) Close() error {
	i.ring.Close()
	return nil
}
