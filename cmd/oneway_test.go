package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/roje-ot/roje/collector"
	"github.com/roje-ot/roje/collector/receive"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/enrol"
	"github.com/roje-ot/roje/sensor/oneway"
	"github.com/roje-ot/roje/sensor/spool"
	"github.com/roje-ot/roje/testdata/need"
)

// offline enrols a sensor at a collector's data folder by files alone.
func offline(t *testing.T, data string) *enrol.Identity {
	t.Helper()
	o := enrol.Options{Dir: filepath.Join(t.TempDir(), "enrolment"), Name: "Substation 7", Now: time.Now}
	return answered(t, o, data)
}

// answered carries the sensor's file to the collector and the answer back.
func answered(t *testing.T, o enrol.Options, data string) *enrol.Identity {
	t.Helper()
	text, key, err := enrol.AskOffline(o)
	if err != nil {
		t.Fatal(err)
	}
	ask, err := join.ParseAsk(text)
	if err != nil {
		t.Fatal(err)
	}
	if shown, err := collector.KeyOf(ask.CSR); err != nil || shown != key {
		t.Fatalf("the sensor shows key %s, the collector %s, %v", key, shown, err)
	}
	bundle, err := collector.EnrolOffline(t.Context(), data, ask, "", "ann")
	if err != nil {
		t.Fatal(err)
	}
	if text, err = json.Marshal(bundle); err != nil {
		t.Fatal(err)
	}
	id, err := enrol.InstallOffline(o, text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestEnrolOffline holds the way by files: enrolled, enrolled again under the same name with a certificate that lasts
// longer, and what is refused.
func TestEnrolOffline(t *testing.T) {
	data := t.TempDir()
	o := enrol.Options{Dir: filepath.Join(t.TempDir(), "enrolment"), Name: "Substation 7", Now: time.Now}
	first, err := os.ReadFile(ask(t, o))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(ask(t, o)); err != nil || keyIn(t, again) != keyIn(t, first) {
		t.Errorf("asked twice, the sensor asks for two keys (%v)", err)
	}
	id := answered(t, o, data)
	if left := time.Until(id.Expires()); left < 700*24*time.Hour {
		t.Errorf("the certificate is good for %v", left)
	}
	if again := answered(t, o, data); again.Sensor != id.Sensor || again.Name != "Substation 7" {
		t.Errorf("renewed by file: sensor %s (%s), want %s", again.Sensor, again.Name, id.Sensor)
	}
	other := enrol.Options{Dir: filepath.Join(t.TempDir(), "enrolment"), Name: "Substation 8", Now: time.Now}
	text, err := os.ReadFile(ask(t, other))
	if err != nil {
		t.Fatal(err)
	}
	a, err := join.ParseAsk(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*join.Bundle)
		o      enrol.Options
	}{
		"another's answer":  {func(*join.Bundle) {}, o},
		"another name":      {func(b *join.Bundle) { b.Sensor = id.Sensor }, other},
		"another root":      {func(b *join.Bundle) { b.CA = b.Cert }, other},
		"a damaged answer":  {func(b *join.Bundle) { b.Cert[100] ^= 1 }, other},
		"nothing was asked": {func(*join.Bundle) {}, enrol.Options{Dir: filepath.Join(t.TempDir(), "enrolment"), Now: time.Now}},
	} {
		bundle, err := collector.EnrolOffline(t.Context(), data, a, "", "ann")
		if err != nil {
			t.Fatal(err)
		}
		c.change(&bundle)
		text, err := json.Marshal(bundle)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := enrol.InstallOffline(c.o, text); err == nil {
			t.Errorf("%s was installed", name)
		}
	}
	if now, err := enrol.Load(o.Dir); err != nil || now.Sensor != id.Sensor {
		t.Errorf("after the refusals: %v", err)
	}
	db, scope := storeOf(t, data)
	if err := db.Deny(t.Context(), scope, id.Sensor, "ann", time.Now()); err != nil {
		t.Fatal(err)
	}
	denied, err := join.ParseAsk(first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := collector.EnrolOffline(t.Context(), data, denied, "", "ann"); err == nil || !strings.Contains(err.Error(), "deny list") {
		t.Errorf("a denied sensor asks again: %v", err)
	}
	acts, err := db.Acts(t.Context(), scope, id.Sensor, 10)
	if err != nil || len(acts) != 2 || acts[1].What != "enrol" || acts[1].Who != "ann" {
		t.Errorf("acts on the sensor: %+v, %v; want its enrolment and the denial", acts, err)
	}
}

func ask(t *testing.T, o enrol.Options) (file string) {
	t.Helper()
	text, _, err := enrol.AskOffline(o)
	file = filepath.Join(t.TempDir(), "ask")
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func keyIn(t *testing.T, text []byte) string {
	t.Helper()
	a, err := join.ParseAsk(text)
	if err != nil {
		t.Fatal(err)
	}
	key, err := collector.KeyOf(a.CSR)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func storeOf(t *testing.T, data string) (*sqlite.DB, store.Scope) {
	t.Helper()
	db, err := sqlite.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	scope, err := store.For(collector.DefaultOperator)
	if err != nil {
		t.Fatal(err)
	}
	return db, scope
}

// TestSensorOneWay holds the whole way by each carrier, from a capture to the alerts in the store, with the sensor's own
// configuration and its own end.
func TestSensorOneWay(t *testing.T) {
	for _, carrier := range []string{"udp", "tcp", "files"} {
		t.Run(carrier, func(t *testing.T) {
			data, dir, state := t.TempDir(), t.TempDir(), t.TempDir()
			db, scope := storeOf(t, data)
			id := answered(t, enrol.Options{Dir: filepath.Join(state, "enrolment"), Name: "Substation 7", Now: time.Now}, data)
			bound := make(chan net.Addr, 1)
			tell := func(a net.Addr) { bound <- a }
			bring, where := receive.Files(dir), dir
			switch carrier {
			case "udp":
				bring = receive.UDP("127.0.0.1:0", tell)
			case "tcp":
				bring = receive.TCP("127.0.0.1:0", tell)
			}
			r := receive.New(receive.Config{Store: db, Scope: scope, Now: time.Now, Log: textLog(t.Output())})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx, bring) }()
			if carrier != "files" {
				where = (<-bound).String()
			}
			alerts := filepath.Join(state, "alerts.jsonl")
			config := fmt.Sprintf("state: %s\nalerts: %s\nreplay: {files: [%s]}\noneway: {%s: %q}\n", state, alerts,
				filepath.Join(need.Root(t), "testdata", "act-iec104-industroyer2.pcap"), carrier, where)
			file := filepath.Join(state, "sensor.yaml")
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := sensor.LoadConfig(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := sensor.Run(t.Context(), cfg, "test", textLog(t.Output())); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(alerts)
			if err != nil {
				t.Fatal(err)
			}
			raised := map[string]bool{}
			for line := range bytes.Lines(text) {
				var a struct{ ID string }
				if err := json.Unmarshal(line, &a); err != nil {
					t.Fatal(err)
				}
				raised[a.ID] = true
			}
			var page []store.Alert
			for end := time.Now().Add(time.Minute); len(page) < len(raised); time.Sleep(5 * time.Millisecond) {
				if page, _, err = db.ListAlerts(t.Context(), scope, store.Filter{Sensor: id.Sensor}, "", 1000); err != nil {
					t.Fatal(err)
				}
				if time.Now().After(end) {
					t.Fatalf("%d alerts arrived of %d", len(page), len(raised))
				}
			}
			for _, a := range page {
				if !raised[a.ID] {
					t.Errorf("alert %s was never raised", a.ID)
				}
			}
			if len(raised) == 0 {
				t.Error("the capture raised no alert")
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// A diode is two network namespaces with a wire between them on which nothing comes back: the far one drops whatever
// it would send, and a share of what comes in.
type diode struct {
	t         *testing.T
	near, far netns.NsHandle
}

const (
	nearAddr, farAddr = "10.77.0.1", "10.77.0.2"
	farPort           = "9000"
	farMAC            = "02:77:00:00:00:02"
)

func newDiode(t *testing.T, percent int) *diode {
	need.Superuser(t)
	nft := need.Tool(t, "nft", "nftables")
	d := &diode{t: t}
	d.near, d.far = d.namespace(), d.namespace()
	d.in(d.near, func() error {
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "out"}, PeerName: "in", PeerNamespace: netlink.NsFd(d.far)}
		if err := netlink.LinkAdd(pair); err != nil {
			return err
		}
		mac, err := net.ParseMAC(farMAC)
		if err != nil {
			return err
		}
		link, err := up("out", nearAddr)
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: net.ParseIP(farAddr), HardwareAddr: mac, State: netlink.NUD_PERMANENT})
	})
	d.in(d.far, func() error {
		link, err := netlink.LinkByName("in")
		if err != nil {
			return err
		}
		mac, err := net.ParseMAC(farMAC)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetHardwareAddr(link, mac); err != nil {
			return err
		}
		if _, err := up("in", farAddr); err != nil {
			return err
		}
		rules := "table netdev diode {\n chain back { type filter hook egress device in priority 0; policy drop; }\n"
		if percent > 0 {
			rules += fmt.Sprintf(" chain loss { type filter hook ingress device in priority 0; policy accept; numgen random mod 100 < %d drop; }\n", percent)
		}
		cmd := exec.Command(nft, "-f", "-")
		cmd.Stdin = strings.NewReader(rules + "}\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	return d
}

func up(name, addr string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	ip := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(addr), Mask: net.CIDRMask(24, 32)}}
	if err := netlink.AddrAdd(link, ip); err != nil {
		return nil, err
	}
	return link, netlink.LinkSetUp(link)
}

func (d *diode) namespace() (ns netns.NsHandle) {
	d.in(netns.None(), func() (err error) {
		if ns, err = netns.New(); err != nil {
			return err
		}
		return os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
	})
	d.t.Cleanup(func() { ns.Close() })
	return ns
}

// in runs f on a thread of its own in a namespace, and waits for it.
func (d *diode) in(ns netns.NsHandle, f func() error) {
	d.t.Helper()
	if err := <-d.start(ns, f); err != nil {
		d.t.Fatal(err)
	}
}

func (d *diode) start(ns netns.NsHandle, f func() error) <-chan error {
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		err := error(nil)
		if ns != netns.None() {
			err = netns.Set(ns)
		}
		if err == nil {
			err = f()
		}
		ended <- err
	}()
	return ended
}

// cameBack is how many frames the near end has received.
func (d *diode) cameBack() (n uint64) {
	d.in(d.near, func() error {
		link, err := netlink.LinkByName("out")
		if err == nil {
			n = link.Attrs().Statistics.RxPackets
		}
		return err
	})
	return n
}

// TestDiode sends over a link with no way back, at several rates of loss, and holds that everything arrives or is named
// as missing, that nothing comes back, and that what is missing arrives once it is carried over by hand.
func TestDiode(t *testing.T) {
	for _, c := range []struct {
		percent int
		lossy   bool // so lossy that something is missing, beyond doubt
	}{{0, false}, {1, false}, {5, false}, {60, true}} {
		t.Run(fmt.Sprintf("%d percent lost", c.percent), func(t *testing.T) {
			d := newDiode(t, c.percent)
			far := newFar(t, d)
			near := newNear(t, d, far.data)
			const urgent, routine = 200, 1500
			near.add(batch.Urgent, urgent)
			near.add(batch.Routine, routine)
			near.drain()
			far.hear(near)

			stored, missing := far.judge(near, map[batch.Lane]uint64{batch.Urgent: urgent, batch.Routine: routine})
			t.Logf("%d records stored, %d named as missing in %d ranges; %d envelopes sent, %d datagrams came", stored, count(missing), len(missing), near.sender.Envelopes.Load(), far.r.Datagrams.Load())
			if c.percent == 0 && len(missing) > 0 || c.lossy && len(missing) == 0 {
				t.Errorf("%d ranges are missing", len(missing))
			}
			if log := far.log.String(); len(missing) > 0 && !strings.Contains(log, "records are missing") {
				t.Errorf("the log names nothing:\n%s", log)
			}
			for _, g := range missing {
				n, unknown, err := oneway.Export(filepath.Join(near.dir, oneway.ArchiveName), oneway.Wish{Lane: g.Lane, From: g.From, To: g.To, Epoch: g.Epoch}, far.dir)
				if err != nil || n == 0 || len(unknown) > 0 {
					t.Fatalf("export of %+v: %d envelopes, without %v, %v", g, n, unknown, err)
				}
			}
			far.await("all that was carried over", func() bool { return len(far.missing(near)) == 0 })
			if n := d.cameBack(); n != 0 {
				t.Errorf("%d frames came back through the diode", n)
			}
		})
	}
}

func count(gaps []store.Gap) (n uint64) {
	for _, g := range gaps {
		n += g.To - g.From + 1
	}
	return n
}

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
		return <-d.start(d.far, func() error { return listen(ctx, r) })
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
	ended := d.start(d.near, func() error { return n.sender.Run(ctx) })
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

// safeBuffer is a log that is read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
