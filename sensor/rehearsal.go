package sensor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/course"
)

// A rehearsal judges what is being learned by a candidate: a copy of the baseline as if what waits were approved. What it
// would raise is counted, and goes nowhere. The candidate is a day old at most, and learns nothing: traffic is held
// against what was learned before it. It is guarded by the daemon's mu.
type rehearsal struct {
	tally prospect
	base  *baseline.Baseline // the candidate; nil while there is none
	judge *engine.Engine
	event rules.Event
	book  *Rulebook // whose rules the engine has
	made  int64     // packet time of the candidate
	tried int64     // packet time of the last attempt to make one

	pause func(client, server netip.Addr, at int64) bool // work is done there: nothing is judged
}

const (
	rehearsalFile  = "rehearsal.json"
	rehearsalDays  = 14               // days of packet time that are kept
	candidateAge   = 24 * 3600e9      // after which a candidate is made anew, ns of packet time
	candidateRetry = 600 * int64(1e9) // between attempts where nothing was seen often enough
)

// A prospect is what was counted, as it is kept in the state folder.
type prospect struct {
	Classes []baseline.Class `json:"classes"` // of what waits that count as approved
	Days    []*prospectDay   `json:"days"`    // oldest first

	incident map[string]bool // of today
}

// A prospectDay is a day of packet time.
type prospectDay struct {
	Day       int64             `json:"day"` // since 1970
	First     int64             `json:"first"`
	Last      int64             `json:"last"`
	Incidents uint64            `json:"incidents"`
	Alerts    map[string]uint64 `json:"alerts"` // by family of rules
	Example   map[string]string `json:"example"`
}

// rehearsed are the classes that a candidate has, unless a person has chosen others.
var rehearsed = []baseline.Class{baseline.Listed, baseline.Reads, baseline.Commands, baseline.Mixed}

// day returns the entry of a packet time.
func (t *prospect) day(at int64) *prospectDay {
	n := at / (24 * 3600e9)
	if last := len(t.Days) - 1; last >= 0 && t.Days[last].Day >= n {
		return t.Days[last]
	}
	if len(t.Days) >= rehearsalDays {
		t.Days = t.Days[1:]
	}
	t.Days = append(t.Days, &prospectDay{Day: n, First: at, Last: at, Alerts: map[string]uint64{}, Example: map[string]string{}})
	t.incident = map[string]bool{}
	return t.Days[len(t.Days)-1]
}

// raised counts an alert when it is first raised.
func (t *prospect) raised(a *rules.Alert) {
	if a.Count > 1 {
		return // its repeats are over
	}
	d, family := t.day(a.Last.UnixNano()), rules.FamilyOf(a.Rule)
	d.Alerts[family]++
	d.Example[family] = a.Title
	if t.incident == nil {
		t.incident = map[string]bool{}
	}
	if !t.incident[a.Incident] {
		t.incident[a.Incident] = true
		d.Incidents++
	}
}

// health sums the days up.
func (t *prospect) health(ready bool) *batch.ShadowHealth {
	h := &batch.ShadowHealth{Alerts: map[string]uint64{}, Ready: ready}
	var judged int64
	for i, d := range t.Days {
		if i == 0 {
			h.Since = time.Unix(0, d.First).UTC()
		}
		judged += d.Last - d.First
		h.Incidents += d.Incidents
		for family, n := range d.Alerts {
			h.Alerts[family] += n
		}
	}
	h.Days = float64(judged) / (24 * 3600e9)
	h.ADay = float64(h.Incidents) / max(h.Days, 1)
	return h
}

// rehearse judges an event that is being learned by the candidate. It is called under mu, after the baseline.
func (r *rehearsal) rehearse(e *rules.Event) {
	if r.base == nil || e.Facts.Phase != rules.Learn || r.pause != nil && r.pause(e.Flow.Client.Addr(), e.Flow.Server.Addr(), e.At) {
		return
	}
	r.event = *e
	r.base.Judge(&r.event)
	if e.What == rules.Action {
		r.event.Facts = e.Facts // of its command, as it was learned
	}
	r.tally.day(e.At).Last = e.At
	r.judge.Judge(&r.event)
}

// openRehearsal takes up what was counted before.
func (d *daemon) openRehearsal() (func() error, error) {
	d.rehearsal.tally.Classes = rehearsed
	text, err := os.ReadFile(filepath.Join(d.cfg.State, rehearsalFile))
	if err == nil {
		err = json.Unmarshal(text, &d.rehearsal.tally)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("what would have been raised is counted anew", "err", err)
		d.rehearsal.tally = prospect{Classes: rehearsed}
	}
	d.rehearsal.tally.Days = slices.DeleteFunc(d.rehearsal.tally.Days, func(day *prospectDay) bool { return day == nil || day.Alerts == nil || day.Example == nil })
	return nil, nil
}

