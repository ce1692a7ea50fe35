// Package enrol makes a sensor known to its collector, and keeps what it gets: who it is, its key, and whom it trusts.
//
//	DIR/enrolment.json   sensor, operator, address of the collector
//	DIR/key.pem          the sensor's Ed25519 key, PKCS #8, mode 0600; it never leaves the machine
//	DIR/cert.pem         its certificate, good for 30 days and renewed
//	DIR/ca.pem           the collector's root
//
// The folder holds nothing else and appears whole or not at all. A collector is recognised by its root and by the name in
// its certificate, not by its address: the address may change, or be translated on the way.
package enrol

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/roje-ot/roje/rules/batch/join"
)

// The files of an enrolment.
const (
	fileAbout = "enrolment.json"
	fileKey   = "key.pem"
	fileCert  = "cert.pem"
	fileCA    = "ca.pem"
)

// ErrNone says that a folder holds no enrolment.
var ErrNone = errors.New("not enrolled")

// An Identity is who a sensor is. Its methods are safe for concurrent use.
type Identity struct {
	About
	Dir string
	Key ed25519.PrivateKey
	CA  *x509.Certificate

	mu   sync.Mutex
	cert *x509.Certificate
}

// About is what enrolment.json holds.
type About struct {
	Sensor    string    `json:"sensor"`
	Operator  string    `json:"operator"`
	Name      string    `json:"name"`
	Collector string    `json:"collector"` // host:port
	Enrolled  time.Time `json:"enrolled"`
}

// Load reads the enrolment in dir; ErrNone, wrapped, where there is none.
func Load(dir string) (*Identity, error) {
	id := &Identity{Dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, fileAbout))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s holds no enrolment; get a token by `roje-collector token` and run `roje-sensor enrol --token TOKEN`", ErrNone, dir)
	}
	if err == nil {
		err = json.Unmarshal(text, &id.About)
	}
	if err != nil {
		return nil, fmt.Errorf("enrolment: %w", err)
	}
	if id.Key, err = readKey(dir); err != nil {
		return nil, err
	}
	if id.CA, err = readCert(filepath.Join(dir, fileCA)); err != nil {
		return nil, err
	}
	if id.cert, err = readCert(filepath.Join(dir, fileCert)); err != nil {
		return nil, err
	}
	if pub, ok := id.cert.PublicKey.(ed25519.PublicKey); !ok || !pub.Equal(id.Key.Public()) {
		return nil, fmt.Errorf("enrolment: %s does not belong to %s", fileCert, fileKey)
	}
	return id, nil
}

// Former returns the keys of the enrolments that were in dir before the one that is there, as they were kept beside it.
// One that cannot be read is left out.
func Former(dir string) (keys []ed25519.PrivateKey) {
	parent := filepath.Dir(filepath.Clean(dir))
	beside, err := os.ReadDir(parent)
	if err != nil {
		return nil
	}
	for _, one := range beside {
		if !strings.HasPrefix(one.Name(), filepath.Base(formerly(dir, ""))) {
			continue
		}
		if key, err := readKey(filepath.Join(parent, one.Name())); err == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// formerly is where the enrolment of a sensor is kept when another takes its place in dir.
func formerly(dir, sensor string) string { return filepath.Clean(dir) + ".was-" + sensor }

func readPEM(path, kind string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("enrolment: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("enrolment: %s holds no %s", path, kind)
	}
	return block.Bytes, nil
}

func readCert(path string) (*x509.Certificate, error) {
	der, err := readPEM(path, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("enrolment: %s: %w", path, err)
	}
	return cert, nil
}

// Expires is when the certificate ends.
func (id *Identity) Expires() time.Time {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.cert.NotAfter
}

// Due says whether the certificate should be renewed: a third of its life is left, or less.
func (id *Identity) Due(now time.Time) bool {
	id.mu.Lock()
	defer id.mu.Unlock()
	return now.After(id.cert.NotAfter.Add(-id.cert.NotAfter.Sub(id.cert.NotBefore) / 3))
}

// TLS is how a sensor speaks to its collector: it shows its certificate, the latest at each handshake, and accepts who
// has a server certificate of the collector's root and nobody else. now is the clock.
func (id *Identity) TLS(now func() time.Time) *tls.Config {
	cfg := trust(id.CA, now)
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		id.mu.Lock()
		defer id.mu.Unlock()
		return &tls.Certificate{Certificate: [][]byte{id.cert.Raw}, PrivateKey: id.Key, Leaf: id.cert}, nil
	}
	return cfg
}

// ErrOther says that who answered is not the collector.
var ErrOther = errors.New("who answers is not the sensor's collector")

// trust accepts a collector by its root.
func trust(root *x509.Certificate, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // by name and by the system's roots; VerifyConnection does better
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verify(root, cs.PeerCertificates, now())
		},
	}
}

// verify holds a server's certificate to the root. A clock that is off by up to a day, either way, is forgiven.
func verify(root *x509.Certificate, shown []*x509.Certificate, now time.Time) error {
	if len(shown) == 0 {
		return fmt.Errorf("%w: it shows no certificate", ErrOther)
	}
	leaf := shown[0]
	roots := x509.NewCertPool()
	roots.AddCert(root)
	at := now
	if late := now.Sub(leaf.NotAfter); late > 0 && late < 24*time.Hour {
		at = leaf.NotAfter
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		return fmt.Errorf("%w: %w", ErrOther, err)
	}
	for _, uri := range leaf.URIs {
		if uri.String() == join.CollectorURI {
			return nil
		}
	}
	return fmt.Errorf("%w: its certificate is of %s", ErrOther, leaf.Subject)
}
