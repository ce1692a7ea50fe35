package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// A Store remembers. See the package for what holds of every call.
type Store interface {
	Intake
	Alerts
	Releases
	Fleet
	Users
	Keeping
	Chronicle
	Audit
	Evidences
	Packs
	Campaigns
	Cases
	Letters

	// Sessions is where the console keeps its sign-ins; now is its clock, as an ended session is not found.
	Sessions(now func() time.Time) Sessions

	// Subscribe gives the changes to s's alerts from now on, each after its commit. cancel ends it and closes the channel.
	Subscribe(s Scope) (changes <-chan Change, cancel func())

	// Backup writes a copy of everything to path and, where the store has a file for each operator, to a folder beside it,
	// while the store is in use. Neither may exist. What is of one operator is of one moment.
	Backup(ctx context.Context, path string) error
	// Ready returns nil if the store can be read and written.
	Ready(ctx context.Context) error
	Close() error
}

// Intake takes what sensors deliver.
type Intake interface {
	// Ingest commits the records of all batches, which are of one sensor, in one transaction; when it returns without an
	// error they are on disk. Records that the store has seen before, in whatever batch and however long ago, change
	// nothing. ErrForked: a batch claims numbers that an envelope with another hash has claimed; nothing was committed.
	Ingest(ctx context.Context, s Scope, sensor string, batches []Batch, received time.Time) (Receipt, error)
	// Streams lists what is known of a sensor's streams; sensor "" is all of them, by sensor.
	Streams(ctx context.Context, s Scope, sensor string) ([]Stream, error)
	// Records lists the records other than alerts of one kind, newest first; sensor "" is all of them.
	Records(ctx context.Context, s Scope, kind, sensor, cursor string, limit int) ([]Record, string, error)
}

// A Batch is an envelope whose signature was verified, with its records.
type Batch struct {
	batch.Header
	Hash    batch.Hash
	Records []batch.Record
}

// A Receipt is what a sensor is told after a commit.
type Receipt struct {
	Ack  map[batch.Lane]uint64 // for each lane of the batches: everything up to this number is committed, or in Want
	Want []Gap                 // numbers that were never received, at most 100, lowest first
	New  int                   // records that were not known before
}

// A Gap is a run of missing numbers of a stream. A loss record may explain it.
type Gap struct {
	Epoch string     `json:"epoch"`
	Lane  batch.Lane `json:"lane"`
	From  uint64     `json:"from"`
	To    uint64     `json:"to"`
}

// A Stream is what was received of one lane of one epoch of a sensor.
type Stream struct {
	Sensor string
	Epoch  string
	Lane   batch.Lane
	High   uint64     // highest number received
	Head   batch.Hash // hash of the envelope that ended with it
	Breaks int        // how often an envelope did not follow the one before it
	Gaps   []Gap
	Offset time.Duration // collector's clock less the sensor's when the last envelope was sealed: its delay included
}

// A Record is a stored record that is no alert.
type Record struct {
	Sensor   string
	Epoch    string
	Lane     batch.Lane
	Seq      uint64
	Kind     string
	Body     json.RawMessage
	Received time.Time
	Fault    string // why an alert could not be read as one
}

// Status is what people have done with an alert.
type Status string

// The statuses.
const (
	New    Status = "new"
	Acked  Status = "ack"
	Closed Status = "closed"
)

// An Alert is the latest a sensor said of it, and what people did with it. Its JSON form is the alert contract with
// more fields.
type Alert struct {
	rules.Alert
	Sensor     string     `json:"sensor"`
	SensorName string     `json:"sensor_name,omitempty"`
	Arrived    time.Time  `json:"arrived"` // when the collector first heard of it; distinct per alert
	Updated    time.Time  `json:"updated"` // when it last did
	Status     Status     `json:"status"`
	StatusBy   string     `json:"status_by,omitempty"`
	StatusAt   *time.Time `json:"status_at,omitempty"`
	TLP        TLP        `json:"tlp,omitempty"`      // of its release, if it is released now
	Released   *time.Time `json:"released,omitempty"` // when it was last released
	Held       bool       `json:"held,omitempty"`     // kept whatever its age
	Body       []byte     `json:"-"`                  // the alert as the sensor wrote it
}

// An Order is how alerts are listed; always the newest first.
type Order uint8

// The orders.
const (
	ByArrival Order = iota // Alert.Arrived: never changes, so lists do not reorder under the reader
	ByTime                 // Alert.Last, packet time
)

// A Filter picks alerts; the zero Filter picks all.
type Filter struct {
	Severity    []rules.Severity // any of them
	MinSeverity rules.Severity
	Rule        string
	Sensor      string
	Proto       string
	Incident    string
	Host        string    // part of the client or the server, case ignored
	Text        string    // part of the title, the client or the server, case ignored
	Since       time.Time // Last is not before
	Until       time.Time // First is before
	Status      []Status  // any of them
	Released    *bool
	Order       Order
}

// Alerts is the queue.
type Alerts interface {
	// ListAlerts returns at most limit alerts (1 to 1000) after cursor, which is "" or what the page before returned. The
	// cursor it returns is "" after the last page. A page before that may be short, or even empty: where a filter picks by
	// what has no index, as a text, a page looks at a part of the history only, so that none costs more the longer that is.
	ListAlerts(ctx context.Context, s Scope, f Filter, cursor string, limit int) ([]Alert, string, error)
	GetAlert(ctx context.Context, s Scope, id string) (Alert, error)
	// CountAlerts counts by severity, status and rule what f picks; its cost grows with what is picked.
	CountAlerts(ctx context.Context, s Scope, f Filter) (Counts, error)
	// SetStatus is recorded as an act of who. Setting what is set already changes nothing.
	SetStatus(ctx context.Context, s Scope, id string, status Status, who string, at time.Time) error
	// Acts lists what people did with an alert or, for id "", at all: newest first, at most limit.
	Acts(ctx context.Context, s Scope, id string, limit int) ([]Act, error)
}

// Counts is how many alerts there are.
type Counts struct {
	Total    int
	Severity map[rules.Severity]int
	Status   map[Status]int
	Rule     map[string]int
}

// An Act is something a person did.
type Act struct {
	At     time.Time `json:"at"`
	Who    string    `json:"who"`
	What   string    `json:"what"`   // status, release, retract, letter, letter-answer, letter-fetch, hold, unhold, evidence, enrol, renew, join, approved, rejected, deny, allow, user, token, and those of package account
	Object string    `json:"object"` // the alert's, sensor's, user's or token's id
	Detail string    `json:"detail,omitempty"`
}

// A Change is news of an alert.
type Change struct {
	What    string         `json:"what"` // new, updated, status, released, retracted
	ID      string         `json:"id"`
	Arrived time.Time      `json:"arrived"`
	Level   rules.Severity `json:"severity"`
	Missed  bool           `json:"missed,omitempty"` // changes before this one were dropped as the reader was slow: read the list anew
}
