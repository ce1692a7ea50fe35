package sensor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/coverage"
	"github.com/roje-ot/roje/sensor/flow"
)

// A reader takes packets from one source. One goroutine runs it; its counters may be read at any time.
type reader struct {
	name     string
	tier     string // how it captures, in words
	source   capture.Source
	table    *flow.Table
	pipeline *Pipeline
	port     *port // nil where the source is recorded files
	cover    *coverage.Source
	delivery delivery // what is left out
	ticked   int64    // packet time at which the rules that wait were last looked at
	pace     float64  // packet seconds per second, of recorded files; 0 is as fast as possible

	packets, bytes, messages atomic.Uint64
	published                atomic.Pointer[account]
}

// newReader makes a reader whose findings go, one at a time, to the daemon's baseline, ledger and rules.
func (d *daemon) newReader(name, tier string, source capture.Source) *reader {
	r := &reader{name: name, tier: tier, source: source}
	r.pipeline = &Pipeline{Events: &Lines{},
		Know:   d.know,
		Record: func(e *rules.Event) { d.acts.Take(e); d.desk.Event(e) },
		Judge:  d.decide,
		Over:   func(conn uint64, ended, unseen bool) { d.acts.Closed(conn, ended, unseen) },
		Base:   connections * uint64(len(d.readers)),
	}
	r.table = flow.New(flow.Config{Protocols: catalog.All}, r.pipeline.Handler())
	r.cover = d.cover.book.Source(name, r.table)
	r.pipeline.Closed = r.cover.Closed
	return r
}

// publishEvery is how many packets are read between two times that their counts are published.
const publishEvery = 64

// read runs r until its source ends or ctx does. The lock is held while packets are worked on, not while waiting for
// them.
func (d *daemon) read(ctx context.Context, r *reader) error {
	var p capture.Packet
	pacer := newPacer(r.pace)
	defer func() {
		d.mu.Lock()
		r.table.Flush()
		d.mu.Unlock()
		r.count(true)
	}()
	for ctx.Err() == nil {
		err := r.source.Next(&p)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, capture.ErrIdle):
			d.mu.Lock()
			r.table.Tick(time.Now().UnixNano())
			d.desk.Tick(time.Now().UnixNano())
			d.judge.Tick(time.Now().UnixNano())
			d.account(r, time.Now().UnixNano())
			d.mu.Unlock()
			r.count(true)
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if !pacer.wait(ctx, p.At) {
			return nil
		}
		if r.delivery.is(&p) {
			r.delivery.count++
		} else {
			d.mu.Lock()
			d.desk.Packet(&p)
			r.table.Packet(&p)
			if p.At-r.ticked >= int64(time.Second) { // packets may come that are of no protocol of ours
				r.ticked = p.At
				d.judge.Tick(p.At)
				d.account(r, p.At)
			}
			d.mu.Unlock()
		}
		r.packets.Add(1)
		r.bytes.Add(uint64(p.OrigLen))
		if p.Frame%publishEvery == 0 || r.pace > 0 {
			r.count(false)
		}
	}
	return nil
}

// count publishes what the table has counted, and, in a pause or once a second, what became of every frame.
func (r *reader) count(pause bool) {
	r.messages.Store(r.pipeline.Messages)
	if now := time.Now(); pause || now.Sub(r.account().At) >= accountEvery {
		r.take(now)
	}
}

// A pacer holds packets back until their time has come.
type pacer struct {
	pace  float64
	first int64 // packet time
	start time.Time
}

func newPacer(pace float64) *pacer { return &pacer{pace: pace} }

// wait returns false when ctx ends first.
func (p *pacer) wait(ctx context.Context, at int64) bool {
	if p.pace == 0 {
		return true
	}
	if p.first == 0 {
		p.first, p.start = at, time.Now()
	}
	due := p.start.Add(time.Duration(float64(at-p.first) / p.pace))
	delay := time.Until(due)
	if delay <= 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
