// Package pki is the collector's own small certificate authority: one root that signs the collector's server
// certificate and the certificates of sensors, and the tokens by which sensors get them. Nothing outside trusts it and it
// trusts nothing outside. Revocation is a deny list in the store, asked on every request, as the collector is the only
// one who ever checks these certificates.
//
//	DIR/ca.pem       certificate of the root, ECDSA P-256, ten years
//	DIR/ca-key.pem   its key, PKCS #8, mode 0600
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

// How long certificates live. A sensor renews when a third of it is left, so a site may be away for ten days; one that was
// away for longer may still renew with an expired certificate for Grace.
const (
	rootLife   = 10 * 365 * 24 * time.Hour
	serverLife = 90 * 24 * time.Hour
	SensorLife = 30 * 24 * time.Hour
	Grace      = 90 * 24 * time.Hour

	// OfflineLife is that of a sensor behind a one-way link, whose certificate is renewed by hand.
	OfflineLife = 2 * 365 * 24 * time.Hour

	skew = 24 * time.Hour // certificates begin to hold this much before they are made: clocks of substations are off
)

// The errors of Verify that a caller may want to tell apart.
var (
	ErrExpired = errors.New("certificate has expired")
	ErrForeign = errors.New("certificate is not of this collector")
)

// A CA signs. It is safe for concurrent use.
type CA struct {
	cert *x509.Certificate
	key  crypto.Signer
	now  func() time.Time

	mu     sync.Mutex
	server *tls.Certificate // the latest that Server gave out
}

// Open reads the CA in dir, or makes it where there is none. now is the clock.
func Open(dir string, now func() time.Time) (*CA, error) {
	certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem")
	_, certErr := os.Stat(certFile)
	_, keyErr := os.Stat(keyFile)
	switch {
	case certErr == nil && errors.Is(keyErr, os.ErrNotExist):
		return nil, fmt.Errorf("open ca: %s is there, but its key %s is missing: restore it, or move the folder away and enrol all sensors anew", certFile, keyFile)
	case errors.Is(certErr, os.ErrNotExist):
		if err := create(dir, certFile, keyFile, now()); err != nil {
			return nil, fmt.Errorf("make ca: %w", err)
		}
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("open ca: %w", err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("open ca: %s is not the certificate of a ca", certFile)
	}
	return &CA{cert: pair.Leaf, key: key, now: now}, nil
}

// Derive returns a secret for a purpose, which is the same at every collector with this CA (RFC 5869, HKDF-SHA-256 of the CA's
// key) and tells nothing of that key.
func (ca *CA) Derive(purpose string) (secret [32]byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return secret, fmt.Errorf("derive %s: %w", purpose, err)
	}
	out, err := hkdf.Key(sha256.New, der, nil, "roje "+purpose, len(secret))
	copy(secret[:], out)
	return secret, err
}

