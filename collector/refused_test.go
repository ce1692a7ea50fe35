package collector

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/audit"
	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

// TestRefusedIsOnRecord brings a running collector certificates, tokens and envelopes that are not what they should be:
// each is refused, and the audit log says which and why.
func TestRefusedIsOnRecord(t *testing.T) {
	r := start(t, Config{})
	token := func(life time.Duration) (string, join.Token) {
		t.Helper()
		text, err := NewToken(t.Context(), r.data, TokenAsk{Who: "test", Life: life})
		if err != nil {
			t.Fatal(err)
		}
		k, err := join.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return text, k
	}
	text, used := token(0)
	d := newDevice(t, text)
	text, _ = token(0)
	denied := newDevice(t, text)
	db, scope := r.store()
	if err := db.Deny(t.Context(), scope, denied.joined.Sensor, "ana", time.Now()); err != nil {
		t.Fatal(err)
	}
	_, expired := token(time.Nanosecond)
	forged := expired
	forged.Secret = bytes.Repeat([]byte{1}, 20)
	elsewhere, err := pki.Open(filepath.Join(t.TempDir(), "pki"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := elsewhere.SignSensor(csr, d.joined.Operator, d.joined.Sensor)
	if err != nil {
		t.Fatal(err)
	}
	enrol := func(k join.Token) []byte {
		return mustJSON(t, join.Request{ID: k.ID, Secret: k.SecretText(), CSR: csr, Name: "x"})
	}
	renew := mustJSON(t, join.Request{CSR: csr})
	own := func(d *device) *tls.Certificate {
		return &tls.Certificate{Certificate: [][]byte{d.joined.Cert}, PrivateKey: d.key}
	}
	header := batch.Header{Sensor: d.joined.Sensor, Operator: d.joined.Operator, Epoch: strings.Repeat("0a", 16), Lane: batch.Urgent, Base: 1, Sealed: time.Now()}
	stranger, err := batch.Seal(header, []batch.Record{{Seq: 1, Kind: batch.KindAlert, Body: []byte("{}")}}, key)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, c := range []struct {
		name string
		cert *tls.Certificate
		path string
		body []byte
		want int
		says string
	}{
		{"a used token", nil, batch.PathEnrol, enrol(used), 403, "bad_token: token cannot be used: it was used on"},
		{"an expired token", nil, batch.PathEnrol, enrol(expired), 403, "bad_token: token cannot be used: it expired on"},
		{"a forged token", nil, batch.PathEnrol, enrol(forged), 403, "bad_token: token cannot be used: it is unknown here"},
		{"no certificate", nil, batch.PathBatches, stranger, 401, "no_certificate"},
		{"a certificate of another CA", &tls.Certificate{Certificate: [][]byte{foreign.Raw}, PrivateKey: key}, batch.PathBatches, stranger, 403, "bad_certificate"},
		{"a renewal with it", &tls.Certificate{Certificate: [][]byte{foreign.Raw}, PrivateKey: key}, batch.PathRenew, renew, 403, "bad_certificate"},
		{"a sensor on the deny list", own(denied), batch.PathBatches, stranger, 403, "denied: sensor " + denied.joined.Sensor},
		{"its renewal", own(denied), batch.PathRenew, renew, 403, "denied: sensor " + denied.joined.Sensor},
		{"an envelope by an unknown key", own(d), batch.PathBatches, stranger, 403, "bad_signature"},
		{"noise", own(d), batch.PathBatches, []byte("noise"), 400, "malformed"},
	} {
		cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13} // whom a sensor trusts is tested with it
		if c.cert != nil {
			cfg.Certificates = []tls.Certificate{*c.cert}
		}
		client := http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
		resp, err := client.Post("https://"+r.Ingest+c.path, batch.ContentType, bytes.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		var answer strings.Builder
		if _, err := copyAll(&answer, resp.Body); err != nil || resp.StatusCode != c.want {
			t.Errorf("%s: %d %s, %v; want %d", c.name, resp.StatusCode, answer.String(), err, c.want)
		}
		want = append(want, c.path+": "+resp.Status[:3]+" "+c.says)
	}
	if sensors, err := db.Sensors(t.Context(), scope); err != nil || len(sensors) != 2 {
		t.Errorf("%d sensors, %v; want the two that joined", len(sensors), err)
	}
	if alerts, _, err := db.ListAlerts(t.Context(), scope, store.Filter{}, "", 10); err != nil || len(alerts) != 0 {
		t.Errorf("%d alerts, %v; nothing was to be stored", len(alerts), err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	var got []string
	report, err := audit.VerifyFolder(filepath.Join(r.data, audit.FolderName), audit.Expect{}, func(e audit.Entry) error {
		if strings.Contains(e.Detail, used.SecretText()) || strings.Contains(e.Detail, expired.SecretText()) {
			t.Errorf("the audit log tells a secret: %s", e.Detail)
		}
		if e.What == audit.SensorRefused {
			got = append(got, e.Detail)
		}
		return nil
	})
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("the audit log: %v, %v", report.Problems, err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d refusals on record, want %d: %q", len(got), len(want), got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], "POST "+want[i]) {
			t.Errorf("on record %q, want %q", got[i], want[i])
		}
	}
}
