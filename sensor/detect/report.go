package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor"
)

// A report is all that was judged and what it means for the goals.
type report struct {
	verdicts []*verdict
	goals    []goal
	skipped  []string
}

// judgeAll judges every capture that is there.
func judgeAll(ctx context.Context, lab, corpus string) (*report, error) {
	dir, err := os.MkdirTemp("", "roje-detect-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	set, err := sensor.LoadRules("")
	if err != nil {
		return nil, err
	}
	j := &judge{lab: lab, corpus: corpus, dir: dir, set: set, states: map[string]string{}}
	r := &report{}
	if err := r.judgeLab(ctx, j); err != nil {
		return nil, err
	}
	if err := r.judgePublic(ctx, j, corpus); err != nil {
		return nil, err
	}
	r.goals, err = goals(ctx, j, r)
	return r, err
}

// judgePublic judges the captures of the corpus, or says that there is none.
func (r *report) judgePublic(ctx context.Context, j *judge, corpus string) error {
	if _, err := os.Stat(filepath.Join(corpus, "labels.json")); err != nil {
		r.skipped = append(r.skipped, fmt.Sprintf("every public data set: no corpus (%v); say -corpus DIR or set ROJE_CORPUS", err))
		return nil
	}
	return r.judgeCorpus(ctx, j)
}

// judgeLab judges the lab's second day and its acts after two weeks of test runs and the first day.
func (r *report) judgeLab(ctx context.Context, j *judge) error {
	captures, err := readLab(j.lab)
	if err != nil {
		return err
	}
	state, err := j.learnedAll(ctx, time.Time{}, filepath.Join(j.lab, labWeeks), filepath.Join(j.lab, labDay))
	if err != nil {
		return err
	}
	for _, c := range captures {
		s := subject{name: strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(c.File, ".gz"), ".pcap"), "act-"), tuned: "rules were written with the lab's acts", state: state}
		switch {
		case strings.HasPrefix(c.File, "act-"):
			s.set = "lab act"
		case c.File == labDay || c.File == labWeeks || strings.Contains(c.File, "/") || len(c.Acts) > 0:
			continue // learned; all that a protocol can say; all acts in one
		default:
			s.set = "lab normal"
		}
		v, err := j.judge(ctx, s, filepath.Join(j.lab, c.File), c.attacks())
		if err != nil {
			return err
		}
		v.broken = slices.ContainsFunc(c.Acts, func(a labAct) bool { return a.Malformed })
		r.verdicts = append(r.verdicts, v)
		if s.set == "lab normal" {
			s.set, s.off = "normal, no baseline", true
			if v, err = j.judge(ctx, s, filepath.Join(j.lab, c.File), nil); err != nil {
				return err
			}
			r.verdicts = append(r.verdicts, v)
		}
	}
	return nil
}

// labWeeks and labDay are the lab's captures that are learned.
const (
	labWeeks = "weeks-normal.pcap.gz"
	labDay   = "day-normal.pcapng.gz"
)

// judgeCorpus judges the labelled captures of the corpus.
func (r *report) judgeCorpus(ctx context.Context, j *judge) error {
	labels, err := readLabels(j.corpus)
	if err != nil {
		return err
	}
	judged := map[string]bool{}
	for _, s := range subjects {
		l, known := labels[s.path]
		if !known {
			r.skipped = append(r.skipped, s.path+": labels.json does not have it")
			continue
		}
		judged[s.path] = true
		v, err := j.judge(ctx, s, j.public(s.path), l.attacks(&s))
		if err != nil {
			return fmt.Errorf("%s: %w", s.path, err)
		}
		r.verdicts = append(r.verdicts, v)
	}
	why := map[string]int{}
	for path := range labels {
		if !judged[path] {
			why[reason(path)]++
		}
	}
	for _, text := range slices.Sorted(maps.Keys(why)) {
		r.skipped = append(r.skipped, fmt.Sprintf("%d labelled captures: %s", why[text], text))
	}
	return nil
}

// reason says why a labelled capture is not judged.
func reason(path string) string {
	for _, l := range left {
		if strings.HasPrefix(path, l.prefix) {
			return l.why
		}
	}
	return "nobody says how to judge " + path
}

// failed are the goals that are not met.
func (r *report) failed() (all []goal) {
	for _, g := range r.goals {
		if !g.met {
			all = append(all, g)
		}
	}
	return all
}

