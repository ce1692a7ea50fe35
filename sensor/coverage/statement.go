package coverage

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/rules/batch/proof"
)

// reasons are the words of LinkDay.Why.
var reasons = []struct {
	word string
	is   func(*LinkDay) bool
}{
	{"lost", func(l *LinkDay) bool { return l.Sums.Gaps > 0 }},
	{"unframed", func(l *LinkDay) bool { return l.Sums.Unframed > 0 }},
	{"encrypted", func(l *LinkDay) bool { return l.Sums.TLS > 0 }},
	{"other_protocol", func(l *LinkDay) bool { return l.Sums.Other > 0 }},
	{"one_sided", func(l *LinkDay) bool { return l.Blind.OneSided > 0 }},
	{"not_decoded", func(l *LinkDay) bool { return l.Blind.Undecoded > 0 }},
	{"silent", func(l *LinkDay) bool { return l.Blind.Silent > 0 }},
	{"doubled", func(l *LinkDay) bool { return l.Sums.Packets > 0 && 100*l.Sums.Copies/l.Sums.Packets >= doubled }},
}

const notRunning = "the sensor did not run"

// Statement is the account of the day so far, up to a time, unsigned.
func (b *Book) Statement(sensor, version string, to time.Time) *Statement {
	s := &Statement{Type: proof.StatementType, Form: 1, Sensor: sensor, Version: version, From: b.day.UTC(), To: to.UTC(), Rest: b.rest,
		Watched: []Span{}, Not: []Span{}, Sources: []SourceDay{}, Links: []LinkDay{}}
	at := s.From
	for _, span := range b.spans {
		span.To = earlier(span.To, s.To)
		if span.From.Before(at) { // the clock was set back
			span.From = at
		}
		if !span.To.After(span.From) {
			continue
		}
		if span.From.After(at) {
			s.Not = append(s.Not, Span{From: at, To: span.From, Why: notRunning})
		}
		s.Watched = append(s.Watched, span)
		at = span.To
	}
	if s.To.After(at) {
		s.Not = append(s.Not, Span{From: at, To: s.To, Why: notRunning})
	}
	s.Sources = append(s.Sources, b.sourceDays()...)
	for i := range s.Sources {
		s.Total.Add(&s.Sources[i].Sums)
	}
	for _, l := range b.links {
		if d := (LinkDay{Key: l.Key, Proto: l.Proto, Learned: l.Learned, First: time.Unix(0, l.First).UTC(), Last: time.Unix(0, l.Last).UTC(), Sums: l.Day, Blind: l.Blind}); l.Day != (Sums{}) || l.Blind != (Blind{}) {
			d.Why = []string{}
			for _, r := range reasons {
				if r.is(&d) {
					d.Why = append(d.Why, r.word)
				}
			}
			s.Links = append(s.Links, d)
		}
	}
	slices.SortFunc(s.Links, func(x, y LinkDay) int {
		return cmp.Or(x.Server.Compare(y.Server), x.Client.Compare(y.Client), cmp.Compare(x.Port, y.Port), strings.Compare(x.Transport, y.Transport))
	})
	return s
}

// sourceDays are the days of the sources, those of earlier runs with those of this one.
func (b *Book) sourceDays() []SourceDay {
	by := map[string]*SourceDay{}
	add := func(name string, frames map[string]int64, sums *Sums) {
		d := by[name]
		if d == nil {
			d = &SourceDay{Name: name, Frames: map[string]int64{}}
			by[name] = d
		}
		for what, n := range frames {
			d.Frames[what] += n
		}
		d.Sums.Add(sums)
	}
	for i := range b.frames {
		add(b.frames[i].Name, b.frames[i].Frames, &b.frames[i].Sums)
	}
	for _, s := range b.sources {
		add(s.name, s.today, &s.day)
	}
	var all []SourceDay
	for _, name := range slices.Sorted(maps.Keys(by)) {
		all = append(all, *by[name])
	}
	return all
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Midnight is the beginning of the day of a time, UTC.
func Midnight(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// Begin begins the day of now, unless it is the one that goes on, and a stretch of time in which the sensor runs.
func (b *Book) Begin(now time.Time) {
	if b.day.IsZero() {
		b.day = Midnight(now)
	}
	b.spans = append(b.spans, Span{From: now.UTC(), To: now.UTC()})
}

// Runs says that the sensor runs until now.
func (b *Book) Runs(now time.Time) {
	if n := len(b.spans); n > 0 {
		b.spans[n-1].To = now.UTC()
	}
}

// mostMissed is for how many days in which the sensor did not run at all a statement is made.
const mostMissed = 31

// Days ends the days that are over at a time, oldest first, and returns their statements. What runs goes on in the next.
func (b *Book) Days(sensor, version string, now time.Time) (over []*Statement) {
	today := Midnight(now)
	if b.day.IsZero() || !b.day.Before(today) {
		return nil
	}
	if missed := today.AddDate(0, 0, -mostMissed); b.day.Before(missed) {
		over = append(over, b.end(sensor, version))
		b.day = missed
	}
	for b.day.Before(today) {
		over = append(over, b.end(sensor, version))
	}
	return over
}

// end ends the day.
func (b *Book) end(sensor, version string) *Statement {
	next := b.day.AddDate(0, 0, 1)
	s := b.Statement(sensor, version, next)
	b.day, b.rest, b.frames = next, Sums{}, nil
	var spans []Span
	for _, span := range b.spans {
		if span.To.After(next) {
			if span.From.Before(next) {
				span.From = next
			}
			spans = append(spans, span)
		}
	}
	b.spans = spans
	for _, s := range b.sources {
		s.day = Sums{}
		clear(s.today)
	}
	for _, l := range b.links {
		l.Day, l.Blind = Sums{}, Blind{}
	}
	return s
}
