package sensor

import (
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/sensor/recall"
)

// recollect makes the engine of the first rules, with what the rules remembered when the sensor ran last. Recorded files
// are a story of their own: what came regularly before them is not expected in them.
func (d *daemon) recollect(book *Rulebook) (*engine.Engine, error) {
	d.recall = recall.New(d.cfg.State, d.cfg.Interfaces, catalog.All)
	judge, said, warning, err := d.recall.Load(func(seed uint64) *engine.Engine {
		return engine.New(book.Rules, engine.Options{Sensor: d.cfg.Name, Seed: seed, Budget: engine.Budget{Day: d.cfg.Budget.Site, Host: d.cfg.Budget.Asset}, Emit: d.found})
	})
	if warning != nil {
		d.log.Warn("what the rules remembered is set aside, they begin anew", "kept", warning.Kept, "err", warning.Err)
	}
	if said != nil {
		d.log.Info("the rules remember", "until", time.Unix(0, said.At).UTC(), "rules", said.Rules, "keys", said.Keys, "open findings", said.Findings, "changed rules begin anew", said.Changed)
	}
	return judge, err
}

// keepRules saves what the rules remember.
func (d *daemon) keepRules() {
	err := d.recall.Save(func(do func(*engine.Engine)) {
		d.mu.Lock()
		defer d.mu.Unlock()
		do(d.judge)
	})
	if err != nil {
		d.log.Error("what the rules remember is not saved", "err", err)
	}
}