// print writes the tables.
func (r *report) print(w io.Writer) {
	table := func(title, head string, rows func(row func(...any))) {
		fmt.Fprintf(w, "\n%s\n", title)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, strings.ReplaceAll(head, "|", "\t"))
		rows(func(cells ...any) {
			for i, c := range cells {
				if i > 0 {
					fmt.Fprint(tw, "\t")
				}
				fmt.Fprint(tw, c)
			}
			fmt.Fprintln(tw)
		})
		tw.Flush()
	}
	attacks := func(tuned bool) func(func(...any)) {
		return func(row func(...any)) {
			n, of := 0, 0
			for _, v := range r.verdicts {
				if len(v.attacks) == 0 || (v.tuned != "") != tuned {
					continue
				}
				found, all := v.recall()
				n, of = n+found, of+all
				row(v.set, v.name, fmt.Sprintf("%d/%d", found, all), v.after(), v.most(), v.first(), v.falsely())
			}
			row("all", "", fmt.Sprintf("%d/%d", n, of))
		}
	}
	const head = "data set|scenario|recall|after (longest)|incidents (most)|first technique|false incidents a day, by family"
	table("Attacks that rules or thresholds may fit, since they were looked at with them:", head, attacks(true))
	table("Attacks that nothing was fitted to:", head, attacks(false))
	table("Where nothing is wrong:", "data set|capture|days judged|false incidents|high or worse|false incidents a day, by family", func(row func(...any)) {
		for _, v := range r.verdicts {
			if len(v.attacks) == 0 {
				row(v.set, v.name, fmt.Sprintf("%.2f", v.days), len(v.wrong), v.atLeast(rules.High), v.falsely())
			}
		}
	})
	if len(r.skipped) > 0 {
		fmt.Fprintln(w, "\nNot judged:")
		for _, s := range r.skipped {
			fmt.Fprintln(w, " ", s)
		}
	}
	fmt.Fprintln(w, "\nGoals:")
	for _, g := range r.goals {
		fmt.Fprintf(w, "%-4s %s: %s\n     target: %s\n     got:    %s\n", g.id, g.data, g.verdict(), g.target, strings.TrimSuffix(g.got, "; "))
	}
}

// after is the longest time to the first alert.
func (v *verdict) after() string {
	var longest time.Duration
	for _, f := range v.attacks {
		longest = max(longest, f.after)
	}
	if n, _ := v.recall(); n == 0 {
		return "-"
	}
	return longest.Round(100 * time.Millisecond).String()
}

// most is the greatest number of incidents of one attack.
func (v *verdict) most() (n int) {
	for _, f := range v.attacks {
		n = max(n, f.incidents)
	}
	return n
}

// first is the first technique of the only attack.
func (v *verdict) first() string {
	if len(v.attacks) != 1 || len(v.attacks[0].order) == 0 {
		return "-"
	}
	f := v.attacks[0]
	if f.technique != "" && f.technique != f.order[0] {
		return f.order[0] + ", want " + f.technique
	}
	return f.order[0]
}

// falsely says the false incidents a day by family, or how many there were where less than a day was judged.
func (v *verdict) falsely() string {
	if len(v.wrong) == 0 {
		return "none"
	}
	by := map[string]int{}
	for _, w := range v.wrong {
		by[w.family]++
	}
	var parts []string
	for _, family := range slices.Sorted(maps.Keys(by)) {
		if v.days < 0.1 {
			parts = append(parts, fmt.Sprintf("%s %d in all", family, by[family]))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %.2f", family, float64(by[family])/v.days))
	}
	return strings.Join(parts, ", ")
}

// atLeast counts the false incidents of a severity or more.
func (v *verdict) atLeast(s rules.Severity) (n int) {
	for _, w := range v.wrong {
		if w.severity >= s {
			n++
		}
	}
	return n
}

// show writes every alert of the captures whose name contains part, and the attacks that were missed.
func (r *report) show(w io.Writer, part string) {
	for _, v := range r.verdicts {
		if !strings.Contains(v.set+" "+v.name, part) {
			continue
		}
		fmt.Fprintf(w, "\n%s %s\n", v.set, v.name)
		for _, f := range v.attacks {
			if len(f.alerts) == 0 {
				fmt.Fprintf(w, "  missed: %s from %s to %s\n", f.name, f.start.Format(time.DateTime), f.end.Format(time.DateTime))
			}
		}
		for _, a := range v.alerts {
			fmt.Fprintf(w, "  %s %s %s %s %v x%d %s\n", a.First.Format(time.DateTime), a.Incident, a.Severity, a.Rule, a.Techniques, a.Count, a.Title)
		}
	}
}
