package engine

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
)

// TestDay: once a day has as many incidents as its budget says, or a host has, what is of low severity and less is gathered
// into one, and what is graver never is.
func TestDay(t *testing.T) {
	const midnight, minute = 20_000 * int64(day), 60 * second
	host := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}) }
	for _, test := range []struct {
		name     string
		severity rules.Severity
		host     func(i int) int
		want     int // incidents of 40 alerts, one every 35 minutes
		gathered int
	}{
		{"low, of many hosts", rules.Low, func(i int) int { return i }, dayBudget + 1, 40 - dayBudget},
		{"notices, of one host", rules.Notice, func(int) int { return 1 }, hostDayBudget + 1, 40 - hostDayBudget},
		{"of medium severity", rules.Medium, func(i int) int { return i }, 40, 0},
		{"critical, of one host", rules.Critical, func(int) int { return 1 }, 40, 0},
	} {
		c, incidents := newCases(Budget{}), map[string]bool{}
		for i := range 40 {
			incidents[c.assign(&rules.Alert{ID: fmt.Sprint(i), Severity: test.severity}, midnight+int64(i)*35*minute, host(test.host(i)))] = true
		}
		if len(incidents) != test.want || c.meter.incidents != test.want || c.meter.gathered != test.gathered {
			t.Errorf("%s: %d incidents, %d counted, %d alerts gathered; want %d and %d", test.name, len(incidents), c.meter.incidents, c.meter.gathered, test.want, test.gathered)
		}
	}

	g := New(nil, Options{Budget: Budget{Day: 8, Host: 2}, Emit: func(*rules.Alert) {}})
	n := 0
	place := func(at int64, severity rules.Severity, host netip.Addr) *rules.Alert {
		a := &rules.Alert{ID: fmt.Sprint(n), Rule: fmt.Sprint("R", n%4%3), Severity: severity}
		n++
		a.Incident = g.cases.assign(a, at, host)
		return a
	}
	for i := range 20 {
		place(midnight+int64(i)*minute, rules.Low, host(i))
	}
	if a := place(midnight+21*minute, rules.High, host(19)); a.Incident != "i"+a.ID {
		t.Errorf("a grave alert of a host that is in the digest is in incident %s", a.Incident)
	}
	if a := place(midnight+22*minute, rules.Low, host(19)); a.Incident == "d8" {
		t.Error("a low alert of a host with an open incident is in the digest")
	}
	want := Day{Begin: time.Unix(0, midnight).UTC(), Incidents: 10, Budget: 8, Gathered: 12, Digest: "d8", Noisy: []Noisy{{"R0", 6}, {"R1", 2}, {"R2", 2}}}
	today, before, known := g.Today()
	if !reflect.DeepEqual(today, want) || before != 0 || known {
		t.Errorf("%+v %d %v, want %+v", today, before, known, want)
	}
	if a := place(midnight-minute, rules.Low, host(30)); a.Incident != "d8" {
		t.Errorf("a packet out of order is in incident %s", a.Incident)
	}
	if a := place(midnight+day, rules.Low, host(31)); a.Incident != "i"+a.ID {
		t.Errorf("the next day begins with incident %s", a.Incident)
	}
	if today, before, known = g.Today(); today.Incidents != 1 || today.Gathered != 0 || today.Digest != "" || before != 10 || !known {
		t.Errorf("%+v %d %v", today, before, known)
	}
	place(midnight+9*day, rules.Low, host(32))
	if _, _, known = g.Today(); known {
		t.Error("of a day without an incident something is known")
	}
	g.Tick(midnight + 10*day)
	if today, before, known = g.Today(); !today.Begin.Equal(time.Unix(0, midnight+10*day)) || today.Incidents != 0 || before != 1 || !known {
		t.Errorf("%+v %d %v", today, before, known)
	}
	if got := g.Totals(); got != (Totals{12, 13}) {
		t.Errorf("%+v", got)
	}
}
