package receive

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules/batch"
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
