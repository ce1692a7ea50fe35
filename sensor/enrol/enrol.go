package enrol

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

// Options are what an enrolment needs.
type Options struct {
	Token     string // its text
	Collector string // host:port, where it is not as the token says
	Dir       string // for the enrolment alone; its parent must be writable
	Name      string // what the sensor calls itself, such as its host name
	Again     bool   // replace an enrolment that is there; the old one is kept beside it
	Now       func() time.Time
	// Waiting is told once, where a person at the collector must approve the sensor, by which words that person knows it;
	// nil tells nobody.
	Waiting func(words string)
}

// Enrol enrols a sensor. Whatever can fail on this machine fails before the token is used up; if it fails, nothing is
// left behind. Where a person must approve the sensor it asks again and again until that is decided or ctx ends, and
// keeps the key beside Dir: started anew, with the same token, it goes on with that.
func Enrol(ctx context.Context, o Options) (*Identity, error) {
	token, err := join.Parse(o.Token)
	if err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	if o.Collector == "" {
		o.Collector = token.Address
	}
	if o.Collector == "" {
		return nil, errors.New("enrol: the token names no collector: give --collector HOST:PORT")
	}
	if _, err := join.CheckAddress(o.Collector); err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	old, err := Load(o.Dir)
	if err == nil && !o.Again {
		return nil, fmt.Errorf("enrol: %s is enrolled already, as sensor %s of %s", o.Dir, old.Sensor, old.Operator)
	}
	draft, err := openDraft(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	defer draft.discard()
	root, got, err := o.ask(ctx, token, draft.key)
	for told := false; ; told = true {
		var no *refused
		if !errors.As(err, &no) || no.Code != batch.Waiting {
			break
		}
		if err := draft.keep(o.Dir); err != nil {
			return nil, fmt.Errorf("enrol: %w", err)
		}
		if !told && o.Waiting != nil {
			o.Waiting(join.Words(draft.key.Public().(ed25519.PublicKey)))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("enrol at %s: it waits for approval; run it again to go on: %w", o.Collector, context.Cause(ctx))
		case <-time.After(no.wait):
		}
		root, got, err = o.ask(ctx, token, draft.key)
	}
	if err != nil {
		return nil, fmt.Errorf("enrol at %s: %w", o.Collector, err)
	}
	about := About{Sensor: got.Sensor, Operator: got.Operator, Name: got.Name, Collector: o.Collector, Enrolled: o.Now().UTC()}
	if err := draft.finish(about, root, got.Cert, o.Dir, old); err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	return Load(o.Dir)
}

// ask makes the request: it learns the root from the collector itself and holds it to the token's hash, in the handshake,
// before anything is sent.
func (o *Options) ask(ctx context.Context, token join.Token, key ed25519.PrivateKey) (*x509.Certificate, *join.Response, error) {
	var root *x509.Certificate
	cfg := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // by name and by the system's roots; VerifyConnection does better
		VerifyConnection: func(cs tls.ConnectionState) error {
			for _, cert := range cs.PeerCertificates {
				if cert.IsCA && sha256.Sum256(cert.Raw) == token.CA {
					root = cert
					return verify(cert, cs.PeerCertificates, o.Now())
				}
			}
			return fmt.Errorf("%w: it shows another CA than the one the token was made for; nothing was sent", ErrOther)
		},
	}
	csr, err := request(key)
	if err != nil {
		return nil, nil, err
	}
	got, err := post(ctx, cfg, "https://"+o.Collector+batch.PathEnrol, join.Request{ID: token.ID, Secret: token.SecretText(), CSR: csr, Name: o.Name})
	if err != nil {
		return nil, nil, err
	}
	return root, got, check(got, root, key)
}

func request(key ed25519.PrivateKey) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
}

// check holds an answer to what was asked for.
func check(got *join.Response, root *x509.Certificate, key ed25519.PrivateKey) error {
	cert, err := x509.ParseCertificate(got.Cert)
	if err != nil {
		return fmt.Errorf("the answer's certificate: %w", err)
	}
	pub, ok := cert.PublicKey.(ed25519.PublicKey)
	if !ok || !pub.Equal(key.Public()) || cert.CheckSignatureFrom(root) != nil {
		return errors.New("the answer's certificate is not for this sensor's key")
	}
	if len(cert.URIs) != 1 || cert.URIs[0].String() != join.SensorURI(got.Operator, got.Sensor) {
		return errors.New("the answer's certificate is not of the sensor it names")
	}
	return nil
}

// A refused is a collector's refusal.
type refused struct {
	batch.Refusal
	wait time.Duration // before it makes sense to ask again
}

func (r *refused) Error() string { return r.Message }

// The least and the most that a sensor waits before it asks again, whatever it is told.
const (
	leastWait = time.Second
	mostWait  = time.Minute
)

