// Package store is what the collector remembers: alerts and what people did with them, the sensors and their streams,
// tokens, users, and what was released to a CERT. Store is the interface; collector/store/sqlite keeps it in a folder,
// and collector/store/storetest is the suite that every implementation passes.
//
// Nothing is read or written without a Scope, and a Scope cannot be had without an operator, so no caller can forget
// whose data it handles. Every key begins with the operator. Sessions are the one exception: their keys are secrets of
// 256 bits that nobody can guess across operators.
//
// All times are arguments: the store reads no clock. Times are kept to the nanosecond and returned in UTC; the time of
// a release is a distinct millisecond (see Release).
//
// All methods are safe for concurrent use. An error that a caller can act on is one of the Err values below, wrapped.
package store

import (
	"errors"
	"fmt"

	"github.com/roje-ot/roje/rules/batch"
)

// The errors that a caller can act on.
var (
	ErrNotFound = errors.New("not found")
	ErrNoScope  = errors.New("no operator given")
	ErrExists   = errors.New("exists already")
	ErrToken    = errors.New("token cannot be used") // wrapped by a text that says why
	ErrForked   = errors.New("two different envelopes claim the same numbers")
	ErrChanged  = errors.New("it has changed meanwhile")
	ErrCursor   = errors.New("cursor is not one that this list gave out")
	ErrFull     = errors.New("no space left for the store")
)

// A Scope is whose data a call may see and change. The zero Scope is refused by every call.
type Scope struct{ operator string }

// For returns the scope of one operator.
func For(operator string) (Scope, error) {
	if operator == "" {
		return Scope{}, ErrNoScope
	}
	if err := batch.CheckName("an operator", operator); err != nil {
		return Scope{}, err
	}
	return Scope{operator}, nil
}

// Operator returns the operator's name, "" only for the zero Scope.
func (s Scope) Operator() string { return s.operator }

// Check returns ErrNoScope for the zero Scope.
func (s Scope) Check() error {
	if s.operator == "" {
		return fmt.Errorf("store: %w", ErrNoScope)
	}
	return nil
}
