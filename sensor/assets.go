package sensor

import (
	"sync"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/asset"
)

const (
	countEvery = 5 * time.Minute // between looks at what the kernel has counted of other protocols
	wholeEvery = 6 * time.Hour   // between shipments of all assets, beside those of changes
)

// An inventory ships the assets: what has changed, and now and then the whole.
type inventory struct {
	mu      sync.Mutex // guards the rest; one at a time takes stock
	counted time.Time  // when the kernel's counts were looked at
	whole   time.Time  // when all assets were shipped
}

func (d *daemon) openAssets() (func() error, error) {
	assets, warning, err := asset.Open(d.cfg.State)
	if err != nil {
		return nil, err
	}
	if warning != nil {
		d.log.Warn("assets set aside", "err", warning)
	}
	d.assets = assets
	return assets.Save, nil
}

// know puts an event into context: what is new of it, and whose it is. It is called under mu.
func (d *daemon) know(e *rules.Event) {
	d.base.Judge(e)
	d.assets.Take(e)
}

// takeStock saves the assets and ships what has changed of them.
func (d *daemon) takeStock(now time.Time) {
	v := &d.stock
	v.mu.Lock()
	defer v.mu.Unlock()
	var counts []asset.Count
	if now.Sub(v.counted) >= countEvery {
		v.counted = now
		counts = d.counted()
	}
	d.mu.Lock()
	if counts != nil {
		d.assets.Counted(counts, now.UnixNano())
	}
	write, news := d.assets.Snapshot(), d.assets.Changed()
	if now.Sub(v.whole) >= wholeEvery {
		v.whole = now
		news = d.assets.Assets()
	}
	d.mu.Unlock()
	for _, a := range news {
		d.box.json(batch.KindAsset, batch.Inventory, time.Unix(0, int64(a.Last)), a)
	}
	if err := write(); err != nil {
		d.log.Error("assets are not saved", "err", err)
	}
}

// counted asks the kernel what it has counted of pairs of hosts, kept or not.
func (d *daemon) counted() (all []asset.Count) {
	for _, r := range d.readers {
		if r.port == nil || r.port.filter == nil {
			continue
		}
		pairs, err := r.port.filter.Pairs()
		if err != nil {
			d.log.Warn("the kernel's counts are not read", "interface", r.name, "err", err)
		}
		for _, p := range pairs {
			c := asset.Count{VLAN: p.VLAN, Ether: p.Ether, Protocol: p.Proto, Port: p.Service, Frames: p.Frames, Bytes: p.Bytes}
			c.Addrs[0], c.Addrs[1] = p.A, p.B
			c.MACs[0], c.MACs[1] = rules.MAC(p.MACs[0]), rules.MAC(p.MACs[1])
			all = append(all, c)
		}
	}
	return all
}
