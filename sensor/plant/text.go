package plant

import (
	"fmt"
	"strings"
	"time"
)

// headlines are what a report says above the findings of each kind.
var headlines = map[string]string{
	ReadOnlyCommanded: "commanded or written, and listed as only to be read",
	TypeDiffers:       "seen as another type than listed",
	NotListed:         "seen and not listed",
	LearnedNotListed:  "learned, not seen this time and not listed",
	NeverSeen:         "listed and never seen",
	NeverCommanded:    "listed commands that nobody gave",
}

// mostLines is how many findings of a kind a report for people names.
const mostLines = 25

// String says the report for people.
func (r *Report) String() string {
	var b strings.Builder
	s := r.Seen
	fmt.Fprintf(&b, "%d points are listed, %d of them were seen in %d messages", r.Listed, r.Sighted, s.Messages)
	if s.Messages > 0 {
		fmt.Fprintf(&b, " from %s to %s", time.Unix(0, s.First).UTC().Format(time.RFC3339), time.Unix(0, s.Last).UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(&b, "; the baseline knows %d points of these stations\n", r.Learned)
	if s.Over > 0 {
		fmt.Fprintf(&b, "%d points found no room and were not compared\n", s.Over)
	}
	for _, what := range Findings {
		n, lines := 0, []string{}
		for _, f := range r.Findings {
			if f.Finding == what {
				n += f.points()
				lines = append(lines, "  "+f.String())
			}
		}
		if more := len(lines) - mostLines; more > 1 {
			lines = append(lines[:mostLines], fmt.Sprintf("  and %d more; --json has all", more))
		}
		if n > 0 {
			fmt.Fprintf(&b, "\n%d %s\n%s\n", n, headlines[what], strings.Join(lines, "\n"))
		}
	}
	if len(r.Without) > 0 {
		fmt.Fprintf(&b, "\n%d stations are in no list\n", len(r.Without))
		for _, w := range r.Without {
			fmt.Fprintf(&b, "  %s station %d at %s: %d points seen\n", w.Proto, w.Station, w.Server, w.Points)
		}
	}
	return b.String()
}

// points is how many points f is about: a listed one is one, whatever registers it takes.
func (f *Finding) points() int {
	if f.File != "" {
		return 1
	}
	return int(f.N)
}

// String says the finding in a line.
func (f *Finding) String() string {
	var b strings.Builder
	if f.Proto != "" {
		b.WriteString(f.Proto + " ")
	}
	if f.Station != nil {
		fmt.Fprintf(&b, "station %d", *f.Station)
	} else {
		b.WriteString("any station")
	}
	if f.Server != "" {
		b.WriteString(" at " + f.Server)
	}
	b.WriteString(": ")
	if f.Name != "" {
		b.WriteString(f.Name + " (")
	}
	fmt.Fprintf(&b, "%s %d", f.kind, f.Addr)
	if f.N > 1 {
		fmt.Fprintf(&b, " to %d", uint64(f.Addr)+uint64(f.N)-1)
	}
	if f.Name != "" {
		b.WriteString(")")
	}
	switch {
	case f.Listed != "" && f.Seen != "" && f.Seen != f.Listed:
		fmt.Fprintf(&b, " is listed as %s and seen as %s", f.Listed, f.Seen)
	case f.Seen != "" && f.Seen != f.kind:
		fmt.Fprintf(&b, ", %s", f.Seen)
	}
	if f.Commanded > 0 {
		fmt.Fprintf(&b, ", commanded %d times, first by %s", f.Commanded, f.Client)
	}
	if f.Reported > 0 {
		fmt.Fprintf(&b, ", shown %d times", f.Reported)
	}
	if f.Last != nil {
		fmt.Fprintf(&b, ", last on %s", f.Last.Format(time.RFC3339))
	}
	if f.Learned && f.Finding != LearnedNotListed {
		b.WriteString(", learned")
	}
	if f.File != "" {
		fmt.Fprintf(&b, " [%s:%d]", f.File, f.Line)
	}
	return b.String()
}
