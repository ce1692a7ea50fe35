package batch

import "time"

// BaselineHealth is how far the learning of a sensor has come.
type BaselineHealth struct {
	Shadow  *ShadowHealth  `json:"shadow,omitempty"`  // while something is learned: what enforcing it would raise
	Windows []WindowHealth `json:"windows,omitempty"` // maintenance that goes on
	Stale   int            `json:"stale,omitempty"`   // approved items that were not seen for longer than their age limit
	Drifts  int            `json:"drifts,omitempty"`  // measured points whose range was widened while it was enforced
	Bound   int            `json:"bound,omitempty"`   // those of them that go on beyond what a week may widen

	Full map[string]uint64 `json:"full,omitempty"` // by table of the baseline: sightings that found no room in it since the start
}

// ShadowHealth is what a sensor would have raised, had it enforced what it has learned.
type ShadowHealth struct {
	Since     time.Time         `json:"since"`     // packet time of the first message that was judged so
	Days      float64           `json:"days"`      // of packet time that were judged
	Incidents uint64            `json:"incidents"` // that would have been raised
	ADay      float64           `json:"a_day"`     // incidents a day
	Alerts    map[string]uint64 `json:"alerts"`    // by family of rules
	Ready     bool              `json:"ready"`     // something was seen often enough to be enforced; without it there is nothing to judge by
}

// WindowHealth is maintenance that goes on.
type WindowHealth struct {
	ID       string    `json:"id"`
	Who      string    `json:"who"`
	Why      string    `json:"why"`
	Until    time.Time `json:"until"`
	Withheld uint64    `json:"withheld"` // alerts of medium severity and less that it has kept back
	Raised   uint64    `json:"raised"`   // alerts that were raised all the same, and name it
}
