package sensor

import (
	"log/slog"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/passive"
)

// A keeping is what the sensor knows of a port that root has shut, from the process that keeps watch over it: without
// CAP_NET_ADMIN nobody can count at the device's egress hook, nor see what stands there. It belongs to the port's watcher;
// that of a port that this process has shut is nil.
type keeping struct {
	last   passive.Report
	tried  uint64 // frames that were tried since the last findings
	open   string // what is missing now
	said   string // and what of that was an alert
	nobody bool   // keeps watch
}

// newKeeping takes what was tried before the sensor started as known.
func newKeeping(iface string, log *slog.Logger) *keeping {
	k := new(keeping)
	var err error
	if k.last, err = passive.Kept(iface); err != nil {
		k.nobody = true
		log.Warn("a layer of passivity is not watched", "interface", iface, "err", err)
	}
	return k
}

// look reads the report anew. A watch that was begun again counts from 0.
func (k *keeping) look(p *port, log *slog.Logger) {
	if k == nil {
		return
	}
	now, err := passive.Kept(p.now)
	if err != nil {
		if !k.nobody && p.state != "gone" {
			log.Warn("a layer of passivity is not watched any more", "interface", p.now, "err", err)
		}
		k.nobody = true
		return
	}
	if k.nobody {
		log.Info("the layers of passivity are watched", "interface", p.now)
	}
	k.nobody = false
	p.tried += k.take(now)
}

// take makes a report the last one, and returns how many frames were tried since the one before.
func (k *keeping) take(now passive.Report) uint64 {
	tried := now.Tried
	if tried >= k.last.Tried {
		tried -= k.last.Tried
	}
	k.tried += tried
	k.last, k.open = now, now.Open
	return tried
}

// findings are what there is to tell of the port since the last.
func (k *keeping) findings(p *port) (all []finding) {
	if k == nil {
		return nil
	}
	if k.tried > 0 {
		all = append(all, triedToSend(k.tried))
		k.tried = 0
	}
	if k.open != "" && k.said == "" {
		all = append(all, finding{"sensor-port-open", rules.High,
			"A layer that keeps the port %s shut is no longer there: somebody with rights on the sensor's host has taken it away", k.open, 1})
	}
	k.said = k.open
	p.open = p.open || k.open != ""
	return all
}
