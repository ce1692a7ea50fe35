package batch

import "time"

// RuleHealth is what a sensor judges by.
type RuleHealth struct {
	Rules         int               `json:"rules"`                    // in force
	Pack          string            `json:"pack,omitempty"`           // name of the pack beside the built-in rules
	PackVersion   uint64            `json:"pack_version,omitempty"`   //
	PackSHA256    string            `json:"pack_sha256,omitempty"`    //
	Policy        string            `json:"policy,omitempty"`         // name of the centre's policy
	PolicyVersion uint64            `json:"policy_version,omitempty"` //
	PolicySHA256  string            `json:"policy_sha256,omitempty"`  //
	Central       bool              `json:"central,omitempty"`        // it takes packs from its collector
	Since         time.Time         `json:"since"`                    // when they were loaded
	Refused       string            `json:"refused,omitempty"`        // why the last reload, or the last pack, was refused: the rules before it are in force
	Expired       int               `json:"expired,omitempty"`        // exceptions of the site that are over
	Suppressed    map[string]uint64 `json:"suppressed,omitempty"`     // by rule: how often an exception of the site kept it from firing
}

// EventHealth is what a sensor keeps of what it judged, to try changed rules on.
type EventHealth struct {
	Kept     uint64  `json:"kept"`      // events since it started
	Dropped  uint64  `json:"dropped"`   // not kept, since it started; they were judged all the same
	Bytes    int64   `json:"bytes"`     // on disk
	DaysBack float64 `json:"days_back"` // how old the oldest is
}

// DayHealth is how many incidents have begun on the day that it is, beside the budget.
type DayHealth struct {
	Begin     time.Time   `json:"begin"` // midnight, UTC, in packet time
	Incidents int         `json:"incidents"`
	Budget    int         `json:"budget"`             // once as many have begun, those of low severity and less are gathered into one
	Before    *int        `json:"before,omitempty"`   // incidents of the day before, where any began
	Gathered  int         `json:"gathered,omitempty"` // alerts that are in that one
	Digest    string      `json:"digest,omitempty"`   // and its name
	Noisy     []NoisyRule `json:"noisy,omitempty"`    // those with which most incidents began, at most three
}

// A NoisyRule is a rule and how many incidents began with it.
type NoisyRule struct {
	Rule      string `json:"rule"`
	Incidents int    `json:"incidents"`
}
