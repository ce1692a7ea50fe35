package pki

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

// TokenLife is how long a token can be used, if nothing else is asked for.
const TokenLife = 72 * time.Hour

// NewToken makes a single-use token: its text for the sensor, and what the store keeps of it. site is the name that the
// sensor gets, "" for the one it asks for; address is the ingest listener's as sensors reach it; life 0 is TokenLife.
func (ca *CA) NewToken(s store.Scope, site, who, address string, life time.Duration) (text string, kept store.Token, err error) {
	if err := s.Check(); err != nil {
		return "", kept, err
	}
	if address != "" {
		if _, err := join.CheckAddress(address); err != nil {
			return "", kept, err
		}
	}
	if life == 0 {
		life = TokenLife
	}
	if life < 0 || life > 365*24*time.Hour {
		return "", kept, fmt.Errorf("a token lives for up to a year, not for %s", life)
	}
	var random [5]byte
	rand.Read(random[:])
	t := join.Token{CA: ca.Hash(), ID: join.NewID(s.Operator(), random), Secret: make([]byte, 20), Address: address}
	rand.Read(t.Secret)
	now := ca.now()
	return t.String(), store.Token{ID: t.ID, Secret: sha256.Sum256(t.Secret), Site: site, Who: who, Created: now, Expires: now.Add(life)}, nil
}

// NewSensorID draws the name of a sensor.
func NewSensorID() string {
	var b [10]byte
	rand.Read(b[:])
	return "s-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// Record is what the store keeps of a sensor's certificate.
func Record(sensor string, cert *x509.Certificate) store.Cert {
	pub := publicKey(cert)
	return store.Cert{Sensor: sensor, Serial: fmt.Sprintf("%x", cert.SerialNumber), Key: batch.KeyID(pub), Public: pub, Issued: cert.NotBefore.Add(skew), Expires: cert.NotAfter}
}

// publicKey is a sensor certificate's key, which SignSensor has seen to be one of Ed25519.
func publicKey(cert *x509.Certificate) ed25519.PublicKey {
	pub, _ := cert.PublicKey.(ed25519.PublicKey)
	return pub
}
