package share

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/attack"
)

// A leaving is a release as a recipient sees it.
type leaving struct {
	store.Released
	id      string           // what the operator knows it by
	members []store.Released // of a group: those of its alerts that the recipient sees too
	touched time.Time        // when it, or one of its alerts, was last released or retracted
}

// group is a campaign or a case as it leaves: with those of its alerts that the recipient sees now, and with what these say.
// ok is false where there are none of them. Where all of them were taken back, so is it.
func (v *sight) group(ctx context.Context, l *leaving) (ok bool, err error) {
	g := *l.Group
	var first, taken []store.Released
	for _, id := range g.Alerts {
		latest, _, err := v.from.ListReleased(ctx, v.scope, store.ReleaseFilter{Alert: id}, "", 1)
		if err != nil {
			return false, err
		}
		for _, r := range latest {
			if r.Added.After(l.touched) {
				l.touched = r.Added
			}
			switch {
			case !v.to.may(r.TLP):
			case r.Revoked:
				taken = append(taken, v.mask.Released(r))
			default:
				first = append(first, v.mask.Released(r))
			}
		}
	}
	if len(first) == 0 {
		first, l.Revoked = taken, true
	}
	if len(first) == 0 {
		return false, nil
	}
	l.members = first
	sensors := map[string]bool{}
	g.First, g.Last, g.Severity, g.Alerts = first[0].Alert.First, first[0].Alert.Last, first[0].Alert.Severity, nil
	for i := range first {
		a := &first[i].Alert
		sensors[a.Sensor] = true
		g.Alerts, g.Severity = append(g.Alerts, a.ID), max(g.Severity, a.Severity)
		if a.First.Before(g.First) {
			g.First = a.First
		}
		if a.Last.After(g.Last) {
			g.Last = a.Last
		}
	}
	g.Sites = len(sensors)
	if l.Masked {
		g.Title, g.Rule = v.mask.Text(g.Title), v.mask.Text(g.Rule)
	}
	l.Group, l.Masked = &g, false
	return true, nil
}

// groupName says a group in a line, and groupWords in full.
func groupName(g *store.Group) string {
	if g.Kind == store.ItemCase {
		return g.Title
	}
	return fmt.Sprintf("%s at %d sites", g.Rule, g.Sites)
}

// verdictWords say what a case turned out to be.
var verdictWords = map[store.Verdict]string{store.Undecided: "undecided", store.Malicious: "an attack", store.Benign: "it happened, and was meant to", store.Mistaken: "it did not happen", store.Maintenance: "announced work"}

func groupWords(g *store.Group) string {
	lines := []string{groupName(g)}
	if g.Kind == store.ItemCase {
		lines = append(lines, "State: "+string(g.State), "Verdict: "+verdictWords[g.Verdict])
	} else if g.Technique != "" {
		lines = append(lines, "Technique: "+g.Technique+" "+attack.Name(g.Technique))
	}
	return strings.Join(append(lines, "Severity: "+g.Severity.String(), "First seen: "+instant(g.First), "Last seen: "+instant(g.Last),
		fmt.Sprintf("Alerts: %d", len(g.Alerts)), fmt.Sprintf("Sites: %d", g.Sites)), "\n")
}

// groupObjects are the objects of a campaign or a case, without those of its alerts: a campaign (STIX 2.1 §4.4) or an
// incident (§4.8) with relationships to the rules, the techniques and the data of its alerts, and a grouping (§4.7) that
// refers to all of it, the sightings too, which no relationship may.
func groupObjects(operator string, l *leaving) []Object {
	b := &bundle{r: &l.Released, operator: operator}
	b.frame()
	g := l.Group
	about := Object{"name": groupName(g), "description": groupWords(g)}
	kind, of := "incident", "related-to"
	if g.Kind == store.ItemCampaign {
		kind, of = "campaign", "indicates"
		about["first_seen"], about["last_seen"] = instant(g.First), instant(g.Last)
	}
	main := b.own(kind, about)
	refs := []string{main}
	relate := func(source, kind, target string) {
		b.own("relationship", Object{"relationship_type": kind, "source_ref": source, "target_ref": target}, source, kind, target)
	}
	related := map[string]bool{}
	for _, r := range l.members {
		for _, o := range Bundle(operator, r) {
			id := o.ID()
			if related[id] {
				continue
			}
			related[id] = true
			switch o.Type() {
			case "indicator":
				relate(id, of, main)
			case "observed-data":
				relate(id, "related-to", main)
				refs = append(refs, id)
			case "attack-pattern":
				relate(main, map[string]string{"campaign": "uses", "incident": "related-to"}[kind], id)
			case "sighting", "note":
				refs = append(refs, id)
			}
		}
	}
	b.own("grouping", Object{"name": groupName(g), "description": groupWords(g), "context": "suspicious-activity", "object_refs": refs})
	return b.objects
}

// objects are what a release is as STIX objects: those of a group come after those of its alerts, to which they refer.
func (l *leaving) objects(operator string) (all []Object) {
	if l.Group == nil {
		return Bundle(operator, l.Released)
	}
	had := map[string]bool{}
	add := func(objects []Object) {
		for _, o := range objects {
			if !had[o.ID()] {
				had[o.ID()], all = true, append(all, o)
			}
		}
	}
	for _, r := range l.members {
		add(Bundle(operator, r))
	}
	add(groupObjects(operator, l))
	return all
}

// event is what a release is in a MISP feed.
func (l *leaving) event(operator string) (MISPEvent, bool) {
	if l.Group == nil {
		return MISP(operator, l.Released)
	}
	return mispGroup(operator, l)
}

// PreviewGroup is what a release of a campaign or a case would add to the objects of its alerts, with the pseudonyms of
// nobody.
func PreviewGroup(ctx context.Context, from Releases, s store.Scope, r store.Released) ([]Object, error) {
	seen, err := see(ctx, from, s, Recipient{})
	if err != nil {
		return nil, err
	}
	l, ok, err := seen.of(ctx, r)
	if err != nil || !ok {
		return nil, err
	}
	return groupObjects(s.Operator(), &l), nil
}

// strictest is the strictest level of a group and of the alerts that leave in one piece with it.
func (l *leaving) strictest() store.TLP {
	t := l.TLP
	for _, r := range l.members {
		if slices.Index(Releasable(), r.TLP) > slices.Index(Releasable(), t) {
			t = r.TLP
		}
	}
	return t
}
