package ingest

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

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
