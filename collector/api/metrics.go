package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roje-ot/roje/collector/ingest"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// Metrics are the figures of a collector.
type Metrics struct {
	Registry *prometheus.Registry
	alerts   *prometheus.CounterVec
}

// NewMetrics makes the figures. Those of the sensors are read from the store when they are asked for.
func NewMetrics(fleet store.Fleet, scope store.Scope, log *slog.Logger) *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roje_alerts_total", Help: "Alerts first heard of since the collector started.",
		}, []string{"severity"}),
	}
	m.Registry.MustRegister(m.alerts, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&fleetFigures{fleet, scope, log})
	return m
}

// Handler answers in Prometheus's formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{})
}

// Intake adds the figures of the listener for sensors.
func (m *Metrics) Intake(h *ingest.Handler) {
	for _, c := range []struct {
		name, help string
		n          *atomic.Uint64
	}{
		{"batches", "Envelopes committed, repeats included.", &h.Batches},
		{"records", "Records that were new.", &h.Records},
		{"bytes", "Bytes of the envelopes committed.", &h.Bytes},
		{"refused", "Requests refused.", &h.Refused},
		{"deferred", "Requests that were told to come later.", &h.Deferred},
		{"enrolled", "Sensors that joined.", &h.Enrolled},
	} {
		m.Registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "roje_ingest_" + c.name + "_total", Help: c.help},
			func() float64 { return float64(c.n.Load()) }))
	}
}

// Follow counts changes until ctx ends or changes closes.
func (m *Metrics) Follow(ctx context.Context, changes <-chan store.Change) {
	for {
		select {
		case <-ctx.Done():
			return
		case c, ok := <-changes:
			if !ok {
				return
			}
			if c.What == "new" {
				m.alerts.WithLabelValues(c.Level.String()).Inc()
			}
		}
	}
}

// fleetFigures reads the sensors' figures at each scrape.
type fleetFigures struct {
	fleet store.Fleet
	scope store.Scope
	log   *slog.Logger
}

// A figure is one number of a sensor.
type figure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(s *store.Sensor, h *batch.Health) float64
}

func sensorFigure(name, help string, kind prometheus.ValueType, of func(*store.Sensor, *batch.Health) float64) figure {
	return figure{prometheus.NewDesc("roje_sensor_"+name, help, []string{"sensor"}, nil), kind, of}
}

var figures = []figure{
	sensorFigure("seen_timestamp_seconds", "When the sensor was last heard of, Unix time; 0 if never.", prometheus.GaugeValue, func(s *store.Sensor, _ *batch.Health) float64 {
		return unix(s.Seen)
	}),
	sensorFigure("certificate_expires_timestamp_seconds", "When the sensor's certificate expires, Unix time.", prometheus.GaugeValue, func(s *store.Sensor, _ *batch.Health) float64 {
		return unix(&s.Expires)
	}),
	sensorFigure("alerts", "Alerts of the sensor in the store.", prometheus.GaugeValue, func(s *store.Sensor, _ *batch.Health) float64 { return float64(s.Alerts) }),
	sensorFigure("lost_records_total", "Records the sensor had to drop before delivery.", prometheus.CounterValue, func(s *store.Sensor, _ *batch.Health) float64 { return float64(s.Lost) }),
	sensorFigure("missing_runs", "Runs of numbers that never arrived.", prometheus.GaugeValue, func(s *store.Sensor, _ *batch.Health) float64 { return float64(s.Gaps) }),
	sensorFigure("packets_total", "Packets the sensor saw since it started.", prometheus.CounterValue, func(_ *store.Sensor, h *batch.Health) float64 { return float64(h.Packets) }),
	sensorFigure("dropped_packets_total", "Packets the sensor's kernel lost since it started.", prometheus.CounterValue, func(_ *store.Sensor, h *batch.Health) float64 { return float64(h.Dropped) }),
	sensorFigure("incidents_today", "Incidents that have begun today at the sensor, UTC.", prometheus.GaugeValue, func(_ *store.Sensor, h *batch.Health) float64 {
		if h.Day == nil {
			return 0
		}
		return float64(h.Day.Incidents)
	}),
	sensorFigure("spool_bytes", "Bytes waiting at the sensor for delivery.", prometheus.GaugeValue, func(_ *store.Sensor, h *batch.Health) float64 { return float64(h.SpoolBytes) }),
}

func unix(t *time.Time) float64 {
	if t == nil || t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// Describe implements prometheus.Collector.
func (f *fleetFigures) Describe(ch chan<- *prometheus.Desc) {
	for _, fig := range figures {
		ch <- fig.desc
	}
}

// Collect implements prometheus.Collector.
func (f *fleetFigures) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sensors, err := f.fleet.Sensors(ctx, f.scope)
	if err != nil {
		f.log.Error("metrics", "err", err)
		for _, fig := range figures {
			ch <- prometheus.NewInvalidMetric(fig.desc, err)
		}
		return
	}
	for i := range sensors {
		s := &sensors[i]
		var h batch.Health
		if len(s.Health) > 0 {
			if err := json.Unmarshal(s.Health, &h); err != nil {
				f.log.Warn("health of a sensor cannot be read", "sensor", s.ID, "err", err)
			}
		}
		for _, fig := range figures {
			ch <- prometheus.MustNewConstMetric(fig.desc, fig.kind, fig.of(s, &h), s.ID)
		}
	}
}
