package baseline

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
)

// TestUnusualHour: a command is unusual more than an hour from all learned hours of the week, once two weeks and twenty
// commands were learned.
func TestUnusualHour(t *testing.T) {
	monday := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	at := func(days, hour, minute int) int64 {
		return monday.AddDate(0, 0, days).Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute).UnixNano()
	}
	made := func(days, commands int) *link {
		l := &link{}
		for d := range days {
			l.see(at(d, 0, 0), "")
			for i := range commands {
				l.commanded(at(d, 8+i%3, 30)) // 8:30, 9:30 and 10:30 of each day
			}
		}
		l.see(at(days, 0, 0), "")
		return l
	}
	for _, c := range []struct {
		name    string
		l       *link
		at      int64
		unusual bool
	}{
		{"at work", made(21, 3), at(30, 9, 59), false},
		{"an hour before", made(21, 3), at(30, 7, 0), false},
		{"two hours before", made(21, 3), at(30, 6, 59), true},
		{"an hour after", made(21, 3), at(30, 11, 59), false},
		{"two hours after", made(21, 3), at(30, 12, 0), true},
		{"at night", made(21, 3), at(30, 2, 0), true},
		{"learned for a week", made(7, 3), at(30, 2, 0), false},
		{"learned with few commands", made(15, 1), at(30, 2, 0), false},
		{"never commanded", made(21, 0), at(30, 2, 0), false},
	} {
		if got := c.l.unusualHour(c.at); got != c.unusual {
			t.Errorf("%s: %v, want %v", c.name, got, c.unusual)
		}
	}
	weekend := &link{} // the last hour of the week and its first are neighbours
	for range hourCounts {
		weekend.commanded(at(6, 23, 30))
	}
	if len(weekend.week) > 0 {
		t.Error("an hour of one week counts")
	}
	weekend.commanded(at(13, 23, 30))
	weekend.see(at(0, 0, 0), "")
	weekend.see(at(20, 0, 0), "")
	for hour, want := range map[int]bool{22: false, 21: true} {
		if weekend.unusualHour(at(13, hour, 0)) != want {
			t.Errorf("hour %d of Sunday: want %v", hour, want)
		}
	}
	if weekend.unusualHour(at(14, 0, 30)) || !weekend.unusualHour(at(14, 1, 0)) {
		t.Error("the hour after Sunday's last is Monday's first")
	}
}

// TestDelayBins: each delay lies below the end of its bin and, beyond a handful of microseconds, within a quarter of it.
func TestDelayBins(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	last := -1
	for i := range 20000 {
		rtt := int64(1000 * (i + 1))
		if i >= 10000 {
			rtt = r.Int64N(60e9)
		}
		bin := delayBin(rtt)
		if end := delayOf(bin); rtt >= end || rtt > 8000 && float64(end) > 1.26*float64(rtt) {
			t.Fatalf("%d ns is in bin %d, which ends at %d", rtt, bin, end)
		}
		if i < 10000 && bin < last {
			t.Fatalf("bin %d of %d ns comes after bin %d", bin, rtt, last)
		}
		last = bin
	}
	if delayBin(1<<62) != delayBins-1 {
		t.Errorf("the longest delay is in bin %d", delayBin(1<<62))
	}
}

// TestLearnDelay: slow answers are learned only once they have come for two hours.
func TestLearnDelay(t *testing.T) {
	const usual, late = 20e6, 200e6
	l := &link{}
	at := int64(1e18)
	answers := func(rtt int64, minutes int) {
		for range 6 * minutes {
			at += 10e9
			l.learnDelay(rtt, at)
		}
	}
	for _, c := range []struct {
		rtt     int64
		minutes int
		late    bool // such answers are learned now
	}{{usual, 120, false}, {late, 60, false}, {usual, 10, false}, {late, 110, false}, {late, 30, true}} {
		answers(c.rtt, c.minutes)
		if got := l.delays.learned[delayBin(late)] > 0; got != c.late {
			t.Fatalf("after %d minutes of %d ns: late answers are learned: %v, want %v", c.minutes, c.rtt, got, c.late)
		}
	}
}

// TestCompareDelay: half of a window's answers must come late, and enough must have been learned; what was learned is the
// same after it was stored.
func TestCompareDelay(t *testing.T) {
	const ms = int64(1e6)
	usual := []int64{18 * ms, 20 * ms, 22 * ms}
	for _, c := range []struct {
		name    string
		learned int
		answers []int64 // in turn, one a second
		slow    bool
	}{
		{"as learned", 1300, usual, false},
		{"twice as long", 1300, []int64{44 * ms}, true},
		{"every third is late", 1300, []int64{20 * ms, 20 * ms, 500 * ms}, false},
		{"little was learned", 400, []int64{500 * ms}, false},
	} {
		l := &link{}
		for i := range c.learned {
			l.learnDelay(usual[i%len(usual)], int64(i)*1e9)
		}
		stored, err := parseDelays(l.delays.String())
		if err != nil || stored.String() != l.delays.String() || stored.n != l.delays.n || stored.learned != l.delays.learned {
			t.Errorf("%s: stored and read, %q is %q: %v", c.name, l.delays, stored, err)
		}
		l.delays = stored
		var slow []bool
		for i := range int64(650) {
			var f rules.Facts
			if l.compareDelay(c.answers[int(i)%len(c.answers)], 1e18+i*1e9, &f); f.Delay > 0 {
				slow = append(slow, f.Slow)
				if f.UsualDelay < 22 || f.UsualDelay > 28 {
					t.Errorf("%s: %v ms are usual", c.name, f.UsualDelay)
				}
			}
		}
		want := []bool{c.slow, c.slow}
		if c.learned < minDelays {
			want = nil
		}
		if !slices.Equal(slow, want) {
			t.Errorf("%s: said %v in two windows, want %v", c.name, slow, want)
		}
	}
	for _, text := range []string{"x", "1", "1:x", "104:1", "1:-1", "1:2,"} {
		if _, err := parseDelays(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
