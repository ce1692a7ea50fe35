package ingest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// A rig is a listener on loopback with a store behind it, and what it logged.
type rig struct {
	t     *testing.T
	now   atomic.Pointer[time.Time]
	db    *sqlite.DB
	ca    *pki.CA
	h     *Handler
	url   string
	log   logged
	scope store.Scope
	fail  atomic.Pointer[error] // what Ingest gives instead of doing its work
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	r := &rig{t: t}
	r.clock(start)
	now := func() time.Time { return *r.now.Load() }
	var err error
	if r.db, err = sqlite.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if r.ca, err = pki.Open(filepath.Join(t.TempDir(), "pki"), now); err != nil {
		t.Fatal(err)
	}
	if r.scope, err = store.For("north"); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Store: failing{r.db, &r.fail}, CA: r.ca, Now: now, Log: slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, c := range change {
		c(&cfg)
	}
	r.h = New(cfg)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := Server(r.h)
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(l, "", "") }()
	r.url = "https://" + l.Addr().String()
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		r.db.Close()
	})
	return r
}

// logged keeps a log; handlers write it while a test reads.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// failing is a store whose Ingest can be made to fail.
type failing struct {
	Store
	err *atomic.Pointer[error]
}

func (f failing) Ingest(ctx context.Context, s store.Scope, sensor string, b []store.Batch, at time.Time) (store.Receipt, error) {
	if err := f.err.Load(); err != nil {
		return store.Receipt{}, *err
	}
	return f.Store.Ingest(ctx, s, sensor, b, at)
}

func (r *rig) clock(at time.Time) { r.now.Store(&at) }

// A sensor is a client with a key, and with a certificate once it has joined.
type sensor struct {
	key  ed25519.PrivateKey
	cert *x509.Certificate
	id   string
}

func newSensor(t *testing.T) *sensor {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &sensor{key: key}
}

func (s *sensor) csr(t *testing.T) []byte {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, s.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// post sends a body and returns what was answered.
func (r *rig) post(s *sensor, path string, body []byte) (status int, text []byte, header http.Header) {
	r.t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13} // the sensor's side is tested with it
	if s != nil && s.cert != nil {
		cfg.Certificates = []tls.Certificate{{Certificate: [][]byte{s.cert.Raw}, PrivateKey: s.key}}
	}
	tr := &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	resp, err := (&http.Client{Transport: tr}).Post(r.url+path, batch.ContentType, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err = io.ReadAll(resp.Body); err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, text, resp.Header
}

// token makes a token.
func (r *rig) token() join.Token {
	r.t.Helper()
	text, kept, err := r.ca.NewToken(r.scope, "", "ana", "127.0.0.1:1", 0)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.db.CreateToken(r.t.Context(), r.scope, kept); err != nil {
		r.t.Fatal(err)
	}
	t, err := join.Parse(text)
	if err != nil {
		r.t.Fatal(err)
	}
	return t
}

func (r *rig) enrol(s *sensor, req join.Request) (int, batch.Refusal, join.Response) {
	r.t.Helper()
	body, err := json.Marshal(req)
	if err != nil {
		r.t.Fatal(err)
	}
	status, text, _ := r.post(nil, batch.PathEnrol, body)
	var no batch.Refusal
	var yes join.Response
	if status == http.StatusOK {
		err = json.Unmarshal(text, &yes)
	} else {
		err = json.Unmarshal(text, &no)
	}
	if err != nil {
		r.t.Fatalf("%d: %s: %v", status, text, err)
	}
	return status, no, yes
}

// joined is a sensor that has joined.
func (r *rig) joined() *sensor {
	r.t.Helper()
	s, k := newSensor(r.t), r.token()
	status, no, yes := r.enrol(s, join.Request{ID: k.ID, Secret: k.SecretText(), CSR: s.csr(r.t), Name: "Substation 7"})
	if status != http.StatusOK {
		r.t.Fatalf("%d: %+v", status, no)
	}
	cert, err := x509.ParseCertificate(yes.Cert)
	if err != nil {
		r.t.Fatal(err)
	}
	s.cert, s.id = cert, yes.Sensor
	return s
}

// seal makes an envelope of one alert; change may make it wrong before it is signed.
func (s *sensor) seal(t *testing.T, seq uint64, change func(*batch.Header)) []byte {
	t.Helper()
	h := batch.Header{Sensor: s.id, Operator: "north", Epoch: strings.Repeat("0a", 16), Lane: batch.Urgent, Base: 1, Sealed: start, First: start, Last: start}
	if change != nil {
		change(&h)
	}
	body := fmt.Sprintf(`{"id":"a%d","rule":"r","title":"t","severity":"high","first":"2026-03-01T08:00:00Z","last":"2026-03-01T08:00:00Z","count":1}`, seq)
	b, err := batch.Seal(h, []batch.Record{{Seq: seq, Kind: batch.KindAlert, Body: []byte(body)}}, s.key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
