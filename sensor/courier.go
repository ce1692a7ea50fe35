package sensor

import (
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/evidence"
	"github.com/roje-ot/roje/sensor/ship"
)

// openCourier makes what takes evidence to the collector: what it asks for, over a link with a way back, or, if the
// configuration says so, all.
func (d *daemon) openCourier() {
	if d.identity == nil || d.shipper == nil {
		return
	}
	d.courier = evidence.NewCourier(evidence.Settings{Sending: d.cfg.Sending, Dir: d.cfg.Evidence, Lane: evidenceLane{d}, Now: time.Now})
	if client, ok := d.shipper.(*ship.Client); ok {
		client.Asked = d.courier.Asked
	}
}

// An evidenceLane is the spool as a courier sees it.
type evidenceLane struct{ *daemon }

// Put implements evidence.Lane. The piece is on disk when it returns.
func (l evidenceLane) Put(p batch.Piece) error {
	l.box.json(batch.KindEvidence, batch.Evidence, time.Now(), p)
	l.box.flush()
	return nil
}

// Waits implements evidence.Lane.
func (l evidenceLane) Waits() (pieces, others uint64) {
	stats := l.spool.Stats()
	pieces = stats.Waiting[batch.Evidence] + stats.Sealed[batch.Evidence]
	return pieces, stats.Records() - pieces
}
