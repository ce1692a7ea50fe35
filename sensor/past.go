package sensor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/events"
)

const (
	noEvents           = "off" // in place of the folder: none are kept
	defaultEventsBytes = 512 << 20
	defaultEventsDays  = 30
)

// openEvents opens the store of what was judged, for back-tests.
func (d *daemon) openEvents() (func() error, error) {
	if d.cfg.Events == "" || d.cfg.Events == noEvents {
		return nil, nil
	}
	store, err := events.Open(events.Options{Dir: d.cfg.Events, Bytes: d.cfg.EventsBytes, Days: d.cfg.EventsDays, Protocols: catalog.All, Failed: func(err error) {
		if err != nil {
			d.log.Error("events are not kept for back-tests", "err", err)
		} else {
			d.log.Info("events are kept again")
		}
	}})
	d.past = store
	return store.Close, err
}

// decide keeps an event and lets the rules judge it. It is called under mu.
func (d *daemon) decide(e *rules.Event) {
	d.past.Take(e)
	d.judge.Judge(e)
	d.rehearsal.rehearse(e)
}

// eventHealth says what is kept; nil where nothing is.
func (d *daemon) eventHealth() *batch.EventHealth {
	if d.past == nil {
		return nil
	}
	s := d.past.Stats()
	h := &batch.EventHealth{Kept: s.Taken, Dropped: s.Dropped, Bytes: s.Bytes}
	if !s.Oldest.IsZero() {
		h.DaysBack = time.Since(s.Oldest).Hours() / 24
	}
	return h
}

var (
	eventsKept    = prometheus.NewDesc("roje_events_kept_total", "Events kept for back-tests.", nil, nil)
	eventsDropped = prometheus.NewDesc("roje_events_dropped_total", "Events not kept for back-tests because the disk was too slow or took nothing. They were judged.", nil, nil)
	eventsBytes   = prometheus.NewDesc("roje_events_bytes", "Bytes of kept events on disk.", nil, nil)
)

// collectEvents gives the metrics of the store.
func (d *daemon) collectEvents(out chan<- prometheus.Metric) {
	s := d.past.Stats()
	out <- prometheus.MustNewConstMetric(eventsKept, prometheus.CounterValue, float64(s.Taken))
	out <- prometheus.MustNewConstMetric(eventsDropped, prometheus.CounterValue, float64(s.Dropped))
	out <- prometheus.MustNewConstMetric(eventsBytes, prometheus.GaugeValue, float64(s.Bytes))
}
