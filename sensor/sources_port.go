package sensor

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/sensor/capture/ring"
	"github.com/roje-ot/roje/sensor/passive"
)

// A port is one watched interface: its ring, its filter and the layers around it. The watcher's goroutine owns what
// changes in it, save for its ring, which is its reader's.
type port struct {
	name   string // as configured
	now    string // its name at present
	index  int    // its index at present
	tier   string
	state  string // up, down, or gone
	ring   *ring.Ring
	filter *filter.Filter    // nil in tiers E and F
	early  *filter.Prefilter // nil unless configured
	egress *passive.Egress
	nft    *passive.NFT
	shut   bool                   // by root, and not by this process
	start  netlink.LinkStatistics // its own counts at the start
	last   netlink.LinkStatistics // and at present
	carry  netlink.LinkStatistics // what earlier incarnations of it counted
	quiet  silence
	tried  uint64 // frames that somebody tried to send, as far as alerts have said; egress and nft count them
	sent   uint64 // frames that it has sent, likewise
	open   bool   // its egress program was found missing
	shown  atomic.Pointer[view]
}

// able is what the kernel is asked for. Tests take things away.
type able struct {
	ebpf, classic, tcx, nft bool
	old                     bool // no more of eBPF than before 5.8
	early                   bool // a prefilter is asked for
}

var asMuch = able{ebpf: true, classic: true, tcx: true, nft: true}

// openPort opens an interface with the best filter that the kernel takes, behind every layer of passivity that can be
// had. The closers undo it, the last first, and are to be called even after an error.
func openPort(name string, may able, layers *passivity, log *slog.Logger) (p *port, closers []func() error, err error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, nil, fmt.Errorf("interface %s: no such interface; the host has %s", name, interfaceNames())
	}
	p = &port{name: name, now: name, index: link.Attrs().Index, state: "up"}
	closers = layers.guard(p, may, log)
	if link.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(link); err != nil {
			log.Warn("the interface is down, and may not be set up", "interface", name, "err", err)
		}
	}
	config := ring.Config{Interface: name}
	tier, why := "", error(nil)
	if may.ebpf {
		keep, kernel := filter.Ports(catalog.All), release()
		if keep.Old = may.old; may.old {
			kernel = [2]int{5, 4}
		}
		if p.filter, why = filter.Load(keep); why == nil {
			closers = append(closers, p.filter.Close)
			config.Filter = p.filter
			if p.ring, why = ring.Open(config); why == nil {
				tier = ebpfTier(p, kernel, errors.Is(layers.nftErr, os.ErrPermission))
			}
		}
		if why != nil {
			log.Warn("the kernel takes no eBPF filter", "interface", name, "err", why)
			p.filter, config.Filter = nil, nil
		}
	}
	if p.ring == nil && may.classic {
		if config.Classic, why = filter.Classic(filter.Ports(catalog.All)); why == nil {
			p.ring, why = ring.Open(config)
		}
		if why == nil {
			tier = tierClassic
		} else {
			log.Warn("the kernel takes no classic filter", "interface", name, "err", why)
			config.Classic = []bpf.RawInstruction(nil)
		}
	}
	if p.ring == nil {
		if p.ring, err = ring.Open(config); err != nil {
			return nil, closers, err
		}
		tier = tierNone
	}
	if may.early && p.foresee(log) {
		closers = append(closers, layers.unlessSealed(p.early.Close))
		tier += tierEarly
	}
	p.tier = tier
	if stats := link.Attrs().Statistics; stats != nil {
		p.start, p.last = *stats, *stats
	}
	return p, append(closers, p.ring.Close), nil
}

// The tiers of capture: what the kernel and its administrator let the sensor have.
const (
	tierTCX     = "A: eBPF filter, TCX and nftables at egress"
	tierClsact  = "B: eBPF filter, clsact and nftables at egress"
	tierNoHook  = "C: eBPF filter, nothing at the device's egress hook"
	tierOld     = "D: eBPF filter, kernel before 5.8"
	tierClassic = "E: classic filter"
	tierNone    = "F: no filter in the kernel"

	tierEarly = "; a prefilter in the driver" // behind one of A to D
)

// ebpfTier is the tier with an eBPF filter: by what was put at the egress, and, where that was not for this process to
// do, by the kernel's release.
func ebpfTier(p *port, release [2]int, mayNot bool) string {
	before := func(major, minor int) bool {
		return release[0] < major || release[0] == major && release[1] < minor
	}
	switch {
	case before(5, 8):
		return tierOld
	case before(5, 16) || p.nft == nil && !mayNot:
		return tierNoHook
	case before(6, 6) || p.egress != nil && p.egress.How == "clsact":
		return tierClsact
	}
	return tierTCX
}

// release is the kernel's.
func release() (v [2]int) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err == nil {
		fmt.Sscanf(unix.ByteSliceToString(uts.Release[:]), "%d.%d", &v[0], &v[1])
	}
	return v
}

