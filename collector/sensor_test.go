package collector

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

// A device joins and delivers by hand, step by step, as the protocol of the ingest listener says.
type device struct {
	t       testing.TB
	address string
	client  *http.Client
	key     ed25519.PrivateKey
	joined  join.Response
}

// newDevice joins with a token's text; it speaks only to a server whose root has the token's hash.
func newDevice(t testing.TB, text string) *device {
	t.Helper()
	token, err := join.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, address: token.Address}
	if _, d.key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	pinned := &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		root := s.PeerCertificates[len(s.PeerCertificates)-1]
		if sha256.Sum256(root.Raw) != token.CA {
			return errors.New("another ca than the token's")
		}
		return s.PeerCertificates[0].CheckSignatureFrom(root)
	}}
	d.client = &http.Client{Transport: &http.Transport{TLSClientConfig: pinned}}
	t.Cleanup(d.client.CloseIdleConnections)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, d.key)
	if err != nil {
		t.Fatal(err)
	}
	d.post(batch.PathEnrol, mustJSON(t, join.Request{ID: token.ID, Secret: token.SecretText(), CSR: csr, Name: "dev"}), &d.joined)
	pinned.Certificates = []tls.Certificate{{Certificate: [][]byte{d.joined.Cert}, PrivateKey: d.key}}
	d.client.CloseIdleConnections() // the next connection shows the certificate
	return d
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (d *device) post(path string, body []byte, into any) {
	d.t.Helper()
	resp, err := d.client.Post("https://"+d.address+path, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		d.t.Fatalf("POST %s: %s %s %v", path, resp.Status, text.String(), err)
	}
	if err := json.Unmarshal(text.Bytes(), into); err != nil {
		d.t.Fatal(err)
	}
}

// deliver sends alerts in one envelope.
func (d *device) deliver(alerts ...rules.Alert) {
	d.t.Helper()
	h := batch.Header{
		Sensor: d.joined.Sensor, Operator: d.joined.Operator, Epoch: strings.Repeat("0a", 16), Lane: batch.Urgent, Base: 1, From: 1, To: uint64(len(alerts)),
		First: specimen.Start, Last: specimen.Start.Add(time.Hour), Sealed: time.Now(),
	}
	var records []batch.Record
	for i := range alerts {
		records = append(records, batch.Record{Seq: uint64(i + 1), Kind: batch.KindAlert, Body: mustJSON(d.t, &alerts[i])})
	}
	envelope, err := batch.Seal(h, records, d.key)
	if err != nil {
		d.t.Fatal(err)
	}
	var answer any
	d.post(batch.PathBatches, envelope, &answer)
}

// TestFromSensorToScreen takes an alert the whole way: a sensor joins by a token, delivers over mutual TLS, and the
// alert comes over the live list of somebody signed in, over the API, and, once released, over TAXII.
func TestFromSensorToScreen(t *testing.T) {
	r := start(t, Config{Operator: "north-grid"})
	text, err := NewToken(t.Context(), r.data, TokenAsk{Site: "north-1", Who: "test"})
	if err != nil {
		t.Fatal(err)
	}
	db, _ := r.store()
	scope, err := store.For("north-grid")
	if err != nil {
		t.Fatal(err)
	}
	r.userIn(scope, "ann", store.Analyst)
	r.userIn(scope, "cert", store.CERT)

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	resp, err := browser.PostForm(r.Console+"signin", url.Values{"name": {"ann"}, "password": {testPassword}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a bound against hanging
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Console+"live?min_severity=critical", nil)
	if err != nil {
		t.Fatal(err)
	}
	live, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Body.Close()
	events := bufio.NewScanner(live.Body)
	for events.Scan() && events.Text() != "event: hello" {
	}

	newDevice(t, text).deliver(specimen.Alerts()...)

	for events.Scan() && events.Text() != "event: alert" {
	}
	if events.Scan(); !strings.Contains(events.Text(), `"id":"a-104","new":true`) {
		t.Errorf("the live list says %q (%v), want the critical alert", events.Text(), events.Err())
	}
	if status, body := r.get("/api/v1/alerts", "ann", testPassword); status != 200 || strings.Count(body, `"sensor_name":"north-1"`) != len(specimen.Alerts()) {
		t.Errorf("API: %d %s", status, body)
	}
	if _, body := r.get("/metrics", "", ""); !strings.Contains(body, "roje_ingest_records_total 5") || !strings.Contains(body, `roje_alerts_total{severity="critical"} 1`) {
		t.Errorf("metrics: %s", body)
	}
	if _, err := db.Release(t.Context(), scope, "a-104", store.Green, "ann", time.Now()); err != nil {
		t.Fatal(err)
	}
	_, body := r.get("/taxii2/roje/collections/b2b27a0a-9ed5-5c3f-8f0d-3a4c1ce3f2d4/objects/?match[type]=sighting", "cert", testPassword)
	if !strings.Contains(body, "may have been switched by a stranger") {
		t.Errorf("TAXII: %s", body)
	}
	if _, err := NewToken(t.Context(), t.TempDir(), TokenAsk{Who: "test"}); err == nil {
		t.Error("a folder without a collector gave a token")
	}
}

// TestOffLoopback holds that the console is served over TLS, by a certificate of the collector's own CA, as soon as it
// can be reached from elsewhere.
func TestOffLoopback(t *testing.T) {
	r := start(t, Config{Console: Listen{Address: "0.0.0.0:0", Names: []string{"localhost"}}})
	if !strings.HasPrefix(r.Console, "https://localhost:") {
		t.Fatalf("console at %s", r.Console)
	}
	pem, err := os.ReadFile(filepath.Join(r.data, "pki", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(r.Console + "signin")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("status %d, HSTS %q", resp.StatusCode, resp.Header.Get("Strict-Transport-Security"))
	}
	if resp, err := http.Get(strings.Replace(r.Console, "https:", "http:", 1)); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("in the clear: %s", resp.Status)
		}
	}
}
