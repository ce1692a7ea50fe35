package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string, now *time.Time) *CA {
	t.Helper()
	ca, err := Open(dir, func() time.Time { return *now })
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func csr(t *testing.T) ([]byte, ed25519.PublicKey) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der, pub
}

func TestOpen(t *testing.T) {
	now, dir := start, filepath.Join(t.TempDir(), "pki")
	first := open(t, dir, &now)
	if again := open(t, dir, &now); again.Hash() != first.Hash() || string(again.PEM()) != string(first.PEM()) {
		t.Error("opened again, it is another ca")
	}
	for name, want := range map[string]os.FileMode{"": 0o700, "ca-key.pem": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	if err := os.Remove(filepath.Join(dir, "ca-key.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, time.Now); err == nil || !strings.Contains(err.Error(), "its key") {
		t.Errorf("without its key: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca-key.pem"), []byte("left by a start that was cut short"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir, &now)
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("noise"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, time.Now); err == nil {
		t.Error("a damaged certificate was taken")
	}
	file := filepath.Join(dir, "ca.pem")
	if _, err := Open(filepath.Join(file, "pki"), time.Now); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("below a file: %v", err)
	}
}

func TestVerify(t *testing.T) {
	now := start
	ca, other := open(t, t.TempDir(), &now), open(t, t.TempDir(), &now)
	req, pub := csr(t)
	cert, err := ca.SignSensor(req, "north", "s-1")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.SignSensor(req, "north", "s-1")
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.newServer([]string{"collector.example", "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	odd, err := ca.SignSensor(req, "north", "../s")
	if err != nil {
		t.Fatal(err)
	}
	self := *cert
	for _, c := range []struct {
		name string
		cert *x509.Certificate
		at   time.Time
		want error
	}{
		{"good", cert, start, nil},
		{"a sensor whose clock is half a day behind", cert, start.Add(-12 * time.Hour), nil},
		{"two days before", cert, start.AddDate(0, 0, -2), ErrForeign},
		{"the last second", cert, start.Add(SensorLife), nil},
		{"expired", cert, start.Add(SensorLife + time.Second), ErrExpired},
		{"expired for long", cert, start.Add(SensorLife + Grace + time.Second), ErrForeign},
		{"of another ca", foreign, start, ErrForeign},
		{"the collector's own", server.Leaf, start, ErrForeign},
		{"the root itself", ca.cert, start, ErrForeign},
		{"a name that is a path", odd, start, ErrForeign},
		{"copied", &self, start, nil},
	} {
		now = c.at
		operator, sensor, err := ca.Verify(c.cert)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if known := err == nil || errors.Is(err, ErrExpired); known != (operator == "north" && sensor == "s-1") {
			t.Errorf("%s: got sensor %q of %q with %v", c.name, sensor, operator, err)
		}
	}
	now = start
	rec := Record("s-1", cert)
	if rec.Key != batch.KeyID(pub) || !rec.Issued.Equal(start) || !rec.Expires.Equal(start.Add(SensorLife)) || len(rec.Serial) != 32 {
		t.Errorf("record %+v", rec)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wrongKey, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, ec)
	if err != nil {
		t.Fatal(err)
	}
	broken := append([]byte(nil), req...)
	broken[len(broken)-1] ^= 1
	for name, bad := range map[string][]byte{"nothing": nil, "another kind of key": wrongKey, "a broken signature": broken} {
		if _, err := ca.SignSensor(bad, "north", "s-2"); err == nil {
			t.Errorf("%s was signed", name)
		}
	}
	now = start.Add(rootLife)
	if _, err := ca.SignSensor(req, "north", "s-1"); err == nil || !strings.Contains(err.Error(), "the ca itself expired") {
		t.Errorf("after the root's end: %v", err)
	}
}

func TestServerCertificateIsRenewed(t *testing.T) {
	now := start
	ca := open(t, t.TempDir(), &now)
	cfg := ca.Server("collector.example", "192.0.2.1", "")
	serial := func() string {
		t.Helper()
		c, err := cfg.GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Certificate) != 2 || sha256.Sum256(c.Certificate[1]) != ca.Hash() {
			t.Error("the root, which a token pins, is not shown")
		}
		if c.Leaf.VerifyHostname("collector.example") != nil || c.Leaf.VerifyHostname("192.0.2.1") != nil || c.Leaf.URIs[0].String() != join.CollectorURI || !now.Before(c.Leaf.NotAfter) {
			t.Errorf("certificate %v %v %v until %s", c.Leaf.DNSNames, c.Leaf.IPAddresses, c.Leaf.URIs, c.Leaf.NotAfter)
		}
		return c.Leaf.SerialNumber.String()
	}
	first := serial()
	now = start.AddDate(0, 0, 59)
	if serial() != first {
		t.Error("made again with more than a third of its life left")
	}
	now = start.AddDate(0, 0, 61)
	if serial() == first {
		t.Error("not made again with less than a third of its life left")
	}
}

func TestNewToken(t *testing.T) {
	now := start
	ca := open(t, t.TempDir(), &now)
	s, err := store.For("north")
	if err != nil {
		t.Fatal(err)
	}
	text, kept, err := ca.NewToken(s, "Alpha", "ana", "192.0.2.1:8471", 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := join.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got.CA != ca.Hash() || got.ID != kept.ID || sha256.Sum256(got.Secret) != kept.Secret || got.Address != "192.0.2.1:8471" {
		t.Errorf("token %+v, kept %+v", got, kept)
	}
	if op, err := join.Operator(kept.ID); op != "north" || err != nil || !kept.Expires.Equal(start.Add(72*time.Hour)) || kept.Site != "Alpha" || kept.Who != "ana" {
		t.Errorf("kept %+v of operator %q, %v", kept, op, err)
	}
	if other, _, err := ca.NewToken(s, "", "ana", "", time.Minute); err != nil || other == text {
		t.Errorf("the same token twice, or %v", err)
	}
	for name, c := range map[string]struct {
		s       store.Scope
		address string
		life    time.Duration
	}{"no operator": {store.Scope{}, "", 0}, "no port": {s, "192.0.2.1", 0}, "a past life": {s, "", -1}, "a long life": {s, "", 1e6 * time.Hour}} {
		if _, _, err := ca.NewToken(c.s, "", "ana", c.address, c.life); err == nil {
			t.Errorf("%s: a token was made", name)
		}
	}
}
