package main

import (
	"slices"
	"testing"

	"github.com/roje-ot/roje/sensor"
)

// elsewhere are the shipped rules that no act of the lab fires, and why none can. The list is reviewed.
var elsewhere = map[string]string{
	"A04-outside-zones": "the zones stand in a site file, and the goals are judged without one; TestZones of package sensor plays an act with one",
}

// usual are the shipped rules that a normal day may fire, and why. Each must be silent beside some act all the same.
var usual = map[string]string{
	"C01-first-command-on-point": "the operators of the second day use controls that those of the first did not",
}

// holdRules reports each shipped rule that no act of the lab fires while it goes on, and each that is silent neither on the
// lab's second normal day nor, where a normal day may fire it, in the capture of any other act.
func holdRules(t *testing.T, r *report) {
	t.Helper()
	set, err := sensor.LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	fires := map[string][]string{}           // acts by rule
	loud := map[string]map[string]bool{}     // captures in which a rule fires, by their set
	captures := map[string]map[string]bool{} // all of them
	for _, v := range r.verdicts {
		if captures[v.set] == nil {
			captures[v.set] = map[string]bool{}
		}
		captures[v.set][v.name] = true
		for _, a := range v.alerts {
			key := v.set + " " + a.Rule
			if loud[key] == nil {
				loud[key] = map[string]bool{}
			}
			loud[key][v.name] = true
		}
		for _, f := range v.attacks {
			for _, a := range f.alerts {
				if v.set == "lab act" && !slices.Contains(fires[a.Rule], v.name) {
					fires[a.Rule] = append(fires[a.Rule], v.name)
				}
			}
		}
	}
	for _, rule := range set {
		switch why := elsewhere[rule.ID]; {
		case len(fires[rule.ID]) == 0 && why == "":
			t.Errorf("%s: no act of the lab fires it; write one in cmd/roje-lab/script", rule.ID)
		case len(fires[rule.ID]) > 0 && why != "":
			t.Errorf("%s: %q fires it; take it from the list", rule.ID, fires[rule.ID])
		}
		quiet := "lab normal"
		if usual[rule.ID] != "" {
			quiet = "lab act"
		}
		if len(loud[quiet+" "+rule.ID]) >= len(captures[quiet]) {
			t.Errorf("%s: there is no %s in which it is silent", rule.ID, quiet)
		}
	}
}
