package receive

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/fec"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// logged is a log that a test reads.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// A rig is a receiver with a store behind it and one sensor enrolled, whose envelopes the test seals.
type rig struct {
	*testing.T
	r    *Receiver
	db   *sqlite.DB
	ca   *pki.CA
	log  logged
	now  atomic.Pointer[time.Time]
	next map[batch.Lane]uint64
	prev map[batch.Lane]batch.Hash
	key  ed25519.PrivateKey
}

const epoch = "000102030405060708090a0b0c0d0e0f"

func newRig(t *testing.T) *rig {
	g := &rig{T: t, next: map[batch.Lane]uint64{}, prev: map[batch.Lane]batch.Hash{}}
	g.now.Store(&start)
	now := func() time.Time { return *g.now.Load() }
	var err error
	if g.db, err = sqlite.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.db.Close() })
	if g.ca, err = pki.Open(filepath.Join(t.TempDir(), "pki"), now); err != nil {
		t.Fatal(err)
	}
	scope, err := store.For("north")
	if err != nil {
		t.Fatal(err)
	}
	g.r = New(Config{Store: g.db, Scope: scope, Now: now, Log: slog.New(slog.NewTextHandler(&g.log, nil))})
	g.key = g.enrol("s1")
	return g
}

func (g *rig) enrol(id string) ed25519.PrivateKey {
	g.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		g.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		g.Fatal(err)
	}
	cert, err := g.ca.SignSensor(csr, "north", id)
	if err != nil {
		g.Fatal(err)
	}
	_, kept, err := g.ca.NewToken(g.r.Scope, "", "ann", "", 0)
	if err == nil {
		err = g.db.CreateToken(g.Context(), g.r.Scope, kept)
	}
	if err == nil {
		err = g.db.Enrol(g.Context(), g.r.Scope, kept.ID, kept.Secret, store.Sensor{ID: id, Name: id, Enrolled: start}, pki.Record(id, cert), start)
	}
	if err != nil {
		g.Fatal(err)
	}
	return key
}

// seal makes the next envelope of a lane, of n records.
func (g *rig) seal(lane batch.Lane, n int, change func(*batch.Header)) []byte {
	g.Helper()
	from := g.next[lane] + 1
	h := batch.Header{Sensor: "s1", Operator: "north", Epoch: epoch, Lane: lane, Base: 1, Sealed: start, Prev: g.prev[lane]}
	if change != nil {
		change(&h)
	}
	records := make([]batch.Record, n)
	for i := range records {
		records[i] = batch.Record{Seq: from + uint64(i), Kind: "x", Body: fmt.Appendf(nil, `{"n":%d}`, from)}
	}
	return g.sealed(h, records)
}

func (g *rig) sealed(h batch.Header, records []batch.Record) []byte {
	g.Helper()
	raw, err := batch.Seal(h, records, g.key)
	if err != nil {
		g.Fatal(err)
	}
	e, _, err := batch.Decode(raw)
	if err != nil {
		g.Fatal(err)
	}
	g.next[h.Lane], g.prev[h.Lane] = e.To, e.Hash
	return raw
}

// health is a health record that says what was sent.
func (g *rig) health(sent ...batch.Range) []byte {
	g.Helper()
	body, err := json.Marshal(batch.Health{At: start, Sent: sent})
	if err != nil {
		g.Fatal(err)
	}
	h := batch.Header{Sensor: "s1", Operator: "north", Epoch: epoch, Lane: batch.Vital, Base: 1, Sealed: start, Prev: g.prev[batch.Vital]}
	return g.sealed(h, []batch.Record{{Seq: g.next[batch.Vital] + 1, Kind: batch.KindHealth, Body: body}})
}

// bring runs the receiver with the carriers while do runs.
func (g *rig) bring(do func(), carriers ...Carrier) {
	g.Helper()
	ctx, cancel := context.WithCancel(g.Context())
	ended := make(chan error, 1)
	r := New(g.r.Config)
	g.r = r
	go func() { ended <- r.Run(ctx, carriers...) }()
	do()
	cancel()
	if err := <-ended; err != nil {
		g.Error(err)
	}
}

// arrive waits until n envelopes are committed or refused.
func (g *rig) arrive(n uint64) {
	g.Helper()
	for end := time.Now().Add(30 * time.Second); g.r.Envelopes.Load()+g.r.Refused.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			g.Fatalf("%d envelopes committed and %d refused, %d were due; log:\n%s", g.r.Envelopes.Load(), g.r.Refused.Load(), n, g.log.take())
		}
	}
}

func (g *rig) stored(lane batch.Lane) (high uint64, gaps []store.Gap) {
	g.Helper()
	streams, err := g.db.Streams(g.Context(), g.r.Scope, "s1")
	if err != nil {
		g.Fatal(err)
	}
	for _, st := range streams {
		if st.Lane == lane {
			return st.High, st.Gaps
		}
	}
	return 0, nil
}

