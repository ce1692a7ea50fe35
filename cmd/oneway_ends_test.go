package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/receive"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/enrol"
	"github.com/roje-ot/roje/sensor/oneway"
	"github.com/roje-ot/roje/sensor/spool"
)

// far is the receiver's side.
type far struct {
	t     *testing.T
	data  string // the collector's folder
	dir   string // for files that are carried over
	db    *sqlite.DB
	scope store.Scope
	r     *receive.Receiver
	log   *safeBuffer
}

func newFar(t *testing.T, d *diode) *far {
	f := &far{t: t, data: t.TempDir(), dir: t.TempDir(), log: new(safeBuffer)}
	f.db, f.scope = storeOf(t, f.data)
	f.r = receive.New(receive.Config{Store: f.db, Scope: f.scope, Now: time.Now, Log: textLog(f.log)})
	ctx, cancel := context.WithCancel(context.Background())
	bound := make(chan net.Addr, 1)
	listen := receive.UDP(farAddr+":"+farPort, func(a net.Addr) { bound <- a })
	inside := func(ctx context.Context, r *receive.Receiver) error {
		return <-d.far.Go(func() error { return listen(ctx, r) })
	}
	ended := make(chan error, 1)
	go func() { ended <- f.r.Run(ctx, inside, receive.Files(f.dir)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-bound:
	case err := <-ended:
		t.Fatal(err)
	}
	return f
}

func (f *far) await(what string, met func() bool) {
	f.t.Helper()
	for end := time.Now().Add(time.Minute); !met(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("%s did not come; log:\n%s", what, f.log)
		}
	}
}

// hear waits for a heartbeat that was sent after everything else: as datagrams and commits keep their order, nothing is
// under way then. A heartbeat may be lost, like anything; then there is another.
func (f *far) hear(n *near) {
	f.t.Helper()
	for beat := int64(1); beat < 100; beat++ {
		n.beat(beat)
		n.drain()
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			var h batch.Health
			if s, err := f.db.GetSensor(f.t.Context(), f.scope, n.id.Sensor); err == nil && json.Unmarshal(s.Health, &h) == nil && h.UptimeS == beat {
				if err := f.r.Look(f.t.Context()); err != nil {
					f.t.Fatal(err)
				}
				return
			}
		}
	}
	f.t.Fatalf("no heartbeat came; log:\n%s", f.log)
}

// missing is what the receiver names, the heartbeat's own lane aside: lost heartbeats have done no harm.
func (f *far) missing(n *near) (missing []store.Gap) {
	f.t.Helper()
	streams, err := f.db.Streams(f.t.Context(), f.scope, n.id.Sensor)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, g := range receive.Missing(streams, n.sender.Sent()) {
		if g.Lane != batch.Vital {
			missing = append(missing, g)
		}
	}
	return missing
}

// judge compares what is stored and what is named with what was sent.
func (f *far) judge(n *near, sent map[batch.Lane]uint64) (stored int, missing []store.Gap) {
	f.t.Helper()
	have := map[batch.Lane]map[uint64]bool{batch.Urgent: {}, batch.Routine: {}}
	for cursor := ""; ; {
		page, next, err := f.db.Records(f.t.Context(), f.scope, "x", n.id.Sensor, cursor, 1000)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, r := range page {
			have[r.Lane][r.Seq] = true
			stored++
		}
		if cursor = next; next == "" {
			break
		}
	}
	missing = f.missing(n)
	named := map[batch.Lane]map[uint64]bool{batch.Urgent: {}, batch.Routine: {}}
	for _, g := range missing {
		for seq := g.From; seq <= g.To; seq++ {
			named[g.Lane][seq] = true
		}
	}
	for lane, last := range sent {
		for seq := uint64(1); seq <= last; seq++ {
			if have[lane][seq] == named[lane][seq] {
				f.t.Errorf("%s record %d: stored %v, named as missing %v", lane, seq, have[lane][seq], named[lane][seq])
			}
		}
	}
	return stored, missing
}

// near is the sensor's side.
type near struct {
	t      *testing.T
	dir    string
	id     *enrol.Identity
	spool  *spool.Spool
	sender *oneway.Sender
	random *rand.Rand
}

func newNear(t *testing.T, d *diode, data string) *near {
	n := &near{t: t, dir: t.TempDir(), id: offline(t, data), random: rand.New(rand.NewPCG(1, 2))}
	var err error
	if n.spool, err = spool.Open(spool.Config{Dir: n.dir}); err == nil {
		err = n.spool.Bind(n.id.Operator, n.id.Sensor)
	}
	if err != nil {
		t.Fatal(err)
	}
	n.sender, err = oneway.New(oneway.Settings{
		Config: oneway.Config{UDP: farAddr + ":" + farPort, RateKbit: 40_000}, Spool: n.spool, Key: n.id.Key,
		Archive: filepath.Join(n.dir, oneway.ArchiveName), Now: time.Now, Log: textLog(t.Output()),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := d.near.Go(func() error { return n.sender.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		n.spool.Close()
	})
	return n
}

// add spools records that do not compress, some at a time, so that there are many envelopes.
func (n *near) add(lane batch.Lane, records int) {
	n.t.Helper()
	var some []spool.Item
	for i := range records {
		noise := make([]byte, 400)
		for j := range noise {
			noise[j] = byte(n.random.Uint32())
		}
		some = append(some, spool.Item{Kind: "x", Lane: lane, At: time.Now(), Body: fmt.Appendf(nil, `{"noise":"%x"}`, noise)})
		if i%20 == 19 {
			n.put(some...)
			some = nil
			n.drain()
		}
	}
	n.put(some...)
}

func (n *near) put(items ...spool.Item) {
	n.t.Helper()
	if err := n.spool.Append(items...); err != nil {
		n.t.Fatal(err)
	}
}

// beat spools a health record that says what was sent.
func (n *near) beat(number int64) {
	n.t.Helper()
	body, err := json.Marshal(batch.Health{At: time.Now(), UptimeS: number, Sent: n.sender.Sent()})
	if err != nil {
		n.t.Fatal(err)
	}
	n.put(spool.Item{Kind: batch.KindHealth, Lane: batch.Vital, At: time.Now(), Body: body})
}

// drain waits until the sender has sent everything.
func (n *near) drain() {
	n.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		stats := n.spool.Stats()
		if stats.Records() == 0 {
			return
		}
		if time.Now().After(end) {
			n.t.Fatalf("%d records are not sent", stats.Records())
		}
	}
}
