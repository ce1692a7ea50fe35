// Package ledgertest shows captured packets to a ledger through the sensor's own flow table and pipeline, and holds its
// records against what those who commanded say.
package ledgertest

import (
	"errors"
	"io"
	"testing"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/sensor/ledger"
)

// A Tap is a ledger that sees packets. One goroutine uses it.
type Tap struct {
	Ledger  *ledger.Ledger
	Records []*ledger.Record // in the order in which they were finished
	table   *flow.Table
}

// New makes a tap. also has each event before the ledger; it may be nil.
func New(c ledger.Config, also func(*rules.Event)) *Tap {
	t := &Tap{}
	t.Ledger = ledger.New(c, func(r *ledger.Record) { t.Records = append(t.Records, r) })
	take := t.Ledger.Take
	if also != nil {
		take = func(e *rules.Event) { also(e); t.Ledger.Take(e) }
	}
	pipe := &sensor.Pipeline{Know: func(*rules.Event) {}, Record: take, Judge: func(*rules.Event) {}, Events: &sensor.Lines{}, Over: t.Ledger.Closed}
	t.table = flow.New(flow.Config{Protocols: catalog.All}, pipe.Handler())
	return t
}

// Packet takes the next packet.
func (t *Tap) Packet(p *capture.Packet) { t.table.Packet(p) }

// End closes what is open, and returns all records.
func (t *Tap) End() []*ledger.Record {
	t.table.Flush()
	t.Ledger.Flush()
	return t.Records
}

// File takes the packets of a capture file, up to where it is damaged, and ends.
func (t *Tap) File(tb testing.TB, path string) []*ledger.Record {
	tb.Helper()
	file, err := capture.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	var packet capture.Packet
	for {
		var damage *capture.Damage
		err := file.Next(&packet)
		if errors.Is(err, io.EOF) || errors.As(err, &damage) {
			return t.End()
		}
		if err != nil {
			tb.Fatal(err)
		}
		t.Packet(&packet)
	}
}
