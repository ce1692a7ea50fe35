package engine

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/roje-ot/roje/rules"
)

// TestBudget: beyond its budget what is new shares one incident, and every alert is still there. High and low severity
// do not use up each other's.
func TestBudget(t *testing.T) {
	one, two := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	host := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}) }
	for _, test := range []struct {
		name     string
		severity rules.Severity
		n        int
		every    int64
		hosts    func(i int) []netip.Addr
		want     int // incidents
	}{
		{"as many as an hour has room for", rules.Medium, 30, 1 * second, func(i int) []netip.Addr { return []netip.Addr{host(i)} }, 30},
		{"a sensor that sees new things all the time", rules.Medium, 300, 1 * second, func(i int) []netip.Addr { return []netip.Addr{host(i)} }, 33}, // 30, two that come back in 300 s, and the storm
		{"slowly", rules.Medium, 300, 300 * second, func(i int) []netip.Addr { return []netip.Addr{host(i)} }, 300},
		{"grave ones", rules.High, 300, 1 * second, func(i int) []netip.Addr { return []netip.Addr{host(i)} }, 15}, // 10, four that come back, and the storm
		{"two hosts", rules.Low, 50, 1 * second, func(int) []netip.Addr { return []netip.Addr{one, two} }, 1},
	} {
		c, incidents := newCases(Budget{}), map[string]bool{}
		for i := range test.n {
			incidents[c.assign(&rules.Alert{ID: fmt.Sprint(i), Severity: test.severity}, 1e15+int64(i)*test.every, test.hosts(i)...)] = true
		}
		if len(incidents) != test.want {
			t.Errorf("%s: %d incidents, want %d", test.name, len(incidents), test.want)
		}
	}
	// One host in ever new company.
	c, b := newCases(Budget{}), newBudget()
	n := 0
	for i := range 20 {
		if b.storm(rules.Low, 1e15+int64(i)*second, []netip.Addr{one}) == nil {
			n++
		}
	}
	if n != hostBudget {
		t.Errorf("one host: %d incidents in an hour, want %d", n, hostBudget)
	}
	for i := range 100 {
		c.assign(&rules.Alert{ID: fmt.Sprint("low", i), Severity: rules.Low}, 1e15+int64(i)*second, host(i))
	}
	if got := c.assign(&rules.Alert{ID: "x", Severity: rules.Critical}, 1e15+101*second, host(200)); got != "ix" {
		t.Errorf("a critical incident among many small ones is %s, want one of its own", got)
	}
}

// TestFlap: what comes and goes is held open the third time.
func TestFlap(t *testing.T) {
	r := start(load(t, "when: {code: 5}\n  quiet: 1m"))
	for i := range 20 {
		r.send(int64(i)*120*second+1e15, "10.0.0.1", "10.0.0.2", 5, 1)
	}
	r.Flush()
	if len(r.alerts) != flapTimes {
		t.Errorf("%d alerts, want %d", len(r.alerts), flapTimes)
	}
	if last := r.last[r.alerts[flapTimes-1].ID]; last.Count != 20-flapTimes+1 {
		t.Errorf("the last stands for %d, want %d", last.Count, 20-flapTimes+1)
	}
	r = start(load(t, "when: {code: 5}\n  quiet: 1m"))
	for i := range 20 {
		r.send(int64(i)*3600*second+1e15, "10.0.0.1", "10.0.0.2", 5, 1) // once an hour is no flapping
	}
	if len(r.alerts) != 20 {
		t.Errorf("%d alerts, want 20", len(r.alerts))
	}
}

// TestCause: a station that falls silent is one finding, not one for each of its links and station addresses. What falls
// silent by itself is found.
func TestCause(t *testing.T) {
	set := load(t, "when: {code: 1}\n  state: {silence: true, by: [client, server, station], window: 5s}\n  per: [client, server, station]",
		"when: {code: 1}\n  state: {silence: true, by: [server], window: 5s}\n  per: [server]")
	const beats = 100
	for _, test := range []struct {
		name  string
		until func(client string, station uint32) int // beats
		want  map[string]int
	}{
		{"the whole station", func(string, uint32) int { return beats }, map[string]int{"T1": 1, "T0": 0}},
		{"one address of it", func(_ string, station uint32) int {
			if station == 3 {
				return beats
			}
			return 4 * beats
		}, map[string]int{"T1": 0, "T0": 2}},
	} {
		r := start(set)
		for i := range 3 * beats {
			at := 1e15 + int64(i)*second
			for _, client := range []string{"10.0.0.1", "10.0.0.3"} {
				for station := uint32(1); station <= 4; station++ {
					if i < test.until(client, station) {
						r.send(at, client, "10.0.0.2", 1, station)
					}
				}
			}
			r.Tick(at + second/2)
		}
		r.Flush()
		got := map[string]int{}
		for _, a := range r.alerts {
			got[a.Rule]++
		}
		for rule, n := range test.want {
			if got[rule] != n {
				t.Errorf("%s: %d findings of %s, want %d", test.name, got[rule], rule, n)
			}
		}
	}
}

// TestSpoofed: 400 invented senders that send high-severity things to one server within a minute are one incident.
func TestSpoofed(t *testing.T) {
	r := start(load(t, "when: {code: 5}"))
	for i := range 400 {
		r.send(1e15+int64(i)*second/10, fmt.Sprintf("172.16.%d.%d", i/200, i%200+1), "10.0.0.2", 5, 1)
	}
	r.Flush()
	incidents := map[string]bool{}
	total := uint64(0)
	for _, a := range r.alerts {
		incidents[a.Incident] = true
		total += r.last[a.ID].Count
	}
	if len(incidents) != 1 || total != 400 {
		t.Errorf("%d incidents that stand for %d events, want 1 for 400", len(incidents), total)
	}
}
