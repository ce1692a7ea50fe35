package sensor

import (
	"errors"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/roje-ot/roje/sensor/passive"
)

// Levels of passivity, as the start line, the metrics and the collector say them.
const (
	passiveRecorded = "recorded" // no interface is open
	passiveClaimed  = "claimed"  // the program does not send, and nothing but the program says so
	passiveKernel   = "kernel"   // the kernel would drop it, and the process could not try
	passiveDiode    = "diode"    // besides, the ports are in a namespace that the process is not in
)

// passivity is what keeps the sensor's ports silent. It is set up before the readers run, and only read afterwards.
type passivity struct {
	ports   []*port
	guarded int                // ports with every layer
	kept    map[*port]*keeping // of the ports that root has shut
	ends    string             // until when something drops at the egress of the last port, if not for longer than the sensor runs
	diodes  int                // ports that are the end of a diode
	sealed  bool
	nftErr  error // why the last port has no nftables chain

	delivery atomic.Pointer[ends] // of the sensor's own traffic
}

// guard puts the layers around one port. A layer that cannot be had is said and does not stop the sensor: the level
// then stays at claimed.
func (l *passivity) guard(p *port, may able, log *slog.Logger) (closers []func() error) {
	if _, ok := passive.BehindDiode(p.name); ok {
		l.diodes++
	}
	if passive.IsShut(p.name) == nil { // by root, before
		l.guarded++
		p.shut, l.nftErr = true, os.ErrPermission
		if l.kept == nil {
			l.kept = map[*port]*keeping{}
		}
		l.kept[p] = newKeeping(p.name, log)
		return nil
	}
	complete := true
	missing := func(layer string, err error) {
		complete = false
		log.Warn("a layer of passivity is missing", "interface", p.name, "layer", layer, "err", err)
	}
	if h, err := passive.Clean(p.name); err != nil {
		missing("hygiene", err)
	} else {
		closers = append(closers, l.unlessSealed(h.Close))
		for _, text := range h.Degraded {
			log.Warn(text, "interface", p.name)
		}
	}
	if e, err := passive.DropEgress(p.name, !may.tcx); err != nil {
		missing("egress", err)
		l.ends = "not at all"
	} else {
		p.egress = e
		if e.Unpinned != nil {
			l.ends = "until the sensor ends: the program is not pinned: " + e.Unpinned.Error()
		}
		closers = append(closers, l.unlessSealed(e.Close))
	}
	l.nftErr = errors.ErrUnsupported
	if may.nft {
		var n *passive.NFT
		if n, l.nftErr = passive.DropNFT(p.name); l.nftErr == nil {
			p.nft = n
			if n.Silent != nil {
				log.Warn("attempts to send will not be counted", "interface", p.name, "err", n.Silent)
			}
			closers = append(closers, l.unlessSealed(n.Close))
		}
	}
	if l.nftErr != nil {
		missing("nftables", l.nftErr)
	}
	if complete {
		l.guarded++
	}
	return closers
}

// unlessSealed leaves a layer in place where the process can no longer remove it: the settings, a pinned TCX program or a
// clsact filter, and the nftables chain stay after the sensor has ended, until it is started again or somebody with the
// right removes them (roje-sensor shut --undo). A TCX program that could not be pinned ends with the process.
func (l *passivity) unlessSealed(closing func() error) func() error {
	return func() error {
		if l.sealed {
			return nil
		}
		return closing()
	}
}

// seal gives up every right that is not needed any more.
func (l *passivity) seal(log *slog.Logger) {
	if err := passive.Seal(); err != nil {
		log.Warn("a layer of passivity is missing", "layer", "seal", "err", err)
		return
	}
	l.sealed = true
}

// level is what can be claimed at present, of the worst port.
func (l *passivity) level() string {
	if len(l.ports) == 0 {
		return passiveRecorded
	}
	for _, p := range l.ports {
		if p.view().open {
			return passiveClaimed
		}
	}
	switch {
	case l.sealed && l.diodes == len(l.ports):
		return passiveDiode
	case l.sealed && l.guarded == len(l.ports):
		return passiveKernel
	}
	return passiveClaimed
}

// lasts says whether the program that drops at the egress would outlive the sensor, for the line that says the level.
func (l *passivity) lasts() string {
	switch {
	case len(l.ports) == 0:
		return "none"
	case l.ends != "":
		return l.ends
	}
	return "after the sensor ends"
}

// sent is how many frames the ports have sent since the start, by their own count. Anything but 0 is an alarm.
func (l *passivity) sent() (n uint64) {
	for _, p := range l.ports {
		n += p.view().nic.Sent
	}
	return n
}
