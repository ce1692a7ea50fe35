package store

import "context"

// A NumberedAct is an act with its place in the order of the operator's acts, from 1. Acts are never removed, so the
// numbers have no holes.
type NumberedAct struct {
	N int64
	Act
}

// Chronicle is what people did, in order: for who keeps a record of it elsewhere.
type Chronicle interface {
	// ActsAfter lists at most limit acts (1 to 1000) with numbers above n, lowest first.
	ActsAfter(ctx context.Context, s Scope, n int64, limit int) ([]NumberedAct, error)
}
