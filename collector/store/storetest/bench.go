package storetest

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// Plain is the record of an alert as sensors often send it; seq sets it apart.
func Plain(sensor string, seq uint64) batch.Record {
	body := fmt.Appendf(nil, `{"id":"%s-%08d","rule":"modbus-write-%d","title":"Host 10.0.0.%d wrote register %d of 10.0.1.1, which it never did before","severity":%q,`+
		`"techniques":["T0836"],"first":"2026-03-01T08:00:00Z","last":"2026-03-01T08:%02d:00Z","count":1,"client":"10.0.0.%d:40000","server":"10.0.1.1:502","proto":"modbus","score":{"impact":0.5,"novelty":1,"confidence":0.9}}`,
		sensor, seq, seq%40, seq%250, seq, []string{"low", "medium", "high"}[seq%3], seq%60, seq%250)
	return batch.Record{Seq: seq, Kind: batch.KindAlert, Body: body}
}

// PlainBatch is a batch of n of them that follows on from.
func PlainBatch(sensor string, from uint64, n int, prev batch.Hash) store.Batch {
	b := store.Batch{Header: batch.Header{Sensor: sensor, Epoch: strings.Repeat("0a", 16), Lane: batch.Routine, Base: 1, From: from, To: from + uint64(n) - 1, Prev: prev}}
	b.Hash = batch.Hash{31: byte(from), 30: byte(from >> 8), 29: byte(from >> 16)}
	for i := range uint64(n) {
		b.Records = append(b.Records, Plain(sensor, from+i))
	}
	return b
}

// benchBatches are how many alerts the batches of Bench have: a few seconds of a storm, and what a sensor with a backlog sends, whose
// batches are filled up to 4 MiB.
var benchBatches = [...]int{500, 4000}

// Bench measures the durable intake of a store beside its engine taking the same rows into the same table, a commit for each
// batch, with nothing else done. raw is given what the bodies say, and returns that work: only it is timed. The two take
// turns, batch by batch, so that what else the machine does meets both; each is first as often as the other.
//
// It reports both in alerts per second, their ratio (of-raw), and the ratio of the processor time that this process and the
// processes of pids spent (cpu-of-raw), which a busy machine changes less. pids, which may be nil, is asked each time.
func Bench(b *testing.B, db store.Store, pids func() []string, raw func(in *store.Batch, read []rules.Alert) func() error) {
	sc, next, prev := For(b, "north"), uint64(1), batch.Hash{}
	for _, size := range benchBatches {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			next, prev = benchSize(b, db, sc, pids, raw, size, next, prev)
		})
	}
}

// benchSize is Bench with batches of a size, which follow on next and prev.
func benchSize(b *testing.B, db store.Store, sc store.Scope, pids func() []string, raw func(in *store.Batch, read []rules.Alert) func() error,
	size int, next uint64, prev batch.Hash) (uint64, batch.Hash) {
	var wall, cpu [2]time.Duration
	timed := func(i int, do func() error) {
		used := processor(b, pids)
		began := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		wall[i] += time.Since(began)
		cpu[i] += processor(b, pids) - used
	}
	turn := func(n int) {
		in := PlainBatch("s1", next, size, prev)
		read := make([]rules.Alert, len(in.Records))
		for i := range in.Records {
			if err := json.Unmarshal(in.Records[i].Body, &read[i]); err != nil {
				b.Fatal(err)
			}
		}
		work := [2]func() error{func() error {
			_, err := db.Ingest(b.Context(), sc, "s1", []store.Batch{in}, Start)
			return err
		}, raw(&in, read)}
		for i := range work {
			i = (i + n) % 2
			timed(i, work[i])
		}
		next, prev = in.To+1, in.Hash
	}
	turn(0) // makes what is made once
	wall, cpu = [2]time.Duration{}, [2]time.Duration{}
	for n := 0; b.Loop(); n++ {
		turn(n)
	}
	b.ReportMetric(float64(b.N*size)/wall[0].Seconds(), "alerts/s")
	b.ReportMetric(float64(b.N*size)/wall[1].Seconds(), "raw/s")
	b.ReportMetric(wall[1].Seconds()/wall[0].Seconds(), "of-raw")
	b.ReportMetric(cpu[1].Seconds()/cpu[0].Seconds(), "cpu-of-raw")
	b.ReportMetric(float64(cpu[0].Microseconds())/float64(b.N*size), "cpu-µs/alert")
	return next, prev
}

// processor is the processor time that this process has spent, and those of pids.
func processor(t testing.TB, pids func() []string) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	used := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	if pids == nil {
		return used
	}
	for _, pid := range pids() {
		text, _ := os.ReadFile("/proc/" + pid + "/schedstat") // one that has ended is as good as idle
		if fields := strings.Fields(string(text)); len(fields) > 0 {
			n, err := strconv.ParseInt(fields[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			used += time.Duration(n)
		}
	}
	return used
}
