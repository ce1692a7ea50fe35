package sensor

import (
	"path/filepath"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/ledger"
)

// openLedger opens the record of control actions: each is kept in the state folder and goes to the collector.
func (d *daemon) openLedger() (func() error, error) {
	store, err := ledger.OpenStore(filepath.Join(d.cfg.State, ledger.FileName), d.cfg.LedgerBytes)
	if err != nil {
		return nil, err
	}
	d.acts = ledger.New(ledger.Config{Tell: func(e *rules.Event) { d.judge.Judge(e) }}, func(r *ledger.Record) {
		if err := store.Keep(r); err != nil {
			d.log.Error("action is not kept", "err", err)
		}
		d.box.json(batch.KindLedger, batch.Routine, time.Unix(0, d.judgeTime()), r)
	})
	return store.Close, nil
}
