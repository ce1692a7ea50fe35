package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A TLP is a marking of the Traffic Light Protocol 2.0, without its "TLP:".
type TLP string

// The markings under which an alert can be released. RED is for named persons and never leaves by a feed.
const (
	Clear       TLP = "clear"
	Green       TLP = "green"
	Amber       TLP = "amber"
	AmberStrict TLP = "amber+strict"
)

// ParseTLP takes a marking's name.
func ParseTLP(text string) (TLP, error) {
	switch t := TLP(text); t {
	case Clear, Green, Amber, AmberStrict:
		return t, nil
	case "red":
		return "", fmt.Errorf("tlp red is never released")
	default:
		return "", fmt.Errorf("unknown tlp %q; it is one of clear, green, amber, amber+strict", text)
	}
}

// A Released is one version of an alert in the feed to a CERT. It is a copy made at its release: what the analyst saw
// is what leaves, whatever the sensor says of the alert later.
type Released struct {
	Alert   Alert     // as it was when it was released; TLP and Released are of this version
	Added   time.Time // a whole millisecond, distinct per operator, later than that of any release before it
	Created time.Time // Added of the first version
	Version int       // from 1
	TLP     TLP
	Who     string
	Revoked bool // the alert was retracted
	Latest  bool // no later version exists
	Masked  bool // addresses and names leave as pseudonyms; Alert has them as they are
}

// A ReleaseFilter picks released versions; the zero one picks the latest version of each alert.
type ReleaseFilter struct {
	AddedAfter time.Time // Added is after; zero for all
	Alert      string    // only versions of this alert
	All        bool      // older versions too
}

// Releases is what leaves for a CERT.
type Releases interface {
	// Release makes a version of the alert as it is now. A later Release of the same alert makes the next version.
	// ErrOtherForm: it is released under pseudonyms now, or the other way about.
	Release(ctx context.Context, s Scope, id string, tlp TLP, who string, at time.Time) (Released, error)
	// ReleaseMasked is Release of an alert that leaves under pseudonyms.
	ReleaseMasked(ctx context.Context, s Scope, id string, tlp TLP, who string, at time.Time) (Released, error)
	// Retract makes a version that revokes the one before it. ErrNotFound: it is not released.
	Retract(ctx context.Context, s Scope, id, who string, at time.Time) (Released, error)
	// ListReleased returns at most limit versions (1 to 1000) after cursor, oldest Added first. The cursor it returns is ""
	// after the last page. It stays good for ever: passed again later, it gives what was added since.
	ListReleased(ctx context.Context, s Scope, f ReleaseFilter, cursor string, limit int) ([]Released, string, error)
	// Secret is the operator's secret of a name, 32 bytes that are made when it is first asked for. All collectors of the
	// store get the same.
	Secret(ctx context.Context, s Scope, name string) ([]byte, error)
}

// ErrOtherForm: what a CERT has of an alert must be taken back before the alert can leave in another form.
var ErrOtherForm = errors.New("it is released in another form: retract it first")
