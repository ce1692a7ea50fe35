// Package keyfile reads the Ed25519 keys that people and sensors keep in PEM files.
package keyfile

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

// Private reads an Ed25519 key (PKCS #8, PEM), as `openssl genpkey -algorithm ed25519` makes it.
func Private(path string) (ed25519.PrivateKey, error) {
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

// Public reads an Ed25519 key (PKIX, PEM), as `openssl pkey -pubout` makes it.
func Public(path string) (ed25519.PublicKey, error) {
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