func listening(carrier func(string, func(net.Addr)) Carrier) (Carrier, func() net.Addr) {
	bound := make(chan net.Addr, 1)
	return carrier("127.0.0.1:0", func(a net.Addr) { bound <- a }), func() net.Addr { return <-bound }
}

// TestUDP holds that shards with losses, repeats and noise among them give every envelope once.
func TestUDP(t *testing.T) {
	g := newRig(t)
	udp, at := listening(UDP)
	g.bring(func() {
		conn, err := net.Dial("udp", at().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for range 5 {
			raw := g.seal(batch.Routine, 40, nil)
			for range 2 {
				datagrams, err := fec.Split(raw, 0.25)
				if err != nil {
					t.Fatal(err)
				}
				i := 0
				for d := range datagrams {
					if i++; i%7 != 0 { // each seventh is lost
						conn.Write(d)
					}
				}
			}
			conn.Write([]byte("noise"))
			g.arrive(g.next[batch.Routine] / 40)
		}
	}, udp)
	if high, gaps := g.stored(batch.Routine); high != 200 || len(gaps) > 0 {
		t.Errorf("stored up to %d with gaps %v, want 200 and none", high, gaps)
	}
	if g.r.Damaged.Load() == 0 || g.r.Envelopes.Load() != 5 {
		t.Errorf("%d datagrams damaged, %d envelopes; want some, and 5", g.r.Damaged.Load(), g.r.Envelopes.Load())
	}
}

// TestTCP holds that envelopes come off a stream, that a broken stream does no harm to the next, and that the receiver
// writes nothing.
func TestTCP(t *testing.T) {
	g := newRig(t)
	tcp, at := listening(TCP)
	g.bring(func() {
		address := at().String()
		for i := range 3 {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				conn.Write(g.seal(batch.Urgent, 2, nil))
			}
			g.arrive(uint64(4 * (i + 1)))
			conn.Write(g.seal(batch.Evidence, 1, nil)[:40]) // cut short
			conn.(*net.TCPConn).CloseWrite()
			if n, err := conn.Read(make([]byte, 1)); n > 0 {
				t.Errorf("the receiver wrote (%v)", err)
			}
			conn.Close()
		}
	}, tcp)
	if high, gaps := g.stored(batch.Urgent); high != 24 || len(gaps) > 0 {
		t.Errorf("stored up to %d with gaps %v, want 24 and none", high, gaps)
	}
}

// TestFiles holds that files are taken once they have their name, removed when committed, and put aside when refused.
func TestFiles(t *testing.T) {
	g, dir := newRig(t), t.TempDir()
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, second, third := g.seal(batch.Urgent, 2, nil), g.seal(batch.Urgent, 2, nil), g.seal(batch.Urgent, 2, nil)
	write("b.batch", third)
	write("a.batch", append(slices.Clone(first), second...))
	write("half.batch", first[:100])
	write(".new-1.batch", first)
	write("readme.txt", []byte("hello"))
	g.bring(func() { g.arrive(4) }, Files(dir))
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{".new-1.batch", "half.batch.refused", "readme.txt"}; !slices.Equal(names, want) {
		t.Errorf("the folder holds %q, want %q", names, want)
	}
	if high, gaps := g.stored(batch.Urgent); high != 6 || len(gaps) > 0 {
		t.Errorf("stored up to %d with gaps %v, want 6 and none", high, gaps)
	}
}

// TestRefused holds what is not believed, and that it changes nothing.
func TestRefused(t *testing.T) {
	g := newRig(t)
	other := g.enrol("s2")
	good := g.seal(batch.Urgent, 2, nil)
	damaged := slices.Clone(good)
	damaged[len(damaged)-70] ^= 1
	forged := func(change func(*batch.Header)) []byte {
		key, next, prev := g.key, g.next[batch.Urgent], g.prev[batch.Urgent]
		defer func() { g.key, g.next[batch.Urgent], g.prev[batch.Urgent] = key, next, prev }()
		if change == nil {
			g.key = other
			change = func(*batch.Header) {}
		}
		g.next[batch.Urgent] = 10
		return g.seal(batch.Urgent, 2, change)
	}
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"damaged":             {damaged, "checksum"},
		"two in one":          {append(slices.Clone(good), good...), "follow the envelope"},
		"of another operator": {forged(func(h *batch.Header) { h.Operator = "south" }), "operator south"},
		"of another's key":    {forged(nil), "no key"},
		"of an unknown one":   {forged(func(h *batch.Header) { h.Sensor = "s9" }), "no key"},
		"after it lapsed":     {forged(func(h *batch.Header) { h.Sealed = start.Add(pki.SensorLife + pki.Grace + time.Hour) }), "lapsed"},
	} {
		if _, err := g.r.open(t.Context(), c.raw); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a refusal that says %q", name, err, c.want)
		}
	}
	if _, err := g.r.open(t.Context(), good); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	g.r.commit(t.Context(), []job{{raw: good}})
	g.next[batch.Urgent] = 0
	fork := g.seal(batch.Urgent, 2, func(h *batch.Header) { h.Sealed = start.Add(time.Second) })
	g.r.commit(t.Context(), []job{{raw: fork}, {raw: good}})
	if e, no := g.r.Envelopes.Load(), g.r.Refused.Load(); e != 2 || no != 1 {
		t.Errorf("a fork and a repeat: %d committed, %d refused; want 2 and 1", e, no)
	}
	if err := g.db.Deny(t.Context(), g.r.Scope, "s1", "ann", start); err != nil {
		t.Fatal(err)
	}
	if _, err := g.r.open(t.Context(), good); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "deny list") {
		t.Errorf("a denied sensor: %v", err)
	}
}

