package baseline

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"

	"github.com/roje-ot/roje/testdata/need"
)

// fill makes a learning baseline as full as its caps allow, as a scan flood would.
func fill(b *Baseline) {
	at := hour
	for i := range maxLinks {
		client, server := fmt.Sprintf("10.1.%d.%d", i>>8, i&255), fmt.Sprintf("10.2.%d.%d", i>>8, i&255)
		for code := range uint16(maxOps) {
			ask := poll.with(func(s *step) { s.client, s.server, s.code = client, server, code })
			b.play(at, ask, ask.with(func(s *step) { s.from, s.points = protocols.Server, values(uint32(code)*10, 1, 2) }))
		}
		for n := range uint32(maxTargets / maxLinks) {
			b.play(at, write.with(func(s *step) { s.client, s.server, s.points = client, server, values(n*2, float64(n)) }))
		}
		at += int64(time.Second)
	}
	for i := range maxHosts {
		e := poll.with(func(s *step) { s.client = fmt.Sprintf("10.3.%d.%d", i>>8, i&255) }).event(at)
		e.What, e.Msg = rules.ARP, nil
		e.Flow.ClientMAC = rules.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}
		b.Judge(e)
	}
}

// TestFull: a full baseline, with a version of it, keeps within memory and on disk what the sensor has for it, and comes
// back whole.
func TestFull(t *testing.T) {
	need.Long(t)
	dir := t.TempDir()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := openIn(t, dir, rules.Learn)
	fill(b)
	runtime.GC()
	runtime.ReadMemStats(&after)
	const mb = 1 << 20
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	if used > 100*mb {
		t.Errorf("a full baseline takes %d MB, want at most 100", used/mb)
	}
	if len(b.links) != maxLinks || len(b.targets) != maxTargets || len(b.hosts) < maxHosts-maxHosts/share {
		t.Errorf("%d links, %d targets, %d hosts: not full", len(b.links), len(b.targets), len(b.hosts))
	}
	b.Approve("test", time.Unix(0, 100*hour))
	n := len(b.Items())
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 200*mb {
		t.Errorf("the file takes %d MB, want at most 200", info.Size()/mb)
	}
	start := cpuTime(t)
	b = openIn(t, dir, rules.Enforce)
	took := cpuTime(t) - start
	defer b.Close()
	if got := len(b.Items()); got != n {
		t.Errorf("%d items came back, want %d", got, n)
	}
	t.Logf("%d items, %d MB of memory, %d MB on disk, opened in %v of CPU", n, used/mb, info.Size()/mb, took.Round(time.Millisecond))
}

// cpuTime is what this process has used of the processors.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