// create makes the root. The certificate is written last: what is there without it is made again.
func create(dir, certFile, keyFile string, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Roje collector CA"},
		NotBefore: now.Add(-skew), NotAfter: now.Add(rootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writeFile(keyFile, "PRIVATE KEY", keyDER, 0o600); err != nil {
		return err
	}
	return writeFile(certFile, "CERTIFICATE", der, 0o644)
}

// writeFile writes a PEM file whole or not at all.
func writeFile(path, kind string, der []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = errors.Join(f.Chmod(mode), pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] = b[0]&0x7f | 0x40 // positive, and always of the same length
	return new(big.Int).SetBytes(b)
}

// Hash is the SHA-256 of the root's certificate, which tokens pin.
func (ca *CA) Hash() batch.Hash { return sha256.Sum256(ca.cert.Raw) }

// Root is the root's certificate in DER.
func (ca *CA) Root() []byte { return ca.cert.Raw }

// PEM is the root's certificate.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// sign makes a certificate out of a template that says what it is for.
func (ca *CA) sign(tmpl *x509.Certificate, life time.Duration, pub any) ([]byte, error) {
	now := ca.now()
	tmpl.SerialNumber, tmpl.NotBefore, tmpl.NotAfter = serial(), now.Add(-skew), now.Add(life)
	if tmpl.NotAfter.After(ca.cert.NotAfter) {
		tmpl.NotAfter = ca.cert.NotAfter
	}
	if !tmpl.NotAfter.After(now) {
		return nil, fmt.Errorf("the ca itself expired on %s", ca.cert.NotAfter.Format(time.RFC3339))
	}
	tmpl.KeyUsage, tmpl.BasicConstraintsValid = x509.KeyUsageDigitalSignature, true
	return x509.CreateCertificate(rand.Reader, tmpl, ca.cert, pub, ca.key)
}

// Server returns what a listener needs to speak as the collector: a certificate made when it is first needed and again
// when a third of its life is left, and a request for the client's certificate, which Verify judges. hosts are names and
// addresses for clients other than sensors.
func (ca *CA) Server(hosts ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequestClientCert, // judged where a refusal can say why
		Time:       ca.now,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			ca.mu.Lock()
			defer ca.mu.Unlock()
			if c := ca.server; c != nil && ca.now().Before(c.Leaf.NotAfter.Add(-serverLife/3)) {
				return c, nil
			}
			c, err := ca.newServer(hosts)
			if err == nil {
				ca.server = c
			}
			return c, err
		},
	}
}

func (ca *CA) newServer(hosts []string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	name, err := url.Parse(join.CollectorURI)
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{Subject: pkix.Name{CommonName: "Roje collector"}, URIs: []*url.URL{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else if h != "" {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	der, err := ca.sign(tmpl, serverLife, key.Public())
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// SignSensor makes a sensor's certificate for the key of a PKCS #10 request, whose names are ignored.
func (ca *CA) SignSensor(csr []byte, operator, sensor string) (*x509.Certificate, error) {
	return ca.signSensor(csr, operator, sensor, SensorLife)
}

// SignOffline is SignSensor for a sensor that cannot come to renew: its certificate has OfflineLife.
func (ca *CA) SignOffline(csr []byte, operator, sensor string) (*x509.Certificate, error) {
	return ca.signSensor(csr, operator, sensor, OfflineLife)
}

// RequestKey is the key of a PKCS #10 request, whose owner has signed it.
func RequestKey(csr []byte) (ed25519.PublicKey, error) {
	req, err := x509.ParseCertificateRequest(csr)
	if err == nil {
		err = req.CheckSignature()
	}
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	key, ok := req.PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("certificate request: the key is %s, not Ed25519", req.PublicKeyAlgorithm)
	}
	return key, nil
}

func (ca *CA) signSensor(csr []byte, operator, sensor string, life time.Duration) (*x509.Certificate, error) {
	key, err := RequestKey(csr)
	if err != nil {
		return nil, err
	}
	name, err := url.Parse(join.SensorURI(operator, sensor))
	if err != nil {
		return nil, err
	}
	der, err := ca.sign(&x509.Certificate{Subject: pkix.Name{CommonName: sensor}, URIs: []*url.URL{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, life, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Verify says which sensor a client certificate belongs to. ErrExpired: it was one, at most Grace ago; the names are
// returned too.
func (ca *CA) Verify(cert *x509.Certificate) (operator, sensor string, err error) {
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	at, expired := ca.now(), false
	if at.After(cert.NotAfter) && at.Before(cert.NotAfter.Add(Grace)) {
		at, expired = cert.NotAfter, true
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if len(cert.URIs) != 1 {
		return "", "", fmt.Errorf("%w: it names no sensor", ErrForeign)
	}
	operator, sensor, err = join.ParseSensorURI(cert.URIs[0].String())
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if expired {
		return operator, sensor, fmt.Errorf("%w on %s", ErrExpired, cert.NotAfter.Format(time.RFC3339))
	}
	return operator, sensor, nil
}
