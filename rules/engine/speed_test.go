package engine

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// generated makes n rules of five shapes over the toy protocol, spread over ten codes.
func generated(t testing.TB, n int) []string {
	var bodies []string
	for i := range n {
		code := i % 10
		bodies = append(bodies, []string{
			fmt.Sprintf("when: {code: %d}\n  where: addr == %d and value > 3.5 and not new_link", code, 100000+i),
			fmt.Sprintf("when: {code: [%d, %d]}\n  where: client == \"10.1.%d.0/24\" and (station > 200 or points > 50)", code, (code+1)%10, i%250),
			fmt.Sprintf("when: {code: %d, from: client}\n  where: new_op or new_target or station in [%d, %d, 251]", code, 240+i%10, 230+i%10),
			fmt.Sprintf("when: {code: %d}\n  where: name == \"none\" or status == \"illegal\" and rtt_ms > %d", code, i),
			fmt.Sprintf("when: {op: [read, report], code: %d}\n  where: (client_serves or server_serves) and vlan == %d", code, i%4000),
		}[i%5])
	}
	return bodies
}

// cpu is the processor time that this process has used, ns: the clock on the wall is noise on a shared machine.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func traffic() []*rules.Event {
	var events []*rules.Event
	for i := range 480 {
		e := message(int64(i)*second/100, fmt.Sprintf("10.0.0.%d", i%10+1), fmt.Sprintf("10.0.1.%d", i%40+1), uint16(i%10), uint32(i%4))
		e.Msg.Op = protocols.Read
		e.Msg.Points = []protocols.Point{{Kind: protocols.AnalogIn, Addr: uint32(i), N: 10}}
		events = append(events, e)
	}
	return events
}

// BenchmarkGenerated is the cost of one message under 500 rules; rules/op is how many of them the index leaves.
func BenchmarkGenerated(b *testing.B) {
	set := load(b, generated(b, 500)...)
	g := New(set, Options{Emit: func(a *rules.Alert) { b.Fatalf("fired: %s", a.Title) }})
	events := traffic()
	b.ReportAllocs()
	i, before := 0, cpu()
	for b.Loop() {
		g.Judge(events[i])
		if i++; i == len(events) {
			i = 0
		}
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
	left := 0
	for _, e := range events {
		left += len(g.index.lookup(e))
	}
	b.ReportMetric(float64(left)/float64(len(events)), "rules/op")
}

// TestNoAllocation judges messages on which nothing fires, under rules with and without state.
func TestNoAllocation(t *testing.T) {
	bodies := append(generated(t, 100),
		"when: {proto: toy}\n  state: {by: [client, server, name], window: 60s, distinct: station}\n  where: distinct > 50",
		"when: {proto: toy}\n  state: {by: [server, addr], window: 60s, distinct: point, sequence: [code == 1, code == 200]}\n  where: done",
		"when: {proto: toy}\n  state: {by: [client, server, code], window: 60s, silence: true, alive: [client, server]}",
		"when: {proto: toy}\n  state: {by: [client, server], window: 1h, expect: code == 3}\n  where: code == 2",
		"when: {proto: toy}\n  state: {by: [server], window: 60s, rate: true, prior: code == 1, last: value}\n  where: excess > 1000 or prior and changed and previous > 1e9",
		"when: {proto: toy}\n  state: {each: true, by: [server, addr], window: 60s, last: content}\n  where: changed and addr == 77777",
		"when: {proto: toy}\n  state: {by: [client_mac, status, value], window: 10m}\n  where: count > 100000")
	g := New(load(t, bodies...), Options{Emit: func(a *rules.Alert) { t.Fatalf("fired: %s", a.Title) }})
	events := traffic()
	all := func() {
		for _, e := range events {
			g.Judge(e)
		}
	}
	all()
	if n := testing.AllocsPerRun(20, all); n != 0 {
		t.Errorf("%v allocations for %d messages, want none", n, len(events))
	}
}
