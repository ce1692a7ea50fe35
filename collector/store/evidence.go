package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/roje-ot/roje/rules/batch"
)

// EvidenceState says where the frames of an alert are.
type EvidenceState string

// The states.
const (
	EvidenceAsked   EvidenceState = "asked"   // a sensor will be asked for it
	EvidenceComing  EvidenceState = "coming"  // some of it is here
	EvidenceWhole   EvidenceState = "whole"   // it is here, and as its sensor signed it
	EvidenceRefused EvidenceState = "refused" // it came, and is not what its sensor signed: it was not kept
	EvidenceGone    EvidenceState = "gone"    // the sensor has it no more
)

// An EvidenceFile is the file of frames that an alert stands on, as far as the collector has it.
type EvidenceFile struct {
	Alert  string        `json:"alert"`
	Sensor string        `json:"sensor"`
	State  EvidenceState `json:"state"`
	Size   int64         `json:"size"` // 0 until a piece has come
	Have   int64         `json:"have"` // bytes that are here
	SHA256 string        `json:"sha256,omitempty"`
	Who    string        `json:"who,omitempty"` // who asked for it; "" where the sensor sent it unasked
	At     time.Time     `json:"at"`            // of the last change
	Why    string        `json:"why,omitempty"` // it was refused, or is gone
}

// Evidences is the evidence of alerts. It is kept as long as its alert, or as records are, whichever is shorter; that
// of an alert that is held or released now stays.
type Evidences interface {
	// AskEvidence has the sensor of an alert asked for its evidence: an act of who. What is here or on its way already is
	// not asked for again; what was refused or is gone is. ErrNotFound: there is no such alert.
	AskEvidence(ctx context.Context, s Scope, alert, who string, at time.Time) error
	// GetEvidence returns what is known of an alert's evidence. ErrNotFound: nothing is.
	GetEvidence(ctx context.Context, s Scope, alert string) (EvidenceFile, error)
	// ReadEvidence returns the file, which is whole. ErrNotFound: it is not here, or not whole.
	ReadEvidence(ctx context.Context, s Scope, alert string) ([]byte, error)
	// WantedEvidence lists what a sensor is to be asked for, longest wanted first, by the ids that the sensor gave.
	WantedEvidence(ctx context.Context, s Scope, sensor string) ([]batch.Ask, error)
	// PutEvidence takes a piece. One that was taken before, or that does not continue what is here, changes nothing. The last
	// piece makes the file whole, if it is what the alert names and its signature is of a key of the sensor; else it is
	// refused, which is an act. ErrNotFound: the sensor has no such alert.
	PutEvidence(ctx context.Context, s Scope, sensor string, p batch.Piece, at time.Time) error
}

// CutEvidence takes the pieces of evidence out of the records of batches, which are left as they are: what it returns
// says in their place that they came, without the bytes. The batches that it returns are to be ingested first, as they
// may hold the alert that a piece belongs to, and the pieces put then; only after both is anything acknowledged.
func CutEvidence(batches []Batch) (without []Batch, pieces []batch.Piece, err error) {
	without = slices.Clone(batches)
	for i := range without {
		cloned := false
		for j := range without[i].Records {
			r := without[i].Records[j]
			var p batch.Piece
			if r.Kind != batch.KindEvidence || json.Unmarshal(r.Body, &p) != nil || p.Alert == "" {
				continue // what cannot be read is kept as a record that nobody reads
			}
			pieces = append(pieces, p)
			if !cloned {
				without[i].Records, cloned = slices.Clone(without[i].Records), true
			}
			n := len(p.Data)
			p.Data = nil
			if r.Body, err = json.Marshal(struct {
				batch.Piece
				Bytes int `json:"bytes"`
			}{p, n}); err != nil {
				return nil, nil, fmt.Errorf("piece of evidence: %w", err)
			}
			without[i].Records[j] = r
		}
	}
	return without, pieces, nil
}

// PutPieces puts what CutEvidence has cut out of the batches of a sensor. A piece that nobody can use, as its alert is
// not here, is let go.
func PutPieces(ctx context.Context, st Evidences, s Scope, sensor string, pieces []batch.Piece, at time.Time) error {
	for _, p := range pieces {
		if err := st.PutEvidence(ctx, s, sensor, p, at); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}
