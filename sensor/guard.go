package sensor

import (
	"log/slog"

	"github.com/roje-ot/roje/sensor/passive"
)

// Levels of passivity, as the start line, the metrics and the collector say them.
const (
	passiveRecorded = "recorded" // no interface is open
	passiveClaimed  = "claimed"  // the program does not send, and nothing but the program says so
	passiveKernel   = "kernel"   // the kernel would drop it, and the process could not try
)

// passivity is what keeps the sensor's ports silent, and what watches that they are.
type passivity struct {
	ports     int
	guarded   int // ports with every layer
	sealed    bool
	witnesses []*passive.Witness
}

// guard puts the layers around one port. A layer that cannot be had is said and does not stop the sensor: the level
// then stays at claimed.
func (p *passivity) guard(iface string, log *slog.Logger) (closers []func() error) {
	p.ports++
	complete := true
	missing := func(layer string, err error) {
		complete = false
		log.Warn("a layer of passivity is missing", "interface", iface, "layer", layer, "err", err)
	}
	if h, err := passive.Clean(iface); err != nil {
		missing("hygiene", err)
	} else {
		closers = append(closers, p.unlessSealed(h.Close))
		for _, text := range h.Degraded {
			log.Warn(text, "interface", iface)
		}
	}
	if e, err := passive.DropEgress(iface, false); err != nil {
		missing("egress", err)
	} else {
		closers = append(closers, p.unlessSealed(e.Close))
	}
	if n, err := passive.DropNFT(iface); err != nil {
		missing("nftables", err)
	} else {
		closers = append(closers, p.unlessSealed(n.Close))
	}
	if w, err := passive.NewWitness(iface); err != nil {
		missing("witness", err)
	} else {
		p.witnesses = append(p.witnesses, w)
	}
	if complete {
		p.guarded++
	}
	return closers
}

// unlessSealed leaves a layer in place where the process can no longer remove it: the port then stays shut after the
// sensor has ended, until it is started again or somebody with the right opens it.
func (p *passivity) unlessSealed(closing func() error) func() error {
	return func() error {
		if p.sealed {
			return nil
		}
		return closing()
	}
}

// seal gives up every right that is not needed any more.
func (p *passivity) seal(log *slog.Logger) {
	if err := passive.Seal(); err != nil {
		log.Warn("a layer of passivity is missing", "layer", "seal", "err", err)
		return
	}
	p.sealed = true
}

// level is what can be claimed.
func (p *passivity) level() string {
	switch {
	case p.ports == 0:
		return passiveRecorded
	case p.sealed && p.guarded == p.ports:
		return passiveKernel
	}
	return passiveClaimed
}

// sent is how many frames the ports have sent since the start, by their own count. Anything but 0 is an alarm.
func (p *passivity) sent() (n uint64) {
	for _, w := range p.witnesses {
		if frames, err := w.Sent(); err == nil {
			n += frames
		}
	}
	return n
}
