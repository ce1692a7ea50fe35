package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/rules"
)

// A deed is one attack, which must be found.
type deed struct {
	name       string
	start, end time.Time
	hosts      []string // of whom an alert must name one; empty: any
	technique  string   // that its first incident must be said to be first; "" where nobody says
	most       time.Duration
}

// grace is how long after its end an attack is still found (README of the corpus, point 9).
const grace = time.Minute

// covers tells whether an alert is of the attack.
func (a *deed) covers(alert *rules.Alert) bool {
	if alert.First.After(a.end.Add(grace)) || alert.Last.Before(a.start) {
		return false
	}
	return len(a.hosts) == 0 || slices.ContainsFunc(a.hosts, func(host string) bool { return names(alert, host) })
}

// names tells whether an alert is about a host.
func names(a *rules.Alert, host string) bool {
	if a.Client == host || a.Server == host {
		return true
	}
	return slices.ContainsFunc(strings.FieldsFunc(a.Title, notAddress), func(word string) bool { return strings.Trim(word, ".:") == host })
}

func notAddress(r rune) bool {
	return r != '.' && r != ':' && (r < '0' || r > '9') && (r < 'a' || r > 'f')
}

// A label is what labels.json says of a capture.
type label struct {
	Kind    string
	What    string
	Windows [][2]float64
	Events  []struct {
		Start, End float64
		Attack     string
		Hosts      []string
	}
}

func readLabels(corpus string) (map[string]label, error) {
	labels := map[string]label{}
	return labels, readJSON(filepath.Join(corpus, "labels.json"), &labels)
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// at is a time of labels.json: seconds since 1970.
func at(seconds float64) time.Time {
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e6)*1000).UTC()
}

// attacks are those of a capture. Where labels.json has no times, the whole capture is one: start and end are zero.
func (l *label) attacks(s *subject) (all []deed) {
	for _, e := range l.Events {
		hosts := append(append([]string(nil), s.hosts...), e.Hosts...)
		all = append(all, deed{name: e.Attack, start: at(e.Start), end: at(e.End), hosts: hosts})
	}
	if len(l.Events) == 0 {
		for _, w := range l.Windows {
			all = append(all, deed{start: at(w[0]), end: at(w[1]), hosts: s.hosts, technique: s.technique, most: s.most})
		}
	}
	if len(all) == 0 && l.Kind != "benign" {
		all = []deed{{hosts: s.hosts, technique: s.technique, most: s.most}}
	}
	for i := range all {
		if all[i].name == "" {
			all[i].name = s.name
		}
	}
	return all
}

// A labCapture is what the lab says of a capture that it made.
type labCapture struct {
	File string
	Acts []labAct
}

type labAct struct {
	Act        string
	Start, End time.Time
	Actor      string   `json:"actor_addr"`
	Victims    []string `json:"victim_addrs"`
	Technique  string
	Malformed  bool
}

func readLab(dir string) ([]labCapture, error) {
	var truth struct{ Captures []labCapture }
	return truth.Captures, readJSON(filepath.Join(dir, "acts.json"), &truth)
}

// attacks are the acts of attack of a capture.
func (c *labCapture) attacks() (all []deed) {
	for _, act := range c.Acts {
		var hosts []string
		for _, h := range append([]string{act.Actor}, act.Victims...) {
			if _, err := netip.ParseAddr(h); err == nil {
				hosts = append(hosts, h)
			}
		}
		all = append(all, deed{name: act.Act, start: act.Start, end: act.End, hosts: hosts, technique: act.Technique})
	}
	return all
}
