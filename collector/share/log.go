package share

import (
	"context"
	"encoding/json"
	"time"
)

// A Log keeps what was shared, in order and for ever. Any goroutine may call it.
type Log interface {
	// Read returns the entries of a feed that q asks for, in order of Added, and whether there are more than q.Limit.
	Read(ctx context.Context, feed string, q Query) (entries []Entry, more bool, err error)
}

// An Entry is one object in the log.
type Entry struct {
	Added   time.Time // unique, in whole milliseconds
	ID      string
	Type    string
	Version time.Time // modified or created; Added for an object that has neither
	Body    json.RawMessage
}

// A Query is a TAXII filter (TAXII 2.1 §3.4). Members that are empty do not restrict.
type Query struct {
	After    time.Time // only what was added later than this
	IDs      []string
	Types    []string
	Versions Versions
	Limit    int // at most so many; at least 1
}

// Versions is match[version]: which of an object's versions. The zero value means the last.
type Versions struct {
	All, First, Last bool
	At               []time.Time
}

// OrLast is v, or the last version where v asks for nothing.
func (v Versions) OrLast() Versions {
	if !v.All && !v.First && len(v.At) == 0 {
		v.Last = true
	}
	return v
}
