package site

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/roje-ot/roje/rules/batch"
)

// A Kind is what a pack is for.
type Kind string

// The kinds.
const (
	Rules  Kind = ""       // rules, in place of built-in ones of the same ids and beside the others
	Policy Kind = "policy" // what a centre says about rules and settings: SiteFile, SettingsFile
)

// String is the kind in a word.
func (k Kind) String() string {
	if k == Rules {
		return "rules"
	}
	return string(k)
}

// Kinds are all of them.
var Kinds = []Kind{Rules, Policy}

// The files of a policy.
const (
	SiteFile     = "site.yaml"     // as Load reads it: rules that are off, weigh more or less, have exceptions
	SettingsFile = "settings.yaml" // what else a centre may set
)

var policyFiles = []string{SiteFile, SettingsFile}

// Terms say for whom a pack is and until when it may be taken. The zero Terms: rules, for everybody, for ever. They are
// signed with the pack, so that who only hands it out can give it to nobody else.
type Terms struct {
	Kind     Kind      `json:"kind,omitempty"`
	Operator string    `json:"operator,omitempty"` // whose sensors may take it; "" is everybody's. A policy names one
	Sensors  []string  `json:"sensors,omitempty"`  // ids or names of the sensors that may, sorted; none: all
	Expires  time.Time `json:"expires,omitzero"`   // from then on it is not taken; what is in use stays
}

// maxSensors is how many sensors a pack names at most.
const maxSensors = 5000

// check says what in t cannot be.
func (t *Terms) check() error {
	switch {
	case !slices.Contains(Kinds, t.Kind):
		return fmt.Errorf("%.40q is no kind of a pack", string(t.Kind))
	case t.Kind == Policy && t.Operator == "":
		return errors.New("a policy names its operator")
	case len(t.Sensors) > maxSensors:
		return fmt.Errorf("%d sensors are more than %d; leave them out to mean all", len(t.Sensors), maxSensors)
	}
	for i, s := range t.Sensors {
		if s == "" || len(s) > 400 || i > 0 && t.Sensors[i-1] >= s {
			return fmt.Errorf("the sensors are not sorted, or %.40q is none", s)
		}
	}
	if t.Operator != "" {
		return batch.CheckName("an operator", t.Operator)
	}
	return nil
}

// Why a pack is not taken, besides batch.ErrSignature and batch.ErrVersion.
var (
	ErrExpired  = errors.New("expired")
	ErrForeign  = errors.New("for somebody else")
	ErrOlder    = errors.New("older")
	ErrReplayed = errors.New("another content under a version that was used")
	ErrRenamed  = errors.New("of another name than the one in use")
)

// Reason is a word for why a pack was refused: for programs, and for who counts.
func Reason(err error) string {
	for _, r := range []struct {
		err  error
		word string
	}{{batch.ErrSignature, "forged"}, {ErrExpired, "expired"}, {ErrForeign, "foreign"}, {ErrOlder, "older"}, {ErrReplayed, "replayed"}, {ErrRenamed, "renamed"}, {batch.ErrVersion, "version"}} {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return "faulty"
}

// For returns nil if a sensor may take a pack of these terms at a time. operator and names are the sensor's; a zero time
// looks at no clock.
func (t *Terms) For(operator string, names []string, at time.Time) error {
	switch {
	case t.Operator != "" && t.Operator != operator:
		return fmt.Errorf("it is %w: sensors of operator %s", ErrForeign, t.Operator)
	case len(t.Sensors) > 0 && !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(t.Sensors, n) }):
		return fmt.Errorf("it is %w: it names %d sensors, and this is none of them", ErrForeign, len(t.Sensors))
	case !t.Expires.IsZero() && !at.IsZero() && !at.Before(t.Expires):
		return fmt.Errorf("it %w on %s", ErrExpired, t.Expires.Format(time.RFC3339))
	}
	return nil
}
