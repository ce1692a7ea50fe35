package ledger_test

import (
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/coverage"
	"github.com/roje-ot/roje/sensor/evidence"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/testdata/need"
)

// cpu is what this thread has used of a processor.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(1, &u); err != nil { // RUSAGE_THREAD
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// packetsOf reads a capture into memory.
func packetsOf(t testing.TB, path string) (list []capture.Packet) {
	t.Helper()
	file, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for {
		var p capture.Packet
		switch err := file.Next(&p); {
		case errors.Is(err, io.EOF):
			return list
		case err != nil:
			t.Fatal(err)
		}
		p.Data = append([]byte(nil), p.Data...)
		list = append(list, p)
	}
}

// faster is how much denser the traffic is than the lab's: 150 packets a second.
const faster = 100

// BenchmarkKeeping is what ring, ledger and coverage together cost per message of the lab's normal day: the thread's
// processor time with them less that without them, in runs that take turns, as the median of the rounds: 20 of them say
// something (-benchtime 20x). The bar is 100 ns. Each is also measured alone. On a machine where others run, too, look at
// the ratio to the rest of the pipeline, whose memory they share.
func BenchmarkKeeping(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	packets := packetsOf(b, filepath.Join(need.Root(b), "testdata", "day-normal.pcapng.gz"))
	for i := range packets { // a day in a quarter of an hour: coverage works by the second, and the lab is a small plant
		packets[i].At = packets[0].At + (packets[i].At-packets[0].At)/faster
	}
	const ringBit, ledgerBit, coverBit = 1, 2, 4
	messages, records := 0, 0
	ring := evidence.NewRing(evidence.Config{}) // one for all: a sensor's ring has been written to all over
	for n := 0; n < 128<<20; {
		for i := range packets {
			ring.Add(&packets[i])
			n += len(packets[i].Data)
		}
	}
	pass := func(with int) time.Duration {
		l := ledger.New(ledger.Config{}, func(*ledger.Record) { records++ })
		pipe := &sensor.Pipeline{Know: func(*rules.Event) {}, Record: func(*rules.Event) {}, Judge: func(*rules.Event) {}, Events: &sensor.Lines{}}
		if with&ledgerBit != 0 {
			pipe.Record, pipe.Over = l.Take, l.Closed
		}
		table := flow.New(flow.Config{Protocols: catalog.All}, pipe.Handler())
		book := coverage.New(coverage.Config{}, nil)
		source := book.Source("day", table)
		if with&coverBit != 0 {
			pipe.Closed = source.Closed
		}
		runtime.GC()
		began, looked := cpu(b), int64(0)
		for i := range packets {
			p := packets[i]
			if with&ringBit != 0 {
				ring.Add(&p)
			}
			table.Packet(&p)
			if with&coverBit != 0 && p.At-looked >= int64(time.Second) {
				looked = p.At
				source.Look()
				book.Tick(p.At)
			}
		}
		used := cpu(b) - began
		messages = int(pipe.Messages)
		return used
	}
	kinds := []int{0, ringBit, ledgerBit, coverBit, ringBit | ledgerBit | coverBit}
	var used [8][]float64 // of each round, per message
	for b.Loop() {
		for _, with := range kinds {
			used[with] = append(used[with], float64(pass(with))/float64(messages))
		}
	}
	per := func(with int) float64 { // the median of what the rounds differ by: others run, too
		more := slices.Clone(used[with])
		for i := range more {
			more[i] -= used[0][i]
		}
		return median(more)
	}
	all, pipeline := per(ringBit|ledgerBit|coverBit), median(slices.Clone(used[0]))
	b.ReportMetric(per(ringBit), "ring-ns/msg")
	b.ReportMetric(per(ledgerBit), "ledger-ns/msg")
	b.ReportMetric(per(coverBit), "coverage-ns/msg")
	b.ReportMetric(all, "all-ns/msg")
	b.ReportMetric(all/100, "of-bar")
	b.ReportMetric(pipeline, "pipeline-ns/msg")
	b.ReportMetric(all/pipeline, "of-pipeline")
	b.ReportMetric(0, "ns/op")
	if records == 0 {
		b.Fatal("the day has no commands")
	}
	b.Logf("%d packets, %d messages, %d rounds", len(packets), messages, len(used[0]))
}

// median sorts list.
func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}
