package enrol

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

// pending is the folder, beside the enrolment's, of the key that asked and has no certificate yet.
func pending(dir string) string { return filepath.Clean(dir) + ".asked" }

// AskOffline makes the file by which a sensor that reaches no collector asks for a certificate, and the fingerprint of
// its key, and the same in words, to be compared at the collector. Asked again, it asks for the same key; a sensor that is enrolled asks for
// another certificate for its key, unless it should begin anew.
func AskOffline(o Options) (file []byte, fingerprint, words string, err error) {
	key, err := askingKey(o)
	if err != nil {
		return nil, "", "", fmt.Errorf("enrol offline: %w", err)
	}
	csr, err := request(key)
	if err != nil {
		return nil, "", "", fmt.Errorf("enrol offline: %w", err)
	}
	public := key.Public().(ed25519.PublicKey)
	file, err = json.MarshalIndent(join.NewAsk(o.Name, csr), "", "  ")
	return append(file, '\n'), batch.KeyID(public), join.Words(public), err
}

func askingKey(o Options) (ed25519.PrivateKey, error) {
	old, err := Load(o.Dir)
	switch {
	case err == nil && !o.Again:
		return old.Key, nil
	case err != nil && !errors.Is(err, ErrNone):
		return nil, err
	}
	d, err := openDraft(o.Dir)
	if err != nil {
		return nil, err
	}
	defer d.discard()
	return d.key, d.keep(o.Dir)
}

func readKey(dir string) (ed25519.PrivateKey, error) {
	der, err := readPEM(filepath.Join(dir, fileKey), "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("enrolment: %s: %w", fileKey, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("enrolment: %s is not an Ed25519 key", fileKey)
	}
	return key, nil
}

// InstallOffline takes the file that answers an AskOffline.
func InstallOffline(o Options, file []byte) (*Identity, error) {
	id, err := installOffline(o, file)
	if err != nil {
		return nil, fmt.Errorf("enrol offline: %w", err)
	}
	return id, nil
}

func installOffline(o Options, file []byte) (*Identity, error) {
	b, err := join.ParseBundle(file)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(b.CA)
	if err != nil || !root.IsCA || root.CheckSignatureFrom(root) != nil {
		return nil, errors.New("the file holds no root of a collector")
	}
	if err := errors.Join(batch.CheckName("an operator", b.Operator), batch.CheckName("a sensor", b.Sensor)); err != nil {
		return nil, err
	}
	answer := &join.Response{Operator: b.Operator, Sensor: b.Sensor, Name: b.Name, Cert: b.Cert}
	old, err := Load(o.Dir)
	if err != nil && !errors.Is(err, ErrNone) {
		return nil, err
	}
	if old != nil && check(answer, old.CA, old.Key) == nil { // another certificate for the key that is enrolled
		if old.Sensor != b.Sensor || old.Operator != b.Operator {
			return nil, errors.New("the file is for another sensor")
		}
		if err := old.replace(b.Cert); err != nil {
			return nil, err
		}
		return Load(o.Dir)
	}
	if old != nil && !o.Again {
		return nil, fmt.Errorf("%s is enrolled already, as sensor %s of %s, and the file is not for its key", o.Dir, old.Sensor, old.Operator)
	}
	key, err := readKey(pending(o.Dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("no key waits for a certificate: begin with 'roje-sensor enrol --offline'")
	}
	if err == nil {
		err = check(answer, root, key)
	}
	if err != nil {
		return nil, err
	}
	d := &draft{pending(o.Dir), key, true}
	about := About{Sensor: b.Sensor, Operator: b.Operator, Name: b.Name, Collector: b.Collector, Enrolled: o.Now().UTC().Truncate(time.Second)}
	if err := d.finish(about, root, b.Cert, o.Dir, old); err != nil {
		return nil, err
	}
	return Load(o.Dir)
}
