// Package join is what a sensor and a collector say to each other before they have met: the token by which a sensor
// joins, and the request and answer of its enrolment. A token pins the collector's CA, so that the sensor knows whom it
// talks to before it sends the secret.
//
//	roje1.<SHA-256 of the CA's certificate, base32>.<id>.<secret>.<address of the ingest listener>
//
// The id is the operator's name, '-' and eight characters of base32; the secret is 160 random bits. Base32 is RFC 4648's,
// in lower case, without padding.
package join

import (
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/roje-ot/roje/rules/batch"
)

const prefix = "roje1"

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// A Token lets one sensor join. Its text is a secret.
type Token struct {
	CA      batch.Hash // of the CA's certificate in DER
	ID      string
	Secret  []byte // 20 bytes
	Address string // host:port, "" where the sensor is told otherwise
}

// String is the token's text.
func (t Token) String() string {
	text := strings.Join([]string{prefix, encoding.EncodeToString(t.CA[:]), t.ID, encoding.EncodeToString(t.Secret)}, ".")
	if t.Address != "" {
		text += "." + t.Address
	}
	return text
}

// SecretText is the secret as it travels.
func (t Token) SecretText() string { return encoding.EncodeToString(t.Secret) }

// ParseSecret reads what SecretText wrote.
func ParseSecret(text string) ([]byte, error) {
	b, err := encoding.DecodeString(strings.ToLower(text))
	if err != nil || len(b) != 20 {
		return nil, errors.New("the token's secret is damaged")
	}
	return b, nil
}

// NewID makes the id of an operator's token out of five random bytes.
func NewID(operator string, random [5]byte) string {
	return operator + "-" + encoding.EncodeToString(random[:])
}

// Operator is the operator whose token has an id.
func Operator(id string) (string, error) {
	i := strings.LastIndexByte(id, '-')
	if i < 0 || len(id)-i-1 != 8 {
		return "", errors.New("the token's id is damaged")
	}
	return id[:i], batch.CheckName("an operator", id[:i])
}

// Parse reads a token. Its errors never contain the text.
func Parse(text string) (Token, error) {
	var t Token
	parts := strings.SplitN(strings.TrimSpace(text), ".", 5)
	switch {
	case parts[0] != prefix && strings.HasPrefix(parts[0], "roje"):
		return t, fmt.Errorf("the token is of another version than %s: use a sensor as new as its collector", prefix)
	case parts[0] != prefix:
		return t, fmt.Errorf("this is no token: one begins with %s", prefix)
	case len(parts) < 4:
		return t, errors.New("the token is cut short")
	}
	ca, err := encoding.DecodeString(strings.ToLower(parts[1]))
	if err != nil || len(ca) != len(t.CA) {
		return t, errors.New("the token's hash of the CA is damaged")
	}
	copy(t.CA[:], ca)
	t.ID = parts[2]
	if _, err := Operator(t.ID); err != nil {
		return t, err
	}
	if t.Secret, err = ParseSecret(parts[3]); err != nil {
		return t, err
	}
	if len(parts) == 5 {
		if t.Address, err = CheckAddress(parts[4]); err != nil {
			return t, err
		}
	}
	return t, nil
}

// CheckAddress returns an address if it is host:port, an IPv6 host in brackets.
func CheckAddress(address string) (string, error) {
	i := strings.LastIndexByte(address, ':')
	if i > 0 {
		host := address[:i]
		inner, bracketed := strings.CutPrefix(host, "[")
		inner, closed := strings.CutSuffix(inner, "]")
		port, err := strconv.ParseUint(address[i+1:], 10, 16)
		if err == nil && port > 0 && inner != "" && bracketed == closed && bracketed == strings.Contains(inner, ":") && !strings.ContainsAny(inner, "[]/ @") {
			return address, nil
		}
	}
	return "", fmt.Errorf("address %q is not host:port", address)
}

// CollectorURI is the name in a collector's server certificate, whatever its address is.
const CollectorURI = "spiffe://roje/collector"

// SensorURI is the name in a sensor's certificate.
func SensorURI(operator, sensor string) string {
	return "spiffe://roje/operator/" + operator + "/sensor/" + sensor
}

// ParseSensorURI reads what SensorURI wrote.
func ParseSensorURI(uri string) (operator, sensor string, err error) {
	rest, ok := strings.CutPrefix(uri, "spiffe://roje/operator/")
	operator, sensor, found := strings.Cut(rest, "/sensor/")
	if !ok || !found {
		return "", "", fmt.Errorf("%q names no sensor", uri)
	}
	return operator, sensor, errors.Join(batch.CheckName("an operator", operator), batch.CheckName("a sensor", sensor))
}

// A Request is the body of a POST to batch.PathEnrol, or to batch.PathRenew without a token.
type Request struct {
	ID     string `json:"id,omitempty"`
	Secret string `json:"secret,omitempty"`
	CSR    []byte `json:"csr"`  // DER of a PKCS #10 request with an Ed25519 key
	Name   string `json:"name"` // what the sensor calls itself; the token's site goes first
}

// A Response is what the sensor gets.
type Response struct {
	Operator string `json:"operator"`
	Sensor   string `json:"sensor"`
	Name     string `json:"name"`
	Cert     []byte `json:"cert"` // DER
}
