package baseline

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// signedContext keeps a signature of a baseline from being taken for one of anything else.
const signedContext = "roje baseline\n"

// Sign returns a line of text that says that the owner of key stands behind an exported baseline.
func Sign(text []byte, key ed25519.PrivateKey) []byte {
	signature := ed25519.Sign(key, append([]byte(signedContext), text...))
	return append([]byte(base64.StdEncoding.EncodeToString(signature)), '\n')
}

// Verify holds an exported baseline against the line that Sign made.
func Verify(text, line []byte, key ed25519.PublicKey) error {
	signature, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(line)))
	if err != nil || !ed25519.Verify(key, append([]byte(signedContext), text...), signature) {
		return errors.New("the signature does not belong to this text and key: the baseline was changed, or somebody else signed it")
	}
	return nil
}

// PrivateKey reads an Ed25519 key (PKCS #8, PEM), as `openssl genpkey -algorithm ed25519` makes it.
func PrivateKey(path string) (ed25519.PrivateKey, error) {
	der, err := pemFile(path)
	if err != nil {
		return nil, err
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if key, ok := key.(ed25519.PrivateKey); ok {
			return key, nil
		}
	}
	return nil, fmt.Errorf("%s holds no private Ed25519 key", path)
}

// PublicKey reads an Ed25519 key (PKIX, PEM), as `openssl pkey -pubout` makes it.
func PublicKey(path string) (ed25519.PublicKey, error) {
	der, err := pemFile(path)
	if err != nil {
		return nil, err
	}
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		if key, ok := key.(ed25519.PublicKey); ok {
			return key, nil
		}
	}
	return nil, fmt.Errorf("%s holds no public Ed25519 key", path)
}

func pemFile(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is no PEM file", path)
	}
	return block.Bytes, nil
}
