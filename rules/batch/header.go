package batch

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// A Header says who sealed an envelope and what is in it.
type Header struct {
	Sensor   string `json:"sensor"`
	Operator string `json:"operator"`
	Key      string `json:"key"`   // KeyID of the key that signed
	Epoch    string `json:"epoch"` // 32 hex digits, drawn when the spool was made
	Lane     Lane   `json:"lane"`
	Base     uint64 `json:"base"` // number of the first record of the stream; at least 1
	From     uint64 `json:"from"` // the records are numbered From to To, without holes
	To       uint64 `json:"to"`

	First  time.Time     `json:"first"` // time of the earliest and the latest record, packet time
	Last   time.Time     `json:"last"`
	Sealed time.Time     `json:"sealed"`  // the sensor's wall clock when it sealed
	Mono   time.Duration `json:"mono_ns"` // time since the sensor's process began: shows where the wall clock jumped

	Codec string `json:"codec"`  // "zstd"
	Raw   int    `json:"raw"`    // bytes of the payload when unpacked
	Sum   Hash   `json:"sha256"` // of the payload as it travels
	Prev  Hash   `json:"prev"`   // of the envelope before it in the stream; all zero for the first
}

// A Hash is a SHA-256, written in hex; "" is all zero.
type Hash [sha256.Size]byte

// String gives 64 hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText gives the hex digits, or nothing where h is zero.
func (h Hash) MarshalText() ([]byte, error) {
	if h == (Hash{}) {
		return []byte{}, nil
	}
	return []byte(h.String()), nil
}

// UnmarshalText takes 64 hex digits or nothing.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*h = Hash{}
		return nil
	}
	if len(text) != 2*len(h) {
		return fmt.Errorf("a hash has %d hex digits, not %d", 2*len(h), len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// KeyID names a public key: the first 16 hex digits of its SHA-256.
func KeyID(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(pub)
	return hex.EncodeToString(sum[:8])
}

// CheckName holds the name of a sensor or an operator to what is safe in a file name, a URL and a certificate: lower case
// letters, digits, '-' and '_', at most 63 of them, the first no sign.
func CheckName(what, name string) error {
	ok := len(name) > 0 && len(name) <= 63 && name[0] != '-' && name[0] != '_'
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	if !ok {
		return fmt.Errorf("%q cannot be the name of %s: use lower case letters, digits, '-' and '_', at most 63", name, what)
	}
	return nil
}

// check says what in h cannot be.
func (h *Header) check() error {
	if err := CheckName("a sensor", h.Sensor); err != nil {
		return err
	}
	if err := CheckName("an operator", h.Operator); err != nil {
		return err
	}
	if b, err := hex.DecodeString(h.Epoch); err != nil || len(b) != 16 {
		return fmt.Errorf("epoch %.40q is not 32 hex digits", h.Epoch)
	}
	switch {
	case h.Lane >= MaxLanes:
		return fmt.Errorf("lane %d is not below %d", h.Lane, MaxLanes)
	case h.Base == 0 || h.From < h.Base || h.To < h.From || h.To > maxSeq:
		return fmt.Errorf("records %d to %d with base %d cannot be", h.From, h.To, h.Base)
	case h.To-h.From >= MaxRecords:
		return fmt.Errorf("records %d to %d are more than %d", h.From, h.To, MaxRecords)
	case h.Codec != codecZstd:
		return fmt.Errorf("codec %.20q is unknown; this version reads %q", h.Codec, codecZstd)
	case h.Raw < 0 || h.Raw > MaxRaw:
		return fmt.Errorf("payload of %d bytes is more than %d", h.Raw, MaxRaw)
	}
	return nil
}