// prepareRehearsal makes a candidate where one is due. It is called now and then.
func (d *daemon) prepareRehearsal() error {
	r := &d.rehearsal
	d.rules.mu.Lock()
	inForce := d.rules.book
	d.rules.mu.Unlock()
	d.mu.Lock()
	now := d.judgeTime()
	var make func() (*baseline.Baseline, error)
	switch {
	case !d.base.Learning(), r.base != nil && !d.base.Copies():
		r.base, r.judge, r.made, r.tried = nil, nil, 0, 0
	case now == 0:
	case r.base != nil && now-r.made < candidateAge && r.book == inForce:
	case r.base == nil && r.tried != 0 && now-r.tried < candidateRetry:
	default:
		make = d.base.Candidate(r.tally.Classes, time.Now())
		r.tried = now
	}
	d.mu.Unlock()
	if make == nil {
		return nil
	}
	base, err := make()
	if err != nil || base == nil {
		return err
	}
	book, err := LoadRulebook(d.cfg.RuleFiles(), time.Now()) // its own, since exceptions count what they keep back
	if err != nil {
		return err
	}
	judge := engine.New(book.Rules, engine.Options{Sensor: d.cfg.Name, Emit: r.tally.raised})
	d.mu.Lock()
	r.base, r.judge, r.made, r.book = base, judge, now, inForce
	d.mu.Unlock()
	return nil
}

// keepRehearsal saves what was counted, and logs what went wrong.
func (d *daemon) keepRehearsal() {
	d.saving.Lock()
	defer d.saving.Unlock()
	d.mu.Lock()
	text, err := json.Marshal(&d.rehearsal.tally)
	used := len(d.rehearsal.tally.Days) > 0
	d.mu.Unlock()
	if err == nil && used {
		err = replaceFile(filepath.Join(d.cfg.State, rehearsalFile), text, 0o600)
	}
	if err != nil {
		d.log.Error("what would be raised is not saved", "err", err)
	}
}

// A RehearsalOrder asks a running sensor what it would have raised.
type RehearsalOrder struct {
	Who     string           `json:"who,omitempty"`
	Begin   bool             `json:"begin,omitempty"`   // anew, with these classes
	Classes []baseline.Class `json:"classes,omitempty"` // that count as approved
}

// RehearsalOrders is the name under which a running sensor takes a RehearsalOrder.
const RehearsalOrders = "rehearsal"

