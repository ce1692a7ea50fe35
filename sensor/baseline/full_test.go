package baseline

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/course"

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

// approveValues approves what was learned of every measured point, of which fill has shown more than there is room for.
func approveValues(t *testing.T, b *Baseline) {
	if b.courses.Overflow == 0 {
		t.Error("the room for measured points is not used up")
	}
	b.courses.Each(func(v *course.Values) { b.courses.Approve(v.Point, &course.Grant{Who: "test"}) })
}

// TestCopy: a baseline beside which a copy of itself is said to fit leaves room for it, and for what it is made of.
func TestCopy(t *testing.T) {
	need.Long(t)
	var before, after, peak runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := openIn(t, "", rules.Learn)
	for i := 0; b.size() < mostCopied*15/16; i++ { // of each kind of entries as many as of the others
		client, server := fmt.Sprintf("10.1.%d.%d", i>>8, i&255), fmt.Sprintf("10.2.%d.%d", i>>8, i&255)
		of := func(s step) step { return s.with(func(s *step) { s.client, s.server = client, server }) }
		b.steadily(of(poll), of(answer), of(write))
		for code := range uint16(30) {
			b.steadily(of(poll).with(func(s *step) { s.code, s.points = code, nil }))
		}
		for page := range uint32(3) {
			b.steadily(of(answer).with(func(s *step) { s.points = values(page*64, slices.Repeat([]float64{7}, 64)...) }))
		}
	}
	make := b.Candidate([]Class{Reads, Commands, Mixed}, time.Unix(0, 30*hour))
	runtime.GC()
	runtime.ReadMemStats(&peak) // the baseline, and what the copy is made of
	c, err := make()
	if err != nil || c == nil {
		t.Fatal(c, err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := len(c.Items()); n < len(b.Items())/2 {
		t.Errorf("the copy has %d items of %d", n, len(b.Items()))
	}
	const mb = 1 << 20
	beside, together := int64(peak.HeapAlloc-before.HeapAlloc), int64(after.HeapAlloc-before.HeapAlloc)
	t.Logf("%d items: with what a copy is made of %d MB, with the copy %d MB", len(b.Items()), beside/mb, together/mb)
	if beside+int64(c.size()) > memory || together > memory {
		t.Errorf("with what a copy is made of %d MB, with the copy %d MB: more than %d", beside/mb, together/mb, memory/mb)
	}
	runtime.KeepAlive(make)
	runtime.KeepAlive(b)
}

// TestFull: a full baseline that was stored, approved and stored again, with as many versions as are kept and as large as they
// may be, keeps within memory and on disk what the sensor has for it, and comes back whole.
func TestFull(t *testing.T) {
	need.Long(t)
	dir := t.TempDir()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := openIn(t, dir, rules.Learn)
	fill(b)
	approveValues(t, b)
	runtime.GC()
	runtime.ReadMemStats(&after)
	const mb = 1 << 20
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	if size := int64(b.size()); size < used || size > used*3/2 || b.Copies() {
		t.Errorf("a full baseline is said to take %d MB, and a copy to fit beside it: %v; it takes %d MB", size/mb, b.Copies(), used/mb)
	}
	if used > memory {
		t.Errorf("a full baseline takes %d MB, want at most 100", used/mb)
	}
	if len(b.links) != maxLinks || len(b.targets) != maxTargets || len(b.hosts) < maxHosts-maxHosts/share {
		t.Errorf("%d links, %d targets, %d hosts: not full", len(b.links), len(b.targets), len(b.hosts))
	}
	if c, err := b.Candidate(Classes(), time.Unix(0, 100*hour))(); c != nil || err != ErrLarge {
		t.Errorf("a copy of a full baseline: %v", err)
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	b.Approve("test", time.Unix(0, 100*hour)) // which changes every row
	large(b)
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
	if all, err := b.Versions(); err != nil || len(all) != keptTexts {
		t.Errorf("%d versions came back, want %d: %v", len(all), keptTexts, err)
	}
	t.Logf("%d items, %d MB of memory, %d MB on disk, opened in %v of CPU", n, used/mb, info.Size()/mb, took.Round(time.Millisecond))
}

// large adds versions up to those that are kept, of which each takes its share of the room for all, as if nothing in them
// repeated itself.
func large(b *Baseline) {
	noise := rand.NewChaCha8([32]byte{1})
	for len(b.versions) < keptTexts {
		last := b.versions[len(b.versions)-1]
		v := Version{N: last.N + 1, At: last.At, Who: "test", Prev: last.Hash}
		v.Hash = v.hash()
		b.versions = append(b.versions, v)
		b.texts[v.N] = make([]byte, maxTexts/keptTexts)
		noise.Read(b.texts[v.N])
	}
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
