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
