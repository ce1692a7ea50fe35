package store

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"time"
)

// Fleet is the sensors, their certificates, and the tokens by which they join.
type Fleet interface {
	// CreateToken keeps a token's hash. ErrExists: the id is taken.
	CreateToken(ctx context.Context, s Scope, t Token) error
	// Enrol uses the token up and records the sensor with its certificate, in one transaction. The errors say whether the
	// token is unknown, used or expired, or waits for its approval, all of them ErrToken.
	Enrol(ctx context.Context, s Scope, token string, secret [32]byte, sensor Sensor, cert Cert, at time.Time) error
	// AddCert records another certificate of a sensor, which is an act.
	AddCert(ctx context.Context, s Scope, cert Cert) error
	// FindCert returns a certificate of a sensor by its key (batch.KeyID), the one that expires last.
	FindCert(ctx context.Context, s Scope, sensor, key string) (Cert, error)
	// AskJoin records that a sensor wants to join by a token that a person must approve, and returns what is recorded: asked
	// again with the same key, what became of it. Another key than the first is ErrToken, as is a token that cannot be used.
	AskJoin(ctx context.Context, s Scope, secret [32]byte, j Join) (Join, error)
	// Joins lists those who asked, the last first.
	Joins(ctx context.Context, s Scope) ([]Join, error)
	// JudgeJoin approves or rejects one who waits. ErrNotFound; ErrChanged: it waits no more.
	JudgeJoin(ctx context.Context, s Scope, token string, state JoinState, who string, at time.Time) error
	// Token returns a token, used or not.
	Token(ctx context.Context, s Scope, id string) (Token, error)

	Sensors(ctx context.Context, s Scope) ([]Sensor, error)
	GetSensor(ctx context.Context, s Scope, id string) (Sensor, error)
	// Deny refuses a sensor from now on, with all its certificates; Allow takes that back.
	Deny(ctx context.Context, s Scope, sensor, who string, at time.Time) error
	Allow(ctx context.Context, s Scope, sensor, who string, at time.Time) error
}

// A Token lets one sensor join. The secret itself is never kept.
type Token struct {
	ID      string
	Secret  [32]byte // SHA-256 of the secret
	Site    string   // name that the sensor gets; "" is the one it asks for
	Who     string
	Created time.Time
	Expires time.Time
	Used    *time.Time // nil while it can be used
	Sensor  string     // who used it
	Approve bool       // a person must approve who comes with it
}

// A JoinState is how far one who asked to join has come.
type JoinState string

// The states. A token that was used says by whom.
const (
	Waiting  JoinState = "waiting"
	Approved JoinState = "approved"
	Rejected JoinState = "rejected"
)

// A Join is a sensor that asks to join by a token that a person must approve.
type Join struct {
	Token  string     `json:"token"`
	Key    string     `json:"key"`   // batch.KeyID
	Words  string     `json:"words"` // the key's fingerprint, which the sensor shows too
	Name   string     `json:"name"`  // what it calls itself, or what the token says
	Remote string     `json:"remote"`
	Asked  time.Time  `json:"asked"`
	State  JoinState  `json:"state"`
	Who    string     `json:"who,omitempty"` // who judged it, and when
	At     *time.Time `json:"at,omitempty"`
}

// Usable says why a token, which was found in the store or not, cannot be used with a secret's hash at a time. To who does
// not have the secret, every token is unknown.
func (t *Token) Usable(found bool, secret [32]byte, at time.Time) error {
	switch {
	case !found, subtle.ConstantTimeCompare(t.Secret[:], secret[:]) != 1:
		return fmt.Errorf("%w: it is unknown here", ErrToken)
	case t.Used != nil:
		return fmt.Errorf("%w: it was used on %s; ask for a new one", ErrToken, t.Used.Format(time.RFC3339))
	case !at.Before(t.Expires):
		return fmt.Errorf("%w: it expired on %s; ask for a new one", ErrToken, t.Expires.Format(time.RFC3339))
	}
	return nil
}

// A Sensor is one that joined.
type Sensor struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Enrolled time.Time       `json:"enrolled"`
	Seen     *time.Time      `json:"seen,omitempty"` // when it was last heard of
	Serial   string          `json:"serial"`         // of its latest certificate, hex
	Expires  time.Time       `json:"expires"`        // its latest certificate
	Denied   *time.Time      `json:"denied,omitempty"`
	Health   json.RawMessage `json:"health,omitempty"` // batch.Health, the latest
	Alerts   int             `json:"alerts"`           // how many alerts of it are stored
	Lost     uint64          `json:"lost"`             // records that it said it had to drop
	Gaps     int             `json:"gaps"`             // runs of missing numbers
}

// A Cert is a certificate that the collector's CA gave to a sensor.
type Cert struct {
	Sensor  string
	Serial  string // hex
	Key     string // batch.KeyID of Public
	Public  []byte // Ed25519
	Issued  time.Time
	Expires time.Time
	By      string // who had it renewed, for the record alone; "" is the sensor itself
}