// look finds out how the interface is, follows it under another name or index, and says what has changed. It is called
// about once a second.
func (p *port) look(log *slog.Logger) {
	link, err := netlink.LinkByIndex(p.index)
	if err != nil && !isGone(err) {
		return // the next time
	}
	if err != nil {
		link, err = netlink.LinkByName(p.now)
		if err != nil {
			link, err = netlink.LinkByName(p.name)
		}
		if err != nil {
			if p.state != "gone" {
				p.state = "gone"
				log.Error("the interface has vanished; waiting for it", "interface", p.now)
			}
			return
		}
		p.follow(link, log)
	}
	attrs := link.Attrs()
	if attrs.Name != p.now {
		log.Warn("the interface was renamed; watching it on", "interface", attrs.Name, "before", p.now)
		p.now = attrs.Name
	}
	if attrs.Statistics != nil {
		p.last = *attrs.Statistics
	}
	state := "up"
	if attrs.RawFlags&unix.IFF_UP == 0 || attrs.RawFlags&unix.IFF_RUNNING == 0 {
		state = "down"
	}
	if state != p.state {
		if state == "down" {
			log.Warn("no link: the cable, or the switch's port, is off", "interface", p.now)
		} else {
			log.Info("link", "interface", p.now, "before", p.state)
		}
		p.state = state
	}
}

// follow takes up an interface that came back under another index. What was put around the old one went with it, and a
// sealed process cannot put it there again: under systemd it ends, to be started anew with every layer; elsewhere it
// goes on without, and says so.
func (p *port) follow(link netlink.Link, log *slog.Logger) {
	p.carry = add(p.carry, minus(p.last, p.start))
	p.index, p.now, p.start, p.last = link.Attrs().Index, link.Attrs().Name, netlink.LinkStatistics{}, netlink.LinkStatistics{}
	p.egress, p.nft, p.open = nil, nil, true
	if p.early != nil {
		p.early = nil
		log.Warn("the interface is back without its prefilter", "interface", p.now)
	}
	if os.Getenv("INVOCATION_ID") != "" && !p.shut {
		log.Warn("the interface is back; ending to be started again with every layer around it", "interface", p.now)
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err == nil {
			return
		}
	}
	if p.shut {
		log.Info("the interface is back; waiting for root to shut it anew (roje-port@.service)", "interface", p.now)
	}
	if p.filter == nil {
		log.Error("the interface is back, and this tier cannot follow it: restart the sensor", "interface", p.now)
		return
	}
	if err := p.filter.Watch(p.index); err != nil {
		log.Error("the interface is back, and cannot be followed: restart the sensor", "interface", p.now, "err", err)
		return
	}
	if err := netlink.LinkSetUp(link); err != nil && link.Attrs().Flags&net.FlagUp == 0 {
		log.Warn("the interface is back and down, and may not be set up", "interface", p.now)
	}
	log.Warn("the interface is back; watching it on, without the layers at its egress until the sensor is started again",
		"interface", p.now, "promiscuous", link.Attrs().Promisc > 0)
}

func isGone(err error) bool {
	var missing netlink.LinkNotFoundError
	return errors.As(err, &missing) || errors.Is(err, unix.ENODEV)
}

// A nic is what the interface itself counts, since the start.
type nic struct {
	Missed, Dropped, Sent uint64
}

func (p *port) nic() nic {
	s := add(p.carry, minus(p.last, p.start))
	return nic{Missed: s.RxMissedErrors + s.RxOverErrors + s.RxFifoErrors, Dropped: s.RxDropped, Sent: s.TxPackets}
}

// minus and add reckon with the counts that are read here.
func minus(a, b netlink.LinkStatistics) (c netlink.LinkStatistics) {
	c.RxMissedErrors, c.RxOverErrors, c.RxFifoErrors = a.RxMissedErrors-b.RxMissedErrors, a.RxOverErrors-b.RxOverErrors, a.RxFifoErrors-b.RxFifoErrors
	c.RxDropped, c.TxPackets = a.RxDropped-b.RxDropped, a.TxPackets-b.TxPackets
	return c
}

func add(a, b netlink.LinkStatistics) netlink.LinkStatistics {
	return minus(a, minus(netlink.LinkStatistics{}, b))
}

// A silence notices that a port which used to be busy has become silent. The zero value is ready.
type silence struct {
	seen    uint64
	last    time.Time     // of the last change
	ticks   int           // looks at which there was something new
	longest time.Duration // without anything, while it was busy
	silent  bool
}

const (
	busyTicks   = 60               // looks with frames before a port counts as busy
	leastQuiet  = 30 * time.Second // of a busy port, before it is called silent
	quietFactor = 10               // times the longest quiet that it had while busy
)

// look takes the number of frames so far, and says whether the port has just become silent, or has just ended to be.
func (s *silence) look(now time.Time, seen uint64) (began, ended bool, since time.Time) {
	since = s.last
	switch {
	case s.last.IsZero():
		s.seen, s.last = seen, now
	case seen != s.seen:
		if ended = s.silent; !ended {
			s.longest = max(s.longest, now.Sub(s.last))
		}
		s.silent, s.seen, s.last = false, seen, now
		s.ticks++
	case s.ticks >= busyTicks && !s.silent && now.Sub(s.last) > max(leastQuiet, quietFactor*s.longest):
		began, s.silent = true, true
	}
	return began, ended, since
}
