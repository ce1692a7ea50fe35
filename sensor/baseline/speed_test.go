package baseline

import (
	"syscall"
	"testing"

	"github.com/roje-ot/roje/rules"
)

// TestNoAllocation: known traffic costs no allocation, learning or enforcing.
func TestNoAllocation(t *testing.T) {
	for _, phase := range []rules.Phase{rules.Off, rules.Learn, rules.Enforce} {
		b := learned(t, "")
		b.SetPhase(phase)
		events := []*rules.Event{poll.event(30 * hour), answer.event(30 * hour), write.event(30 * hour),
			poll.with(func(s *step) { s.client = "10.0.0.66" }).event(30 * hour)}
		all := func() {
			for _, e := range events {
				b.Judge(e)
			}
		}
		all()
		if n := testing.AllocsPerRun(100, all); n != 0 {
			t.Errorf("phase %v: %v allocations, want none", phase, n)
		}
	}
}

// BenchmarkJudge is the cost of one message of ordinary polling: a request of a range, or an answer with four values.
func BenchmarkJudge(b *testing.B) {
	for _, phase := range []rules.Phase{rules.Off, rules.Learn, rules.Enforce} {
		b.Run(phase.String(), func(b *testing.B) {
			base := learned(b, "")
			base.SetPhase(phase)
			events := []*rules.Event{poll.event(30 * hour), answer.event(30 * hour)}
			b.ReportAllocs()
			i, before := 0, cpu(b)
			for b.Loop() {
				base.Judge(events[i&1])
				i++
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpu is the processor time that this process has used, ns: the clock on the wall is noise on a shared machine.
func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