// TestMissingIsNamed holds the whole way of a lost envelope: named by its range, seen at the end of a lane too, said
// once, and said to be over when it is carried over by hand.
func TestMissingIsNamed(t *testing.T) {
	g := newRig(t)
	take := func(raw ...[]byte) string {
		t.Helper()
		for _, b := range raw {
			g.r.commit(t.Context(), []job{{raw: b}})
		}
		if err := g.r.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		return g.log.take()
	}
	one, lost, three, tail := g.seal(batch.Urgent, 2, nil), g.seal(batch.Urgent, 3, nil), g.seal(batch.Urgent, 1, nil), g.seal(batch.Urgent, 4, nil)
	if log := take(one); strings.Contains(log, "missing") {
		t.Errorf("nothing is missing, and the log says\n%s", log)
	}
	if log := take(three); !strings.Contains(log, "lane=urgent from=3 to=5") || !strings.Contains(log, "roje-sensor export --lane 1 --from 3 --to 5 --epoch "+epoch) {
		t.Errorf("records 3 to 5 are missing, and the log says\n%s", log)
	}
	if log := take(); log != "" {
		t.Errorf("said again:\n%s", log)
	}
	if log := take(g.health(batch.Range{Epoch: epoch, Lane: batch.Urgent, From: 1, To: 10})); !strings.Contains(log, "from=7 to=10") || strings.Contains(log, "from=3") {
		t.Errorf("the end of the lane is missing, records 7 to 10, and the log says\n%s", log)
	}
	if got := gathered(t, g.r, "roje_receive_missing_records"); got != 7 {
		t.Errorf("the metric says %v records are missing, want 7", got)
	}
	if log := take(lost); strings.Contains(log, "any more") {
		t.Errorf("the end is still missing, and the log says\n%s", log)
	}
	if log := take(tail); !strings.Contains(log, "no records are missing any more") {
		t.Errorf("all came, and the log says\n%s", log)
	}
	later := start.Add(6 * time.Minute)
	g.now.Store(&later)
	if log := take(); !strings.Contains(log, "a sensor is silent") || gathered(t, g.r, "roje_receive_silent") != 1 {
		t.Errorf("nothing came for 6 minutes, and the log says\n%s", log)
	}
	if log := take(g.health()); !strings.Contains(log, "heard again") {
		t.Errorf("it spoke again, and the log says\n%s", log)
	}
}

// TestSilentSinceBefore holds that a receiver that starts anew knows the one-way sensors by their last health.
func TestSilentSinceBefore(t *testing.T) {
	g := newRig(t)
	g.r.commit(t.Context(), []job{{raw: g.health(batch.Range{Epoch: epoch, Lane: batch.Routine, From: 1, To: 5})}})
	later := start.Add(time.Hour)
	g.now.Store(&later)
	g.r = New(g.r.Config)
	if err := g.r.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log := g.log.take(); !strings.Contains(log, "a sensor is silent") || !strings.Contains(log, "lane=routine from=1 to=5") {
		t.Errorf("the log says\n%s", log)
	}
}

func gathered(t *testing.T, c prometheus.Collector, name string) float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestMissing(t *testing.T) {
	a, b := strings.Repeat("a", 32), strings.Repeat("b", 32)
	streams := []store.Stream{{Epoch: a, Lane: 1, High: 10, Gaps: []store.Gap{{Epoch: a, Lane: 1, From: 4, To: 5}}}, {Epoch: b, Lane: 1, High: 3}}
	for _, c := range []struct {
		sent []batch.Range
		want []store.Gap
	}{
		{nil, []store.Gap{{Epoch: a, Lane: 1, From: 4, To: 5}}},
		{[]batch.Range{{Epoch: b, Lane: 1, From: 1, To: 3}}, []store.Gap{{Epoch: a, Lane: 1, From: 4, To: 5}}},
		{[]batch.Range{{Epoch: b, Lane: 1, From: 1, To: 5}}, []store.Gap{{Epoch: a, Lane: 1, From: 4, To: 5}, {Epoch: b, Lane: 1, From: 4, To: 5}}},
		{[]batch.Range{{Epoch: b, Lane: 2, From: 7, To: 9}}, []store.Gap{{Epoch: a, Lane: 1, From: 4, To: 5}, {Epoch: b, Lane: 2, From: 7, To: 9}}},
	} {
		if got := Missing(streams, c.sent); !reflect.DeepEqual(got, c.want) {
			t.Errorf("sent %v: %v, want %v", c.sent, got, c.want)
		}
	}
}
