package evidence

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/roje-ot/roje/sensor/keyfile"
)

// KeyFile is the sensor's own key in its folder, where it is not enrolled and so has no other.
const KeyFile = "evidence.key"

// LoadKey reads the Ed25519 key at path (PKCS #8, PEM), and makes one if there is none and make is set.
func LoadKey(path string, make bool) (ed25519.PrivateKey, error) {
	key, err := keyfile.Private(path)
	if errors.Is(err, fs.ErrNotExist) && make {
		return newKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("evidence key: %w", err)
	}
	return key, nil
}

func newKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("evidence key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("evidence key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("evidence key: %w", err)
	}
	if err := errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Close()); err != nil {
		return nil, fmt.Errorf("evidence key: %w", err)
	}
	return key, nil
}
