package store

import (
	"context"
	"time"
)

// A Pack is a signed pack of rules, or a policy, that is handed out to sensors. Its author signed it; the collector only
// keeps it: whether to believe it is decided by each sensor, with the author's key.
type Pack struct {
	SHA256  string     `json:"sha256"` // of the file
	Kind    string     `json:"kind"`   // rules, policy
	Name    string     `json:"name"`
	Version uint64     `json:"version"`
	Size    int        `json:"size"`
	Key     string     `json:"key"` // batch.KeyID of the key that is said to have signed it
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"` // from then on no sensor takes it
	Sensors []string   `json:"sensors,omitempty"` // ids or names of the sensors that may take it; none: all
	Who     string     `json:"who"`               // who brought it
	At      time.Time  `json:"at"`                // when
}

// An Assignment says which pack of a kind is for whom.
type Assignment struct {
	Target string    `json:"target"` // as TargetAll, TargetSite and TargetSensor write it
	Kind   string    `json:"kind"`
	Pack   string    `json:"pack"` // SHA256
	Who    string    `json:"who"`
	At     time.Time `json:"at"`
}

// TargetAll is every sensor.
const TargetAll = "all"

// TargetSite is the sensors of a name.
func TargetSite(name string) string { return "site:" + name }

// TargetSensor is the sensor of an id.
func TargetSensor(id string) string { return "sensor:" + id }

// Targets are those that are a sensor's, the nearest first: of a kind, it is offered what is assigned to the first that has
// one.
func Targets(sensor Sensor) [3]string {
	return [3]string{TargetSensor(sensor.ID), TargetSite(sensor.Name), TargetAll}
}

// An Outcome is what a sensor says became of a pack that was handed to it, the latest of each kind.
type Outcome struct {
	Sensor string    `json:"sensor"`
	Kind   string    `json:"kind"`
	Pack   string    `json:"pack"` // SHA256
	Taken  bool      `json:"taken"`
	Reason string    `json:"reason,omitempty"` // a word, of one that was refused: site.Reason
	Why    string    `json:"why,omitempty"`
	At     time.Time `json:"at"`
}

// Packs is what is handed out to sensors, and what became of it.
type Packs interface {
	// PutPack keeps a pack, as an act of p.Who. ErrExists: there is another content under its kind, name and version. The same
	// pack again changes nothing.
	PutPack(ctx context.Context, s Scope, p Pack, body []byte) error
	ListPacks(ctx context.Context, s Scope) ([]Pack, error) // by kind and name, the newest version first
	ReadPack(ctx context.Context, s Scope, sha256 string) ([]byte, error)
	// Assign makes a pack the one of its kind for a target; Unassign leaves the target none of that kind, which takes nothing
	// from sensors: what they run they keep. ErrNotFound: there is no such pack, or assignment.
	Assign(ctx context.Context, s Scope, target, sha256, who string, at time.Time) error
	Unassign(ctx context.Context, s Scope, target, kind, who string, at time.Time) error
	Assignments(ctx context.Context, s Scope) ([]Assignment, error)
	// Offered lists what is for a sensor, at most one of each kind, by Targets.
	Offered(ctx context.Context, s Scope, sensor Sensor) ([]Pack, error)
	// PutOutcome keeps what a sensor says; where it says something new that is an act of the sensor's.
	PutOutcome(ctx context.Context, s Scope, o Outcome) error
	Outcomes(ctx context.Context, s Scope) ([]Outcome, error)
}
