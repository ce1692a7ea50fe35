package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A LetterKind is what a letter is.
type LetterKind string

// The kinds. The first two are read; the third is answered.
const (
	LetterNote      LetterKind = "note"
	LetterIndicator LetterKind = "indicator"
	LetterEvidence  LetterKind = "evidence" // asks for the frames of the alert
)

// LetterKinds are all of them.
var LetterKinds = []LetterKind{LetterNote, LetterIndicator, LetterEvidence}

// A LetterState is what became of a letter.
type LetterState string

// The states.
const (
	LetterWaiting  LetterState = "waiting"
	LetterRead     LetterState = "read"     // a note or an indicator was taken note of
	LetterReleased LetterState = "released" // the evidence may be fetched
	LetterDeclined LetterState = "declined"
)

// Languages are the forms that the pattern of an indicator may have (STIX 2.1 §10.18, pattern-type-ov, and a plain list).
var Languages = []string{"stix", "sigma", "snort", "suricata", "yara", "pcre", "list"}

// A Letter is what the analyst of a CERT sends to an operator about an alert that was released to it.
type Letter struct {
	ID       string      `json:"id"`
	At       time.Time   `json:"at"`
	From     string      `json:"from"` // the account
	Kind     LetterKind  `json:"kind"`
	Alert    string      `json:"alert"` // the alert's id, as the operator knows it
	TLP      TLP         `json:"tlp"`   // how far the operator may pass it on
	Text     string      `json:"text"`
	Language string      `json:"language,omitempty"` // of the pattern
	Pattern  string      `json:"pattern,omitempty"`  // only of an indicator
	State    LetterState `json:"state"`
	Who      string      `json:"who,omitempty"` // who answered it, when and what
	Answered *time.Time  `json:"answered,omitempty"`
	Answer   string      `json:"answer,omitempty"`
	Masked   bool        `json:"masked,omitempty"` // the evidence is given under pseudonyms
}

// Limits of a letter.
const (
	MaxLetter        = 20_000 // bytes of its text, of its pattern, and of the answer
	MaxLettersUnread = 200    // of one account
)

// ErrLetter wraps what a person did wrong with a letter, in words.
var ErrLetter = errors.New("letter")

// Check returns what is wrong with a letter that is to be sent, wrapped in ErrLetter.
func (l *Letter) Check() error {
	if _, err := ParseTLP(string(l.TLP)); err != nil {
		return fmt.Errorf("%w: %w", ErrLetter, err)
	}
	switch {
	case !slices.Contains(LetterKinds, l.Kind):
		return fmt.Errorf("%w: unknown kind %.20q", ErrLetter, l.Kind)
	case l.Text == "" || max(len(l.Text), len(l.Pattern)) > MaxLetter:
		return fmt.Errorf("%w: a text has 1 to %d bytes", ErrLetter, MaxLetter)
	case l.Kind == LetterIndicator && (l.Pattern == "" || !slices.Contains(Languages, l.Language)):
		return fmt.Errorf("%w: an indicator has a pattern in one of %v", ErrLetter, Languages)
	case l.Kind != LetterIndicator && l.Pattern+l.Language != "":
		return fmt.Errorf("%w: only an indicator has a pattern", ErrLetter)
	}
	return nil
}

// A LetterAnswer is what an operator answers.
type LetterAnswer struct {
	State  LetterState
	Text   string
	Masked bool // the evidence is given under pseudonyms
}

// Check returns what is wrong with an answer to l, wrapped in ErrLetter.
func (a *LetterAnswer) Check(l *Letter) error {
	states := []LetterState{LetterRead}
	if l.Kind == LetterEvidence {
		states = []LetterState{LetterReleased, LetterDeclined}
	}
	switch {
	case !slices.Contains(states, a.State):
		return fmt.Errorf("%w: a %s is not answered by %.20q", ErrLetter, l.Kind, a.State)
	case len(a.Text) > MaxLetter:
		return fmt.Errorf("%w: an answer has at most %d bytes", ErrLetter, MaxLetter)
	}
	return nil
}

// A LetterFilter picks letters; the zero one picks all.
type LetterFilter struct {
	From  string
	Alert string
	State LetterState
}

// Letters is what a CERT's analysts and an operator write to each other. That an account may see the alert it writes about
// is the caller's to know. Sending, answering and fetching are acts upon the alert.
type Letters interface {
	// SendLetter keeps a letter and returns it with its ID. ErrLetter; ErrNotFound: there is no such alert.
	SendLetter(ctx context.Context, s Scope, l Letter) (Letter, error)
	GetLetter(ctx context.Context, s Scope, id string) (Letter, error)
	// ListLetters returns at most limit letters (1 to 1000) after cursor, the latest first. The cursor it returns is "" after
	// the last page.
	ListLetters(ctx context.Context, s Scope, f LetterFilter, cursor string, limit int) ([]Letter, string, error)
	// AnswerLetter answers a letter that waits. ErrChanged: it was answered already. ErrLetter.
	AnswerLetter(ctx context.Context, s Scope, id string, a LetterAnswer, who string, at time.Time) error
	// FetchedLetter records that the evidence which a letter asked for was fetched.
	FetchedLetter(ctx context.Context, s Scope, id, who string, at time.Time) error
}
