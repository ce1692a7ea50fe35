package receive

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	descMissing = prometheus.NewDesc("roje_receive_missing_records", "Records of a sensor that were sent and never came.", []string{"sensor"}, nil)
	descSilent  = prometheus.NewDesc("roje_receive_silent", "1 while nothing comes of a sensor.", []string{"sensor"}, nil)
	descHeard   = prometheus.NewDesc("roje_receive_heard_timestamp_seconds", "When something last came of a sensor, Unix time.", []string{"sensor"}, nil)
)

var _ prometheus.Collector = (*Receiver)(nil)

// counters are the figures without labels.
func (r *Receiver) counters() []counter {
	return []counter{
		{"datagrams", "Datagrams that could be read.", &r.Datagrams},
		{"damaged", "Datagrams that could not be read.", &r.Damaged},
		{"abandoned", "Envelopes that never became whole.", &r.Abandoned},
		{"envelopes", "Envelopes committed, repeats included.", &r.Envelopes},
		{"records", "Records that were new.", &r.Records},
		{"refused", "Envelopes refused.", &r.Refused},
	}
}

type counter struct {
	name, help string
	n          *atomic.Uint64
}

func (c *counter) desc() *prometheus.Desc {
	return prometheus.NewDesc("roje_receive_"+c.name+"_total", c.help, nil, nil)
}

// Describe implements prometheus.Collector.
func (r *Receiver) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range r.counters() {
		ch <- c.desc()
	}
	ch <- descMissing
	ch <- descSilent
	ch <- descHeard
}

// Collect implements prometheus.Collector.
func (r *Receiver) Collect(ch chan<- prometheus.Metric) {
	for _, c := range r.counters() {
		ch <- prometheus.MustNewConstMetric(c.desc(), prometheus.CounterValue, float64(c.n.Load()))
	}
	r.watch.mu.Lock()
	defer r.watch.mu.Unlock()
	for id, s := range r.watch.sensors {
		missing, silent := uint64(0), 0.0
		for _, g := range s.missing {
			missing += g.To - g.From + 1
		}
		if s.silent {
			silent = 1
		}
		ch <- prometheus.MustNewConstMetric(descMissing, prometheus.GaugeValue, float64(missing), id)
		ch <- prometheus.MustNewConstMetric(descSilent, prometheus.GaugeValue, silent, id)
		ch <- prometheus.MustNewConstMetric(descHeard, prometheus.GaugeValue, float64(s.last.UnixMilli())/1000, id)
	}
}
