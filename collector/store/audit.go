package store

import "context"

// Audit is the audit log of an operator, one for all collectors of the store: its entries as they are hashed, and its
// signed roots. Package collector/audit knows what they say; the store keeps them in order, and changes and removes none.
type Audit interface {
	// AppendLeaves adds entries at the end. write is given the place of the first of them, from 0, and the highest number
	// of an act that the log tells of; it returns the entries, and that number with them. No other collector appends from
	// before it is called to the commit. It may be called more than once. An error of write, or no entry, changes nothing.
	AppendLeaves(ctx context.Context, s Scope, write func(n, act int64) (leaves [][]byte, last int64, err error)) error
	// Leaves lists at most limit entries (1 to 1000) from place n on.
	Leaves(ctx context.Context, s Scope, n int64, limit int) ([][]byte, error)
	// AppendCheckpoint adds a signed root.
	AppendCheckpoint(ctx context.Context, s Scope, note []byte) error
	// Checkpoints lists at most limit signed roots (1 to 1000) from place n on, in the order in which they were added.
	Checkpoints(ctx context.Context, s Scope, n int64, limit int) ([][]byte, error)
}
