package sensor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/ship"
)

// metrics is what /metrics and the health record tell. Values are read when they are asked for.
type metrics struct {
	d *daemon
}

// A gauge is one metric without labels.
type gauge struct {
	name, help string
	kind       prometheus.ValueType
	read       func(*metrics) float64
}

var gauges = []gauge{
	{"roje_alerts_total", "Alerts raised.", prometheus.CounterValue, func(m *metrics) float64 { return float64(m.d.box.raised.Load()) }},
	{"roje_records_unsaved", "Records that wait because the disk takes none.", prometheus.GaugeValue, func(m *metrics) float64 { return float64(m.d.box.unsaved.Load()) }},
	{"roje_spool_bytes", "Bytes that wait to be delivered.", prometheus.GaugeValue, func(m *metrics) float64 { return float64(m.d.spool.Stats().Bytes) }},
	{"roje_spool_lost_total", "Records dropped because the spool was full.", prometheus.CounterValue, func(m *metrics) float64 { return float64(m.d.spool.Stats().Lost) }},
	{"roje_sent_frames_total", "Frames that a watched port has sent, by its own count. Must be 0.", prometheus.CounterValue, func(m *metrics) float64 { return float64(m.d.passive.sent()) }},
	{"roje_backlog_dropped_total", "Frames that the host dropped before any interface's filter saw them, since it was booted.", prometheus.CounterValue, func(*metrics) float64 { return float64(backlogDropped()) }},
}

var (
	perSource = []string{"source", "tier"}
	packets   = prometheus.NewDesc("roje_packets_total", "Packets read.", perSource, nil)
	bytesRead = prometheus.NewDesc("roje_bytes_total", "Bytes of packets read.", perSource, nil)
	messages  = prometheus.NewDesc("roje_messages_total", "Protocol messages decoded.", perSource, nil)
	dropped   = prometheus.NewDesc("roje_dropped_total", "Packets that the ring had no room for.", perSource, nil)
	became    = prometheus.NewDesc("roje_frames_total", "Frames that came to the interface, by what became of each.", []string{"source", "bucket"}, nil)
	waiting   = prometheus.NewDesc("roje_frames_waiting", "Frames in the ring that are not read yet.", []string{"source"}, nil)
	stamped   = prometheus.NewDesc("roje_stamps_total", "Frames by who took their time.", []string{"source", "by"}, nil)
	merged    = prometheus.NewDesc("roje_merged_frames_total", "Frames that the host had put together from several: timing and counts are degraded.", []string{"source"}, nil)
	portSent  = prometheus.NewDesc("roje_port_sent_frames_total", "Frames that the interface has sent, by its own count. Must be 0.", []string{"source"}, nil)
	portTried = prometheus.NewDesc("roje_port_tried_frames_total", "Frames that somebody tried to send, and the kernel dropped. Must be 0.", []string{"source"}, nil)
	portUp    = prometheus.NewDesc("roje_port_up", "1 while the interface has a link.", []string{"source", "state"}, nil)
	build     = prometheus.NewDesc("roje_sensor_info", "Always 1.", []string{"version", "phase", "passivity"}, nil)
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, out) }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, g := range gauges {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(g.name, g.help, nil, nil), g.kind, g.read(m))
	}
	for _, r := range m.d.readers {
		for _, v := range []struct {
			desc  *prometheus.Desc
			value uint64
		}{{packets, r.packets.Load()}, {bytesRead, r.bytes.Load()}, {messages, r.messages.Load()}, {dropped, r.account().RingFull}} {
			out <- prometheus.MustNewConstMetric(v.desc, prometheus.CounterValue, float64(v.value), r.name, r.tier)
		}
		r.collect(out)
	}
	m.d.rules.collect(out)
	m.d.collectEvents(out)
	m.d.collectIncidents(out)
	m.d.collectBaseline(out)
	out <- prometheus.MustNewConstMetric(build, prometheus.GaugeValue, 1, m.d.version, m.d.phase(), m.d.passive.level())
}

// openAdmin serves /metrics and /healthz, if the configuration asks for it.
func (d *daemon) openAdmin() (func() error, error) {
	if d.cfg.Admin == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", d.cfg.Admin)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	registry := prometheus.NewRegistry()
	if err := registry.Register(d.metrics); err != nil {
		return listener.Close, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /coverage", d.serveCoverage)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("POST /rules/reload", d.reloadAction())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := server.Shutdown(ctx)
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return err
	}, nil
}

// reportHealth puts a health record on its way.
func (d *daemon) reportHealth() {
	stats := d.spool.Stats()
	h := batch.Health{
		At: time.Now().UTC(), Version: d.version, UptimeS: int64(time.Since(d.began).Seconds()), Phase: d.phase(),
		Alerts: d.box.raised.Load(), Lost: stats.Lost, SpoolBytes: stats.Bytes, Spooled: stats.Records(), Passive: d.passive.level(),
	}
	h.Rules, h.Events, h.Day = d.rules.health(), d.eventHealth(), d.dayHealth()
	if d.sent != nil {
		h.Sent = d.sent()
	}
	if client, ok := d.shipper.(*ship.Client); ok && client.LastAck.Load() != 0 {
		ms := time.Duration(client.Offset.Load()).Milliseconds()
		h.ClockMS = &ms
	}
	for _, r := range d.readers {
		h.Interfaces = append(h.Interfaces, r.name)
		h.Packets += r.packets.Load()
		h.Messages += r.messages.Load()
		h.Dropped += r.account().RingFull
		if r.port != nil {
			h.Ports = append(h.Ports, r.health())
		}
	}
	d.coverHealth(&h)
	h.Baseline, h.Taps = d.baselineHealth(), d.cfg.Taps
	if sent := d.passive.sent(); sent > 0 {
		h.Passive = fmt.Sprintf("BROKEN: the watched ports have sent %d frames", sent)
		d.log.Error("a watched port has sent", "frames", sent)
	}
	d.box.json(batch.KindHealth, batch.Vital, h.At, h)
}
