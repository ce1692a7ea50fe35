package batch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
)

// An Offer is a signed pack of rules, or a policy, that a collector has for the sensor that asks. The sensor believes the
// pack's own signature and nothing that the offer says.
type Offer struct {
	Kind    string `json:"kind"` // rules, policy
	Name    string `json:"name"`
	Version uint64 `json:"version"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"` // hex
}

// Offers are all of them, at most one of each kind.
type Offers struct {
	Packs []Offer `json:"packs"`
}

// Revision is a number that changes with what is offered; 0 where nothing is.
func (o *Offers) Revision() uint64 {
	if len(o.Packs) == 0 {
		return 0
	}
	h := sha256.New()
	for _, p := range o.Packs {
		h.Write([]byte(p.SHA256 + "\n"))
	}
	return binary.BigEndian.Uint64(h.Sum(nil))>>11 | 1 // what JSON numbers carry everywhere
}

// An Outcome is what a sensor says became of a pack.
type Outcome struct {
	SHA256 string `json:"sha256"`
	Taken  bool   `json:"taken"`            // its rules are in force; otherwise it was refused, and those before it are
	Reason string `json:"reason,omitempty"` // a word
	Why    string `json:"why,omitempty"`
}

// UnmarshalJSON cuts what is longer than a screen.
func (o *Outcome) UnmarshalJSON(text []byte) error {
	type plain Outcome
	err := json.Unmarshal(text, (*plain)(o))
	o.Reason, o.Why = o.Reason[:min(len(o.Reason), 40)], o.Why[:min(len(o.Why), 1000)]
	return err
}
