package store

import (
	"context"
	"time"
)

// A Role is what a user may do; what that means is decided where it is asked.
type Role string

// The roles.
const (
	Viewer   Role = "viewer"
	Analyst  Role = "analyst"
	Engineer Role = "engineer"
	Admin    Role = "admin"
	Auditor  Role = "auditor"  // reads who did what, and whether evidence is whole; no alerts
	Platform Role = "platform" // keeps the installation well; sees health, and no alert
	CERT     Role = "cert"     // reads what was released, by TAXII, and nothing else
	// CERTAnalyst is a person at a CERT: reads what was released, and writes to the operator about it.
	CERTAnalyst Role = "cert-analyst"
)

// A User is a person, or a program that reads for one.
type User struct {
	Name       string     `json:"name"`
	Role       Role       `json:"role"`
	Hash       string     `json:"-"` // argon2id, in the usual $argon2id$ form
	MustChange bool       `json:"must_change"`
	Disabled   bool       `json:"disabled"`
	Created    time.Time  `json:"created"`
	SignedIn   *time.Time `json:"signed_in,omitempty"`
	Language   string     `json:"language,omitempty"`
	// Subject is who an identity provider says the user is, "issuer subject"; "" is a local account.
	Subject string `json:"subject,omitempty"`
	// Ceiling is the strictest level that a cert account is shown; "" is any.
	Ceiling TLP `json:"ceiling,omitempty"`
	// CERT is whose account a cert account is, by the name under which that CERT has its own collector, and Compare what
	// it may compare there with what it sees at other operators: the operator's consent.
	CERT    string  `json:"cert,omitempty"`
	Compare Compare `json:"compare,omitempty"`
	// Proof is what package account keeps of a second factor and of a sealed account. SwapProof alone changes it.
	Proof string `json:"-"`
}

// Compare is what of an operator's a CERT may lay beside what it has of others. The zero value is nothing.
type Compare string

// What may be compared.
const (
	// CompareReleased: alerts that were released to the account, up to its ceiling.
	CompareReleased Compare = "released"
	// CompareActs: these, and of all others the rule, the technique, the severity, the times and the number of sites.
	CompareActs Compare = "acts"
)

// A Consent is an operator's word that a CERT may compare, as one of the CERT's accounts has it.
type Consent struct {
	Account string
	Ceiling TLP // as User.Ceiling
	Compare Compare
}

// Users is who may sign in.
type Users interface {
	// PutUser makes or replaces a user; who did it is recorded as an act.
	PutUser(ctx context.Context, s Scope, u User, who string, at time.Time) error
	GetUser(ctx context.Context, s Scope, name string) (User, error)
	ListUsers(ctx context.Context, s Scope) ([]User, error)
	// Consents lists what the operator lets a CERT compare, by account. An account that is disabled, or is no cert account
	// any more, consents to nothing.
	Consents(ctx context.Context, s Scope, cert string) ([]Consent, error)
	// SwapProof sets a user's proof to is where it is still was, and records act, if it has a What, with that. ErrChanged:
	// it is not was any more, or there is no such user; nothing was done. So what may be used once is used once, whoever
	// tries at the same time.
	SwapProof(ctx context.Context, s Scope, name, was, is string, act Act) error
	// SignedIn records a sign-in.
	SignedIn(ctx context.Context, s Scope, name string, at time.Time) error
}

// Sessions keeps sign-ins under the hash of their token. It fits github.com/alexedwards/scs/v2's Store.
type Sessions interface {
	Find(token string) (data []byte, found bool, err error)
	Commit(token string, data []byte, expiry time.Time) error
	Delete(token string) error
	// Prune forgets the sessions that have ended.
	Prune() error
}
