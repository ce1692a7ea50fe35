package join

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// An Ask is the file by which a sensor that reaches no collector asks for a certificate. It holds no secret.
type Ask struct {
	Version int    `json:"roje_ask"` // 1
	Name    string `json:"name"`     // what the sensor calls itself
	CSR     []byte `json:"csr"`      // DER of a PKCS #10 request with an Ed25519 key
}

// A Bundle is the file that answers an Ask. It holds no secret, and is of use to the owner of the key alone.
type Bundle struct {
	Version   int    `json:"roje_bundle"` // 1
	Operator  string `json:"operator"`
	Sensor    string `json:"sensor"`
	Name      string `json:"name"`
	Collector string `json:"collector,omitempty"` // host:port of the ingest listener, should the sensor ever reach it
	Cert      []byte `json:"cert"`                // DER
	CA        []byte `json:"ca"`                  // DER of the collector's root
}

// offline is the version of both files.
const offline = 1

// NewAsk makes an Ask.
func NewAsk(name string, csr []byte) Ask { return Ask{offline, name, csr} }

// ParseAsk reads the file of an Ask.
func ParseAsk(text []byte) (a Ask, err error) {
	if err := parse(text, &a); err != nil {
		return a, fmt.Errorf("this is no file of 'roje-sensor enrol --offline': %w", err)
	}
	if a.Version != offline || len(a.CSR) == 0 {
		return a, errors.New("this is no file of 'roje-sensor enrol --offline' that this program knows")
	}
	return a, nil
}

// ParseBundle reads the file of a Bundle.
func ParseBundle(text []byte) (b Bundle, err error) {
	if err := parse(text, &b); err != nil {
		return b, fmt.Errorf("this is no file of 'roje-collector enrol-offline': %w", err)
	}
	if b.Version != offline || len(b.Cert) == 0 || len(b.CA) == 0 {
		return b, errors.New("this is no file of 'roje-collector enrol-offline' that this program knows")
	}
	return b, nil
}

// Complete gives b its version.
func (b Bundle) Complete() Bundle {
	b.Version = offline
	return b
}

// parse reads one JSON value and nothing after it.
func parse(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something follows it")
	}
	return nil
}
