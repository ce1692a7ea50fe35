package store

import (
	"context"
	"time"
)

// Keeping is what is forgotten with age, and what is not. Forgotten records do not come back: that they were received is
// remembered for ever, in the streams. What people did is kept too.
type Keeping interface {
	// SetHeld keeps an alert whatever its age (legal hold), or ends that. Who did it is recorded as an act.
	SetHeld(ctx context.Context, s Scope, id string, held bool, who string, at time.Time) error
	// Forget deletes what is older than c says, in steps: others read and write in between. Alerts that are held,
	// released now or in a case stay. An error leaves the steps before it done.
	Forget(ctx context.Context, s Scope, c Cutoff) (Forgotten, error)
}

// A Cutoff is the time before which things are forgotten, each by its kind; zero keeps all of it.
type Cutoff struct {
	Alerts    time.Time // by Alert.Updated
	Records   time.Time // by Record.Received, and Evidence.At
	Envelopes time.Time // by when they were received: until then a fork of a spool is told from a replay
}

// Forgotten is how much was deleted.
type Forgotten struct{ Alerts, Records, Envelopes, Evidence int }