// post sends a request and reads its answer; a refusal is an error with the collector's own words.
func post(ctx context.Context, cfg *tls.Config, url string, req join.Request) (*join.Response, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true, ForceAttemptHTTP2: true}, Timeout: 2 * time.Minute}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		var no batch.Refusal
		if json.Unmarshal(text, &no) != nil || no.Message == "" {
			return nil, fmt.Errorf("the collector answered %s", resp.Status)
		}
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // none is leastWait
		return nil, &refused{no, min(max(time.Duration(seconds)*time.Second, leastWait), mostWait)}
	}
	got := new(join.Response)
	if err := json.Unmarshal(text, got); err != nil {
		return nil, fmt.Errorf("the collector's answer: %w", err)
	}
	return got, nil
}

// Renew gets another certificate for the same key and keeps it. The old one may have expired not long ago.
func (id *Identity) Renew(ctx context.Context, now func() time.Time) error {
	csr, err := request(id.Key)
	if err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	got, err := post(ctx, id.TLS(now), "https://"+id.Collector+batch.PathRenew, join.Request{CSR: csr})
	if err == nil {
		err = check(got, id.CA, id.Key)
	}
	if err == nil && (got.Sensor != id.Sensor || got.Operator != id.Operator) {
		err = errors.New("the answer is for another sensor")
	}
	if err != nil {
		return fmt.Errorf("renew at %s: %w", id.Collector, err)
	}
	if err := id.replace(got.Cert); err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	return nil
}

// replace puts another certificate in the place of the one that is there.
func (id *Identity) replace(der []byte) error {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	fresh := filepath.Join(id.Dir, ".new-cert.pem")
	err = writePEM(fresh, "CERTIFICATE", der, 0o644)
	if err == nil {
		err = os.Rename(fresh, filepath.Join(id.Dir, fileCert))
	}
	if err != nil {
		os.Remove(fresh)
		return err
	}
	id.mu.Lock()
	id.cert = cert
	id.mu.Unlock()
	return nil
}

// A draft is the folder of an enrolment that is being made.
type draft struct {
	dir  string
	key  ed25519.PrivateKey
	kept bool // beside the enrolment's folder, for another start
}

// openDraft goes on with the key that waits beside dir, or begins with a new one.
func openDraft(dir string) (*draft, error) {
	key, err := readKey(pending(dir))
	if errors.Is(err, os.ErrNotExist) {
		return newDraft(dir)
	}
	return &draft{pending(dir), key, true}, err
}

// keep puts the draft where another start finds it.
func (d *draft) keep(dir string) error {
	if d.kept {
		return nil
	}
	if err := os.Rename(d.dir, pending(dir)); err != nil {
		return err
	}
	d.dir, d.kept = pending(dir), true
	return syncDir(filepath.Dir(d.dir))
}

// newDraft makes the key in a folder beside dir. Everything that will be written later fits where this fits.
func newDraft(dir string) (*draft, error) {
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, fileAbout)); err != nil {
			return nil, fmt.Errorf("%s holds other files: give a folder for the enrolment alone", dir)
		}
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	tmp, err := os.MkdirTemp(parent, ".enrol-*")
	if err != nil {
		return nil, err
	}
	d := &draft{dir: tmp}
	if _, d.key, err = ed25519.GenerateKey(rand.Reader); err == nil {
		var der []byte
		if der, err = x509.MarshalPKCS8PrivateKey(d.key); err == nil {
			err = writePEM(filepath.Join(tmp, fileKey), "PRIVATE KEY", der, 0o600)
		}
	}
	if err == nil { // so that a full disk shows now, not when the token is gone
		err = writeFile(filepath.Join(tmp, fileAbout), make([]byte, 16<<10), 0o600)
	}
	if err != nil {
		d.discard()
		return nil, err
	}
	return d, nil
}

// discard removes what is not kept.
func (d *draft) discard() {
	if !d.kept {
		os.RemoveAll(d.dir)
	}
}

// finish writes the rest and puts the folder in its place.
func (d *draft) finish(about About, root *x509.Certificate, cert []byte, dir string, old *Identity) error {
	text, err := json.MarshalIndent(about, "", "  ")
	if err != nil {
		return err
	}
	err = errors.Join(
		writePEM(filepath.Join(d.dir, fileCA), "CERTIFICATE", root.Raw, 0o644),
		writePEM(filepath.Join(d.dir, fileCert), "CERTIFICATE", cert, 0o644),
		writeFile(filepath.Join(d.dir, fileAbout), append(text, '\n'), 0o644))
	if err != nil {
		return err
	}
	if old != nil {
		err = os.Rename(dir, formerly(dir, old.Sensor))
	} else if err = os.Remove(dir); errors.Is(err, os.ErrNotExist) { // an empty folder makes way
		err = nil
	}
	if err == nil {
		err = os.Rename(d.dir, dir)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Clean(dir)))
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return writeFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

// writeFile writes a file to the disk, not only to memory.
func writeFile(path string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
