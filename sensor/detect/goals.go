package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/rules"
)

// A goal is a row of the goals of detection.
type goal struct {
	id, data, target, got string
	met                   bool
	closest               string // why the data are not those of the goal; "" where they are
}

func (g goal) verdict() string {
	text := "met"
	if !g.met {
		text = "NOT MET"
	}
	if g.closest != "" {
		text += ", closest at hand: " + g.closest
	}
	return text
}

// of picks the verdicts of a data set: all, or those of the given names.
func (r *report) of(set string, names ...string) (all []*verdict) {
	for _, v := range r.verdicts {
		if v.set == set && (len(names) == 0 || slices.Contains(names, v.name)) {
			all = append(all, v)
		}
	}
	return all
}

// goals holds what was judged against the targets. Rows whose data are not there are left out, and said.
func goals(ctx context.Context, j *judge, r *report) ([]goal, error) {
	var all []goal
	add := func(g goal, of []*verdict) {
		if len(of) == 0 {
			r.skipped = append(r.skipped, g.id+", "+g.data+": no data")
			return
		}
		all = append(all, g)
	}
	const lab = "of the lab"
	scenarios := r.of("Brno")
	add(quick("G1", "Brno, 4 of the 9 attacks", "every one; commands and scans in 1m, slow denial of service in 15m, silence in 3 pauses + 5s; at most 2 incidents each", "", scenarios), scenarios)
	scenarios = r.of("lab act", "iec104-on-off", "iec104-toggle", "iec104-ioa-sweep", "iec104-file-transfer", "iec104-rogue-master")
	for _, v := range scenarios {
		for i := range v.attacks {
			v.attacks[i].most = time.Minute
		}
	}
	add(quick("G1", "Brno's switching, vertical scan, files and rogue device", "every one in 1m, at most 2 incidents each", lab, scenarios), scenarios)

	for _, n := range []struct{ data, set, closest string }{
		{"Brno 14-12 and 17-12 after 8 h of learning", "Brno normal", ""}, {"a day after a day of learning", "lab normal", lab},
	} {
		vs := r.of(n.set)
		g := goal{id: "G2", data: n.data, target: "at most 1 false incident a day", met: true, closest: n.closest}
		if n.closest != "" {
			g.target = "at most 2 false incidents a day"
		}
		for _, v := range vs {
			g.got += fmt.Sprintf("%s: %d in %.2f days; ", v.name, len(v.wrong), v.days)
			g.met = g.met && float64(len(v.wrong)) <= map[bool]float64{true: 2, false: 1}[n.closest != ""]*max(v.days, 1)
		}
		add(g, vs)
	}

	scenarios = r.of("Lemay")
	g := quick("G5", "Lemay, 2 of the 5 files", "every file, in 1s, at most 2 incidents each, at most 1 false incident of medium severity a file", "", scenarios)
	for _, v := range scenarios {
		g.got += fmt.Sprintf("; %s: %d false", v.name, v.atLeast(rules.Medium))
		g.met = g.met && v.atLeast(rules.Medium) <= 1
	}
	add(g, scenarios)

	scenarios = r.of("lab act", "dnp3-cold-restart", "dnp3-disable-unsolicited", "syn-flood")
	g = quick("G7", "Igbe's cold restart, disabled reports and connection flood", "every one, 1 incident each", lab, scenarios)
	for _, v := range scenarios {
		g.met = g.met && v.most() == 1
	}
	add(g, scenarios)

	stages := append(r.of("heinrihs"), r.of("lab act", "iec104-setpoint", "iec104-toggle", "iec104-illegal", "iec104-ca-sweep")...)
	right := 0
	for _, v := range stages {
		if a := v.attacks[0]; len(a.order) > 0 && a.order[0] == a.technique {
			right++
		}
	}
	n, of := recall(stages)
	add(goal{id: "G10", data: "heinrihs, 4 of the 8 stages, and 4 acts", target: "8/8 found, 7/8 with the right technique first", got: fmt.Sprintf("%d/%d found, %d/%d right", n, of, right, of),
		met: n == of && 8*right >= 7*of, closest: "4 " + lab}, r.of("heinrihs"))

	for _, m := range []struct {
		data, closest string
		of            []*verdict
	}{{"malformed captures of the corpus", "", r.of("malformed")}, {"malformed acts", lab, slices.DeleteFunc(r.of("lab act"), func(v *verdict) bool { return !v.broken })}} {
		n, of := recall(m.of)
		add(goal{id: "G11", data: m.data, target: "all flagged", got: fmt.Sprintf("%d/%d", n, of), met: n == of, closest: m.closest}, m.of)
	}
	quiet := r.of("normal, no baseline")
	g = goal{id: "G12", data: "every normal capture, no baseline", target: "nothing high but of functions that learning never allows", met: true}
	allowed := 0
	for _, v := range quiet {
		for _, a := range v.alerts {
			switch {
			case a.Severity < rules.High:
			case slices.ContainsFunc(never, func(prefix string) bool { return strings.HasPrefix(a.Rule, prefix) }):
				allowed++
			default:
				g.met = false
				g.got += fmt.Sprintf("%s in %s; ", a.Rule, v.name)
			}
		}
	}
	g.got += fmt.Sprintf("%d captures, %d alerts of such functions", len(quiet), allowed)
	add(g, quiet)

	for _, u := range []struct {
		data  string
		tuned bool
	}{{"attacks that nothing was fitted to", false}, {"all others", true}} {
		vs := slices.DeleteFunc(slices.Clone(r.verdicts), func(v *verdict) bool { return len(v.attacks) == 0 || (v.tuned != "") != u.tuned })
		n, of := recall(vs)
		add(goal{id: "G13", data: u.data, target: "90 % found; nothing is trained on attacks", got: fmt.Sprintf("%d/%d", n, of), met: 10*n >= 9*of}, vs)
	}
	r.skipped = append(r.skipped, "G2, one finding where all behaviour of a station changes: neither Brno 10-12 nor a day of the lab like it is at hand",
		"G7, reconnects that enable reports 546 times, and a master's pause: no data of Igbe's, and no day of the lab like it",
		"G11, 24 hours of fuzzing: make fuzz does that")
	g, err := poisoned(ctx, j, r.of("Brno"))
	if err == nil {
		add(g, r.of("Brno"))
	}
	return all, err
}

// never are the detections of functions that learning never allows (package baseline).
var never = []string{"C14-dnp3", "C15", "C18", "D01", "D02", "D03", "D06", "D07"}

// recall sums up what was found.
func recall(vs []*verdict) (n, of int) {
	for _, v := range vs {
		found, all := v.recall()
		n, of = n+found, of+all
	}
	return n, of
}

// quick is the goal that each capture's attack is found in time and in at most two incidents. Where a capture has two
// windows of one attack, the first that is found counts.
func quick(id, data, target, closest string, vs []*verdict) goal {
	g := goal{id: id, data: data, target: target, closest: closest, met: true}
	found := 0
	var parts []string
	for _, v := range vs {
		i := slices.IndexFunc(v.attacks, func(f finding) bool { return len(f.alerts) > 0 })
		if i < 0 {
			g.met = false
			parts = append(parts, v.name+" missed")
			continue
		}
		found++
		f := v.attacks[i]
		g.met = g.met && f.incidents <= 2 && (f.most == 0 || f.after <= f.most)
		parts = append(parts, fmt.Sprintf("%s %s, %d incidents", v.name, f.after.Round(100*time.Millisecond), f.incidents))
	}
	g.got = fmt.Sprintf("%d/%d: %s", found, len(vs), strings.Join(parts, "; "))
	return g
}
