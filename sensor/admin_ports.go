package sensor

import (
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/flow"
)

// frames says what became of every frame that came to a source's interface, by words. Each frame is in one of them: the
// interface's own, the filter's and the ring's buckets, what waits, and those of package flow.
func (r *reader) frames(a *account) map[string]uint64 {
	all := map[string]uint64{"filtered": a.Filtered, "ring_full": a.RingFull, "own_delivery": a.Own}
	if r.port != nil {
		n := r.port.view().nic
		all["nic_missed"], all["nic_dropped"] = n.Missed, n.Dropped
	}
	for b, n := range a.Flow.Buckets {
		all[flow.Bucket(b).String()] = n
	}
	return all
}

// stamps are the sources of time, by words.
func (a *account) stamps() map[string]uint64 {
	return map[string]uint64{"hardware": a.Stamps.Hardware, "driver": a.Stamps.Driver, "kernel": a.Stamps.Kernel}
}

// collect gives the metrics of a source with a port, or the buckets of recorded files.
func (r *reader) collect(out chan<- prometheus.Metric) {
	a := r.account()
	for bucket, n := range r.frames(&a) {
		out <- prometheus.MustNewConstMetric(became, prometheus.CounterValue, float64(n), r.name, bucket)
	}
	if r.port == nil {
		return
	}
	for by, n := range a.stamps() {
		out <- prometheus.MustNewConstMetric(stamped, prometheus.CounterValue, float64(n), r.name, by)
	}
	v := r.port.view()
	up := 0.0
	if v.state == "up" {
		up = 1
	}
	out <- prometheus.MustNewConstMetric(waiting, prometheus.GaugeValue, float64(a.Waiting), r.name)
	out <- prometheus.MustNewConstMetric(merged, prometheus.CounterValue, float64(a.Merged), r.name)
	out <- prometheus.MustNewConstMetric(portSent, prometheus.CounterValue, float64(v.nic.Sent), r.name)
	out <- prometheus.MustNewConstMetric(portTried, prometheus.CounterValue, float64(v.tried), r.name)
	out <- prometheus.MustNewConstMetric(portUp, prometheus.GaugeValue, up, r.name, v.state)
}

// health is the port's part of the health record.
func (r *reader) health() batch.Port {
	a, v := r.account(), r.port.view()
	p := batch.Port{Name: r.name, State: v.state, Tier: r.tier, Frames: r.frames(&a), Merged: a.Merged, Stamps: a.stamps(), Sent: v.nic.Sent, Tried: v.tried}
	p.Frames["waiting"] = a.Waiting
	if v.name != r.name {
		p.Now = v.name
	}
	return p
}

// backlogDropped sums what the host's CPUs have dropped of what waited for them, since it was booted: the second column
// of softnet_stat. It is known for the host and not for an interface.
func backlogDropped() (sum uint64) {
	text, err := os.ReadFile("/proc/net/softnet_stat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 {
			n, err := strconv.ParseUint(f[1], 16, 64)
			if err == nil {
				sum += n
			}
		}
	}
	return sum
}
