package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roje-ot/roje/rules"
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
	// Group is the campaign or the case that was released; nil for an alert. Alert is the zero alert then.
	Group *Group
}

// ID is what was released: an alert's, a campaign's or a case's id.
func (r *Released) ID() string {
	if r.Group != nil {
		return r.Group.Ref
	}
	return r.Alert.ID
}

// Kind is "" for an alert, or what the group is.
func (r *Released) Kind() string {
	if r.Group != nil {
		return r.Group.Kind
	}
	return ""
}

// A Group is a campaign or a case as it is released: what those of its alerts say together that are released too. What
// the operator kept counts for nothing in it.
type Group struct {
	Kind      string         `json:"kind"` // ItemCampaign, ItemCase
	Ref       string         `json:"ref"`
	Title     string         `json:"title,omitempty"`     // of a case
	State     CaseState      `json:"state,omitempty"`     // of a case
	Verdict   Verdict        `json:"verdict,omitempty"`   // of a case
	Rule      string         `json:"rule,omitempty"`      // of a campaign
	Technique string         `json:"technique,omitempty"` // of a campaign
	Severity  rules.Severity `json:"severity"`            // of the worst alert
	First     time.Time      `json:"first"`
	Last      time.Time      `json:"last"`
	Sites     int            `json:"sites"`  // sensors
	Alerts    []string       `json:"alerts"` // their ids, by time
}

// ItemCase is the kind of a group that is a case.
const ItemCase = "case"

// A ReleaseFilter picks released versions; the zero one picks the latest version of each alert, and no campaigns or cases.
type ReleaseFilter struct {
	AddedAfter time.Time // Added is after; zero for all
	Alert      string    // only versions of this alert, or of this campaign or case with its kind in Kind
	Kind       string    // only campaigns, or only cases
	Groups     bool      // campaigns and cases too
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
	// PreviewGroup is what ReleaseGroup would release: kind is ItemCampaign or ItemCase. ErrNothing.
	PreviewGroup(ctx context.Context, s Scope, kind, ref string) (Group, error)
	// ReleaseGroup makes a version of a campaign or a case with those of its alerts that are released now. ErrOtherForm as
	// Release. ErrNothing: none of its alerts is released.
	ReleaseGroup(ctx context.Context, s Scope, kind, ref string, tlp TLP, masked bool, who string, at time.Time) (Released, error)
	// RetractGroup is Retract of a campaign or a case. Its alerts stay released.
	RetractGroup(ctx context.Context, s Scope, kind, ref, who string, at time.Time) (Released, error)
	// ListReleased returns at most limit versions (1 to 1000) after cursor, oldest Added first. The cursor it returns is ""
	// after the last page. It stays good for ever: passed again later, it gives what was added since.
	ListReleased(ctx context.Context, s Scope, f ReleaseFilter, cursor string, limit int) ([]Released, string, error)
	// Secret is the operator's secret of a name, 32 bytes that are made when it is first asked for. All collectors of the
	// store get the same.
	Secret(ctx context.Context, s Scope, name string) ([]byte, error)
}

// ErrNothing: a campaign or a case leaves with its released alerts, and there are none.
var ErrNothing = errors.New("none of its alerts is released")

// ErrOtherForm: what a CERT has of an alert must be taken back before the alert can leave in another form.
var ErrOtherForm = errors.New("it is released in another form: retract it first")
