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

func newRig(t *testing.T) *rig {
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
	r.h = New(Config{Store: failing{r.db, &r.fail}, CA: r.ca, Now: now, Log: slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
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

func TestBatches(t *testing.T) {
	r := newRig(t)
	s := r.joined()
	one := s.seal(t, 1, nil)
	e, _, err := batch.Decode(one)
	if err != nil {
		t.Fatal(err)
	}
	two := s.seal(t, 2, func(h *batch.Header) { h.Prev = e.Hash })
	four := s.seal(t, 4, nil)
	for _, step := range []struct {
		name string
		body []byte
		ack  uint64
		want int
	}{
		{"two envelopes", append(bytes.Clone(one), two...), 2, 0},
		{"one of them again", one, 2, 0},
		{"a gap", four, 4, 1},
	} {
		status, text, _ := r.post(s, batch.PathBatches, step.body)
		var a batch.Answer
		if err := json.Unmarshal(text, &a); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d: %s", step.name, status, text)
		}
		if a.Ack[batch.Urgent] != step.ack || len(a.Want) != step.want || a.Credit <= 0 || !a.Time.Equal(start) || !a.Expires.Equal(s.cert.NotAfter) {
			t.Errorf("%s: answer %+v; want ack %d, %d wanted", step.name, a, step.ack, step.want)
		}
	}
	alerts, _, err := r.db.ListAlerts(t.Context(), r.scope, store.Filter{}, "", 10)
	if err != nil || len(alerts) != 3 || alerts[0].Sensor != s.id || alerts[0].SensorName != "Substation 7" {
		t.Errorf("stored %+v, %v; want three alerts of Substation 7", alerts, err)
	}
	if r.h.Batches.Load() != 4 || r.h.Records.Load() != 3 || r.h.Refused.Load() != 0 {
		t.Errorf("counted %d batches, %d records, %d refused; want 4, 3, 0", r.h.Batches.Load(), r.h.Records.Load(), r.h.Refused.Load())
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	s := r.joined()
	good := s.seal(t, 1, nil)
	denied, unknown, other := r.joined(), newSensor(t), newSensor(t)
	if err := r.db.Deny(t.Context(), r.scope, denied.id, "ana", start); err != nil {
		t.Fatal(err)
	}
	otherCA, err := pki.Open(filepath.Join(t.TempDir(), "pki"), func() time.Time { return start })
	if err != nil {
		t.Fatal(err)
	}
	sign := func(ca *pki.CA, who *sensor, id string) {
		t.Helper()
		cert, err := ca.SignSensor(who.csr(t), "north", id)
		if err != nil {
			t.Fatal(err)
		}
		who.cert, who.id = cert, id
	}
	sign(r.ca, unknown, "s-unknown")
	sign(otherCA, other, s.id)
	stranger := &sensor{key: newSensor(t).key, id: s.id}
	lie := bytes.Clone(good)
	lie[len(lie)-1] ^= 1
	newer := bytes.Clone(good)
	newer[4] = 9
	if status, text, _ := r.post(s, batch.PathBatches, good); status != http.StatusOK {
		t.Fatalf("%d: %s", status, text)
	}
	fork := s.seal(t, 1, func(h *batch.Header) { h.Mono = 5 })
	for _, c := range []struct {
		name   string
		who    *sensor
		path   string
		body   []byte
		status int
		code   batch.Code
		says   string
	}{
		{"no certificate", nil, batch.PathBatches, good, 401, batch.NoCert, "enrol first"},
		{"a certificate of another ca", other, batch.PathBatches, good, 403, batch.BadCert, "not of this collector"},
		{"a sensor on the deny list", denied, batch.PathBatches, denied.seal(t, 1, nil), 403, batch.Denied, "deny list since 2026-03-01"},
		{"a sensor that is unknown", unknown, batch.PathBatches, unknown.seal(t, 1, nil), 403, batch.Denied, "unknown here"},
		{"another sensor's envelope", s, batch.PathBatches, s.seal(t, 1, func(h *batch.Header) { h.Sensor = denied.id }), 403, batch.Foreign, "the envelope is of sensor"},
		{"another operator's envelope", s, batch.PathBatches, s.seal(t, 1, func(h *batch.Header) { h.Operator = "south" }), 403, batch.Foreign, "of south"},
		{"an envelope by another key", s, batch.PathBatches, stranger.seal(t, 9, nil), 403, batch.Unsigned, "no key"},
		{"a changed signature", s, batch.PathBatches, lie, 403, batch.Unsigned, "signature"},
		{"an unknown version", s, batch.PathBatches, newer, 400, batch.Malformed, "unknown version of the envelope: 9"},
		{"nothing", s, batch.PathBatches, nil, 400, batch.Malformed, "no envelope"},
		{"noise", s, batch.PathBatches, []byte("noise and more"), 400, batch.Malformed, "ROJB"},
		{"noise after an envelope", s, batch.PathBatches, append(s.seal(t, 7, nil), "noise"...), 400, batch.Malformed, "envelope"},
		{"too much", s, batch.PathBatches, make([]byte, batch.MaxBody+1), 413, batch.TooLarge, "at most"},
		{"a fork", s, batch.PathBatches, fork, 409, batch.Forked, "begin a new epoch"},
		{"another path", s, "/v1/other", nil, 404, batch.NotFound, "/v1/other"},
		{"renewal without a certificate", nil, batch.PathRenew, []byte("{}"), 401, batch.NoCert, "enrol first"},
		{"renewal by a denied sensor", denied, batch.PathRenew, []byte("{}"), 403, batch.Denied, "deny list"},
		{"renewal without a request", s, batch.PathRenew, []byte("{}"), 400, batch.Malformed, "certificate request"},
		{"an enrolment that is no JSON", nil, batch.PathEnrol, []byte("{"), 400, batch.Malformed, "no JSON"},
	} {
		before := r.h.Refused.Load()
		status, text, header := r.post(c.who, c.path, c.body)
		var no batch.Refusal
		if err := json.Unmarshal(text, &no); err != nil {
			t.Errorf("%s: %d: %s: %v", c.name, status, text, err)
		}
		if status != c.status || no.Code != c.code || !strings.Contains(no.Message, c.says) || header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d, %+v; want %d %s that says %q", c.name, status, no, c.status, c.code, c.says)
		}
		if r.h.Refused.Load() != before+1 {
			t.Errorf("%s: not counted as refused", c.name)
		}
	}
	if got, _, err := r.db.ListAlerts(t.Context(), r.scope, store.Filter{}, "", 10); err != nil || len(got) != 1 {
		t.Errorf("%d alerts are stored, %v; want the one that was sent rightly", len(got), err)
	}
	r.clock(start.Add(pki.SensorLife + time.Hour))
	if status, text, _ := r.post(s, batch.PathBatches, good); status != 403 || !strings.Contains(string(text), "has expired on 2026-03-31") {
		t.Errorf("an expired certificate: %d: %s", status, text)
	}
}

func TestBusyAndFailing(t *testing.T) {
	r := newRig(t)
	s := r.joined()
	check := func(name string, want int) {
		t.Helper()
		status, text, header := r.post(s, batch.PathBatches, s.seal(t, 1, nil))
		var no batch.Refusal
		if err := json.Unmarshal(text, &no); err != nil || status != want || no.Code != batch.Busy || header.Get("Retry-After") == "" {
			t.Errorf("%s: got %d, %s, retry after %q, %v; want %d, busy", name, status, text, header.Get("Retry-After"), err, want)
		}
		if strings.Contains(string(text), "secret path") {
			t.Errorf("%s: the answer tells of the inside: %s", name, text)
		}
	}
	for range cap(r.h.busy) {
		r.h.busy <- struct{}{}
	}
	check("busy", http.StatusTooManyRequests)
	for range cap(r.h.busy) {
		<-r.h.busy
	}
	full := fmt.Errorf("secret path: %w", store.ErrFull)
	r.fail.Store(&full)
	check("a full disk", http.StatusServiceUnavailable)
	r.fail.Store(nil)
	if status, text, _ := r.post(s, batch.PathBatches, s.seal(t, 1, nil)); status != http.StatusOK {
		t.Errorf("afterwards: %d: %s", status, text)
	}
	if r.h.Deferred.Load() != 2 || r.h.Refused.Load() != 0 {
		t.Errorf("%d deferred, %d refused; want 2 and 0", r.h.Deferred.Load(), r.h.Refused.Load())
	}
	if !strings.Contains(r.log.String(), "secret path") {
		t.Error("the log does not tell why")
	}
}

func TestEnrol(t *testing.T) {
	r := newRig(t)
	s, k, expired := newSensor(t), r.token(), r.token()
	wrong := k
	wrong.Secret = bytes.Repeat([]byte{1}, 20)
	late := start.Add(73 * time.Hour)
	fresh := func() join.Token { r.clock(late); return r.token() }()
	for _, c := range []struct {
		name   string
		k      join.Token
		secret string
		csr    []byte
		status int
		code   batch.Code
		says   string
	}{
		{"expired", expired, "", s.csr(t), 403, batch.BadToken, "expired on 2026-03-04"},
		{"a wrong secret", wrong, "", s.csr(t), 403, batch.BadToken, "unknown here"},
		{"an unknown id", join.Token{ID: join.NewID("south", [5]byte{}), Secret: fresh.Secret}, "", s.csr(t), 403, batch.BadToken, "unknown here"},
		{"an id without an operator", join.Token{ID: "-aaaaaaaa", Secret: fresh.Secret}, "", s.csr(t), 403, batch.BadToken, "name of an operator"},
		{"half a secret", fresh, "abc", s.csr(t), 403, batch.BadToken, "damaged"},
		{"no request", fresh, "", nil, 400, batch.Malformed, "certificate request"},
		{"good", fresh, "", s.csr(t), 200, "", ""},
		{"used", fresh, "", s.csr(t), 403, batch.BadToken, "was used on 2026-03-04"},
	} {
		if c.secret == "" {
			c.secret = c.k.SecretText()
		}
		status, no, yes := r.enrol(s, join.Request{ID: c.k.ID, Secret: c.secret, CSR: c.csr, Name: " Alpha\n\x00\u202e "})
		if status != c.status || no.Code != c.code || !strings.Contains(no.Message, c.says) {
			t.Errorf("%s: got %d, %+v; want %d %s that says %q", c.name, status, no, c.status, c.code, c.says)
		}
		if status == 200 && (yes.Operator != "north" || yes.Name != "Alpha" || !strings.HasPrefix(yes.Sensor, "s-")) {
			t.Errorf("%s: %+v", c.name, yes)
		}
	}
	for _, k := range []join.Token{k, expired, fresh, wrong} {
		if strings.Contains(r.log.String(), k.SecretText()) {
			t.Errorf("the log tells the secret of %s", k.ID)
		}
	}
	if sensors, err := r.db.Sensors(t.Context(), r.scope); err != nil || len(sensors) != 1 {
		t.Errorf("%d sensors, %v; want one", len(sensors), err)
	}
}

func TestRenew(t *testing.T) {
	r := newRig(t)
	s := r.joined()
	before := s.seal(t, 1, nil)
	for _, c := range []struct {
		name  string
		after time.Duration
		want  int
	}{
		{"early", 20 * 24 * time.Hour, 200},
		{"the certificate has just expired", pki.SensorLife + 24*time.Hour, 200},
		{"it expired too long ago", pki.SensorLife + pki.Grace + time.Hour, 403},
	} {
		r.clock(start.Add(c.after))
		next := &sensor{key: newSensor(t).key, id: s.id} // a new key by the old one
		body, err := json.Marshal(join.Request{CSR: next.csr(t)})
		if err != nil {
			t.Fatal(err)
		}
		status, text, _ := r.post(s, batch.PathRenew, body)
		if status != c.want {
			t.Errorf("%s: %d: %s; want %d", c.name, status, text, c.want)
		}
		if status != 200 {
			continue
		}
		var yes join.Response
		if err := json.Unmarshal(text, &yes); err != nil {
			t.Fatal(err)
		}
		if next.cert, err = x509.ParseCertificate(yes.Cert); err != nil || yes.Sensor != s.id {
			t.Fatalf("%+v, %v", yes, err)
		}
		if status, text, _ := r.post(next, batch.PathBatches, before); status != 200 {
			t.Errorf("%s: what the old key sealed is refused: %d: %s", c.name, status, text)
		}
	}
}