// askRehearsal carries out an order.
func (d *daemon) askRehearsal(o *RehearsalOrder, by func(string) string) (baseline.Answer, error) {
	r := &d.rehearsal
	if o.Begin {
		d.mu.Lock()
		r.tally = prospect{Classes: o.Classes}
		r.base, r.judge, r.made, r.tried = nil, nil, 0, 0
		d.mu.Unlock()
		d.log.Info("what would be raised is counted anew", "who", by(o.Who), "as if approved", o.Classes)
		if err := d.prepareRehearsal(); err != nil {
			return nil, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h, classes, learning := r.tally.health(r.base != nil), slices.Clone(r.tally.Classes), d.base.Learning()
	copies := d.base.Copies()
	examples := map[string]string{}
	for _, day := range r.tally.Days {
		maps.Copy(examples, day.Example)
	}
	return func(out io.Writer) error {
		switch {
		case !learning:
			fmt.Fprintln(out, "nothing is being learned: what is approved is enforced")
		case !copies:
			fmt.Fprintln(out, baseline.ErrLarge)
		case !h.Ready:
			fmt.Fprintf(out, "nothing of %v was seen often enough yet; `roje-sensor baseline propose` shows what was\n", classes)
		}
		if h.Since.IsZero() {
			return nil
		}
		fmt.Fprintf(out, "as if %v were approved, since %s: would have raised %.1f incidents a day, %d in %.1f days\n", classes, h.Since.Format("2006-01-02 15:04"), h.ADay, h.Incidents, h.Days)
		for _, family := range slices.SortedFunc(maps.Keys(h.Alerts), func(x, y string) int { return int(h.Alerts[y]) - int(h.Alerts[x]) }) {
			fmt.Fprintf(out, "%6d  %s, such as: %s\n", h.Alerts[family], family, examples[family])
		}
		return nil
	}, nil
}

// baselineHealth says how far learning has come; nil where there is nothing to say.
func (d *daemon) baselineHealth() *batch.BaselineHealth {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := &batch.BaselineHealth{}
	if d.base.Learning() {
		h.Shadow = d.rehearsal.tally.health(d.rehearsal.base != nil)
	}
	h.Windows, h.Full = d.workHealth(), d.base.Full()
	if d.base.Phase() == rules.Enforce {
		h.Stale = d.base.CountStale(d.judgeTime())
		for _, drift := range d.base.Drifts() {
			h.Drifts++
			if drift.Bound {
				h.Bound++
			}
		}
	}
	if h.Shadow == nil && h.Windows == nil && h.Stale == 0 && h.Drifts == 0 && len(h.Full) == 0 {
		return nil
	}
	return h
}

// sayStale says, at most once a day, which approved items have not been seen for their age limit, and which measured points
// drift farther than may be adapted to.
func (d *daemon) sayStale() {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.judgeTime()
	day := now / (24 * 3600e9)
	if now == 0 || day == d.staleDay || d.base.Phase() != rules.Enforce {
		return
	}
	d.staleDay = day
	var bound []course.Drift
	for _, drift := range d.base.Drifts() {
		if drift.Bound {
			bound = append(bound, drift)
		}
	}
	if len(bound) > 0 {
		b := bound[0]
		d.box.alert(d.notice("sensor-baseline-drift", fmt.Sprint(day), time.Unix(0, now), fmt.Sprintf(
			"%d measured points drift farther than a week may widen their range, such as %s %d of station %d of %s: learned %g to %g, now %g to %g. `roje-sensor baseline drift` lists them, `baseline relearn` learns a host anew.",
			len(bound), b.Kind, b.Addr, b.Station, b.Server, b.Low, b.High, b.Lower, b.More)))
	}
	stale := d.base.Stale(now)
	if len(stale) == 0 {
		return
	}
	d.box.alert(d.notice("sensor-baseline-stale", fmt.Sprint(day), time.Unix(0, now), fmt.Sprintf(
		"%d items of the approved baseline used to be there and were not seen for their age limit, such as: %s. `roje-sensor baseline stale` lists them, `baseline retire` takes them out.",
		len(stale), stale[0].Key())))
}

var (
	wouldRaise   = prometheus.NewDesc("roje_baseline_would_raise", "Alerts that enforcing what is being learned would have raised in the last 14 days.", []string{"family"}, nil)
	workWithheld = prometheus.NewDesc("roje_maintenance_withheld", "Alerts that maintenance which goes on has kept back.", []string{"id"}, nil)
	driftPoints  = prometheus.NewDesc("roje_baseline_drifts", "Measured points whose range was widened while it was enforced.", []string{"at_bound"}, nil)
	staleItems   = prometheus.NewDesc("roje_baseline_stale", "Approved items that were not seen for their age limit.", nil, nil)
	fullTables   = prometheus.NewDesc("roje_baseline_full_total", "What found no room in a full table of the baseline, and is not learned.", []string{"table"}, nil)
	wouldADay    = prometheus.NewDesc("roje_baseline_would_raise_incidents_a_day", "Incidents a day that enforcing what is being learned would raise.", nil, nil)
)

// collectBaseline gives the metrics of learning.
func (d *daemon) collectBaseline(out chan<- prometheus.Metric) {
	h := d.baselineHealth()
	if h == nil {
		return
	}
	out <- prometheus.MustNewConstMetric(driftPoints, prometheus.GaugeValue, float64(h.Drifts-h.Bound), "no")
	out <- prometheus.MustNewConstMetric(driftPoints, prometheus.GaugeValue, float64(h.Bound), "yes")
	out <- prometheus.MustNewConstMetric(staleItems, prometheus.GaugeValue, float64(h.Stale))
	for table, n := range h.Full {
		out <- prometheus.MustNewConstMetric(fullTables, prometheus.CounterValue, float64(n), table)
	}
	for _, w := range h.Windows {
		out <- prometheus.MustNewConstMetric(workWithheld, prometheus.GaugeValue, float64(w.Withheld), w.ID)
	}
	if s := h.Shadow; s != nil {
		out <- prometheus.MustNewConstMetric(wouldADay, prometheus.GaugeValue, s.ADay)
		for family, n := range s.Alerts {
			out <- prometheus.MustNewConstMetric(wouldRaise, prometheus.GaugeValue, float64(n), family)
		}
	}
}
