package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A CaseState says how far the work on a case is.
type CaseState string

// The states.
const (
	CaseOpen   CaseState = "open" // nobody works on it yet
	CaseWork   CaseState = "work"
	CaseClosed CaseState = "closed"
)

// CaseStates are all of them.
var CaseStates = []CaseState{CaseOpen, CaseWork, CaseClosed}

// A Verdict is what a case turned out to be.
type Verdict string

// The verdicts.
const (
	Undecided   Verdict = ""
	Malicious   Verdict = "true"        // an attack
	Benign      Verdict = "benign"      // it happened, and was meant to
	Mistaken    Verdict = "false"       // it did not happen
	Maintenance Verdict = "maintenance" // announced work
)

// Verdicts are all of them.
var Verdicts = []Verdict{Undecided, Malicious, Benign, Mistaken, Maintenance}

// A Case is alerts that people look into as one. Its alerts, and those of its incidents, are kept whatever their age.
type Case struct {
	ID       string     `json:"id"`
	Title    string     `json:"title"`
	State    CaseState  `json:"state"`
	Verdict  Verdict    `json:"verdict,omitempty"`
	Owner    string     `json:"owner,omitempty"` // who works on it
	Opened   time.Time  `json:"opened"`
	OpenedBy string     `json:"opened_by"`
	Updated  time.Time  `json:"updated"`
	Items    []CaseItem `json:"items,omitempty"` // in the order in which they came; only from GetCase, as are the notes
	Notes    []CaseNote `json:"notes,omitempty"`
}

// A CaseItem is something that belongs to a case.
type CaseItem struct {
	Kind string    `json:"kind"` // alert, incident, campaign
	Ref  string    `json:"ref"`  // its id
	Who  string    `json:"who"`
	At   time.Time `json:"at"`
}

// The kinds of items. An incident stands for all its alerts, those that come later too; so does a campaign.
const (
	ItemAlert    = "alert"
	ItemIncident = "incident"
	ItemCampaign = "campaign"
)

// ItemKinds are all of them.
var ItemKinds = []string{ItemAlert, ItemIncident, ItemCampaign}

// A CaseNote is what somebody wrote. Notes are never changed.
type CaseNote struct {
	N    int64     `json:"n"`
	At   time.Time `json:"at"`
	Who  string    `json:"who"`
	Text string    `json:"text"`
}

// A CaseChange changes what is not nil.
type CaseChange struct {
	Title   *string
	State   *CaseState
	Verdict *Verdict
	Owner   *string
}

// Limits of a case.
const (
	MaxCaseTitle = 200 // bytes
	MaxCaseNote  = 20_000
	MaxCaseItems = 1000
	MaxCaseNotes = 1000
)

// ErrCase wraps what a person did wrong with a case, in words.
var ErrCase = errors.New("case")

// Check returns what is wrong with c, wrapped in ErrCase.
func (c CaseChange) Check() error {
	switch {
	case c.Title != nil && (*c.Title == "" || len(*c.Title) > MaxCaseTitle):
		return fmt.Errorf("%w: a title has 1 to %d bytes", ErrCase, MaxCaseTitle)
	case c.State != nil && !slices.Contains(CaseStates, *c.State):
		return fmt.Errorf("%w: unknown state %.20q", ErrCase, *c.State)
	case c.Verdict != nil && !slices.Contains(Verdicts, *c.Verdict):
		return fmt.Errorf("%w: unknown verdict %.20q", ErrCase, *c.Verdict)
	case c.Owner != nil && len(*c.Owner) > 100:
		return fmt.Errorf("%w: an owner has at most 100 bytes", ErrCase)
	}
	return nil
}

// Cases is what people look into. Whatever they do is recorded as an act upon the case's id, which is its history.
type Cases interface {
	OpenCase(ctx context.Context, s Scope, title, who string, at time.Time) (Case, error)
	// ListCases returns at most limit cases (1 to 1000) in any of the states after cursor, the latest opened first. The
	// cursor it returns is "" after the last page.
	ListCases(ctx context.Context, s Scope, states []CaseState, cursor string, limit int) ([]Case, string, error)
	GetCase(ctx context.Context, s Scope, id string) (Case, error)
	// CasesOf lists the cases that something belongs to.
	CasesOf(ctx context.Context, s Scope, kind, ref string) ([]Case, error)
	SetCase(ctx context.Context, s Scope, id string, c CaseChange, who string, at time.Time) error
	// AddToCase: ErrNotFound where there is no such case, or no such thing. What is in it already changes nothing.
	AddToCase(ctx context.Context, s Scope, id, kind, ref, who string, at time.Time) error
	RemoveFromCase(ctx context.Context, s Scope, id, kind, ref, who string, at time.Time) error
	NoteCase(ctx context.Context, s Scope, id, text, who string, at time.Time) error
}
