package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/attack"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/capture"
)

// A judge replays captures under the shipped rules.
type judge struct {
	lab, corpus string
	dir         string // for states
	set         []*lang.Rule
	states      map[string]string // folder by what was learned in it
}

// A verdict is what was found in one capture.
type verdict struct {
	subject
	attacks []finding
	alerts  []*rules.Alert // from where it was judged
	wrong   []wrong
	days    float64 // judged, outside all attacks
	broken  bool    // it breaks a protocol's rules on purpose
}

// A finding is what was found of one attack.
type finding struct {
	deed
	alerts    []*rules.Alert
	incidents int
	after     time.Duration // to the first alert
	order     []string      // techniques of the first incident
}

// wrong is a false incident: none of its alerts is of an attack.
type wrong struct {
	incident string
	family   string // of its worst alert
	severity rules.Severity
	rule     string
}

// public is where a capture of the corpus is.
func (j *judge) public(path string) string { return filepath.Join(j.corpus, "captures", path) }

// learned returns the folder of a state in which a capture was learned and approved, up to a packet time if that is not
// zero.
func (j *judge) learned(ctx context.Context, path string, until time.Time) (string, error) {
	return j.learnedAll(ctx, until, path)
}

// learnedAll is learned of one capture after the other.
func (j *judge) learnedAll(ctx context.Context, until time.Time, paths ...string) (string, error) {
	key := strings.Join(paths, " ") + until.String()
	if dir, ok := j.states[key]; ok {
		return dir, nil
	}
	dir := filepath.Join(j.dir, fmt.Sprint(len(j.states)))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	_, err := sensor.Judge(ctx, sensor.Replaying{Captures: paths, Phase: rules.Learn, State: dir, Until: until, Warn: io.Discard}, j.set)
	j.states[key] = dir
	return dir, err
}

// judge learns what the subject says and judges its capture. Attacks without times last as long as the capture.
func (j *judge) judge(ctx context.Context, s subject, path string, attacks []deed) (*verdict, error) {
	r := sensor.Replaying{Captures: []string{path}, Phase: rules.Enforce, State: filepath.Join(j.dir, "empty"), Warn: io.Discard}
	if s.off {
		r.Phase = rules.Off
	}
	var from time.Time // what came before is learned
	var err error
	switch {
	case s.state != "":
		r.State = s.state
	case s.until > 0:
		first, err := beginning(path)
		if err != nil {
			return nil, err
		}
		from = first.Add(s.until)
		if r.State, err = j.learned(ctx, path, from); err != nil {
			return nil, err
		}
	case s.learn != "":
		if r.State, err = j.learned(ctx, j.public(s.learn), time.Time{}); err != nil {
			return nil, err
		}
	}
	report, err := sensor.Judge(ctx, r, j.set)
	if err != nil {
		return nil, err
	}
	if from.Before(report.First) {
		from = report.First
	}
	v := &verdict{subject: s, days: report.Last.Sub(from).Hours() / 24}
	for _, a := range report.Alerts {
		if !a.First.Before(from) {
			v.alerts = append(v.alerts, a)
		}
	}
	for _, a := range attacks {
		if a.start.IsZero() {
			a.start, a.end = report.First, report.Last
		}
		v.days -= a.end.Sub(a.start).Hours() / 24
		v.attacks = append(v.attacks, find(a, v.alerts))
	}
	v.days = max(v.days, 0)
	v.falsehoods()
	return v, nil
}

// beginning is the packet time at which a capture begins.
func beginning(path string) (time.Time, error) {
	file, err := capture.Open(path)
	if err != nil {
		return time.Time{}, err
	}
	defer file.Close()
	var p capture.Packet
	err = file.Next(&p)
	return time.Unix(0, p.At).UTC(), err
}

// find gathers what was raised for an attack.
func find(a deed, alerts []*rules.Alert) finding {
	f := finding{deed: a}
	incidents := map[string][]*rules.Alert{}
	var first *rules.Alert
	for _, alert := range alerts {
		if !a.covers(alert) {
			continue
		}
		f.alerts = append(f.alerts, alert)
		incidents[alert.Incident] = append(incidents[alert.Incident], alert)
		if first == nil || alert.First.Before(first.First) {
			first = alert
		}
	}
	f.incidents = len(incidents)
	if first != nil {
		f.after = max(first.First.Sub(a.start), 0)
		f.order = attack.Order(incidents[first.Incident])
	}
	return f
}

// falsehoods gathers the incidents that are of no attack.
func (v *verdict) falsehoods() {
	of := map[string]bool{}
	for _, f := range v.attacks {
		for _, a := range f.alerts {
			of[a.Incident] = true
		}
	}
	for _, a := range v.alerts {
		if of[a.Incident] {
			continue
		}
		i := slices.IndexFunc(v.wrong, func(w wrong) bool { return w.incident == a.Incident })
		if i < 0 {
			i = len(v.wrong)
			v.wrong = append(v.wrong, wrong{incident: a.Incident})
		}
		if w := &v.wrong[i]; w.rule == "" || a.Severity > w.severity {
			w.family, w.severity, w.rule = rules.FamilyOf(a.Rule), a.Severity, a.Rule
		}
	}
}

// recall is how many attacks were found, and how many there are.
func (v *verdict) recall() (n, of int) {
	for _, f := range v.attacks {
		if len(f.alerts) > 0 {
			n++
		}
	}
	return n, len(v.attacks)
}
