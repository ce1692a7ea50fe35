package sensor

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roje-ot/roje/rules/batch"
)

// A Budget is how many incidents may begin in a day before those of low severity and less are gathered into one.
type Budget struct {
	Site  int `yaml:"site"`  // in all; default 10
	Asset int `yaml:"asset"` // of one host; default 3
}

func (b Budget) check() error {
	if b.Site < 0 || b.Asset < 0 {
		return errors.New("budget: site and asset are how many incidents may begin in a day; they cannot be less than 0")
	}
	return nil
}

// dayHealth says how many incidents have begun today.
func (d *daemon) dayHealth() *batch.DayHealth {
	d.mu.Lock()
	today, before, known := d.judge.Today()
	d.mu.Unlock()
	h := &batch.DayHealth{Begin: today.Begin, Incidents: today.Incidents, Budget: today.Budget, Gathered: today.Gathered, Digest: today.Digest}
	if known {
		h.Before = &before
	}
	for _, n := range today.Noisy {
		h.Noisy = append(h.Noisy, batch.NoisyRule(n))
	}
	return h
}

var (
	incidentsBegun = prometheus.NewDesc("roje_incidents_total", "Incidents that have begun.", nil, nil)
	alertsGathered = prometheus.NewDesc("roje_alerts_gathered_total", "Alerts of low severity and less that are in the digest of a day, since the day's budget was used up.", nil, nil)
	incidentsToday = prometheus.NewDesc("roje_incidents_today", "Incidents that have begun today (UTC).", nil, nil)
	dayBudget      = prometheus.NewDesc("roje_incidents_budget", "Incidents of a day after which those of low severity and less are gathered into one.", nil, nil)
)

// collectIncidents gives the metrics of the incidents.
func (d *daemon) collectIncidents(out chan<- prometheus.Metric) {
	d.mu.Lock()
	today, _, _ := d.judge.Today()
	all := d.judge.Totals()
	d.mu.Unlock()
	out <- prometheus.MustNewConstMetric(incidentsBegun, prometheus.CounterValue, float64(all.Incidents))
	out <- prometheus.MustNewConstMetric(alertsGathered, prometheus.CounterValue, float64(all.Gathered))
	out <- prometheus.MustNewConstMetric(incidentsToday, prometheus.GaugeValue, float64(today.Incidents))
	out <- prometheus.MustNewConstMetric(dayBudget, prometheus.GaugeValue, float64(today.Budget))
}
