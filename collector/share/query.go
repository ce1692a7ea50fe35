package share

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Page sizes: what a client gets that names no limit, and the most any client gets.
const (
	pageDefault = 100
	pageMost    = 1000
)

// matchMost is how many values a filter may have.
const matchMost = 500

// parseQuery reads the filters of a request. An error is the client's, to be answered with 400.
func parseQuery(collection string, form url.Values, allowed ...string) (Query, error) {
	q := Query{Limit: pageDefault}
	if text := form.Get("limit"); form.Has("limit") {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			return q, fmt.Errorf("limit %q is not a whole number above 0", text)
		}
		q.Limit = min(n, pageMost)
	}
	if text := form.Get("added_after"); form.Has("added_after") {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return q, fmt.Errorf("added_after %q is not an RFC 3339 time", text)
		}
		q.After = at
	}
	for name := range form {
		field, isMatch := strings.CutPrefix(name, "match[")
		if field = strings.TrimSuffix(field, "]"); !isMatch || !slices.Contains(allowed, field) {
			continue // TAXII 2.1 §3.4: a filter that is not known is ignored
		}
		values := strings.Split(strings.Join(form[name], ","), ",")
		if len(values) > matchMost {
			return q, fmt.Errorf("match[%s] has %d values, at most %d", field, len(values), matchMost)
		}
		switch field {
		case "id":
			q.IDs = values
		case "type":
			q.Types = values
		case "spec_version":
			if !slices.Contains(values, "2.1") {
				q.Types = []string{""} // everything here is 2.1: nothing matches
			}
		case "version":
			versions, err := parseVersions(values)
			if err != nil {
				return q, err
			}
			q.Versions = versions
		}
	}
	q.Versions = q.Versions.OrLast()
	if next := form.Get("next"); next != "" {
		if c, ok := parseCursor(collection, next); ok {
			c.apply(&q)
		}
	}
	return q, nil
}

func parseVersions(values []string) (v Versions, err error) {
	for _, text := range values {
		switch text {
		case "all":
			v.All = true
		case "first":
			v.First = true
		case "last":
			v.Last = true
		default:
			at, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				return v, fmt.Errorf("match[version] %q is not all, first, last or an RFC 3339 time", text)
			}
			v.At = append(v.At, at)
		}
	}
	return v, nil
}

// A cursor is what `next` holds: where the page ended, and the filters, so that it works whether or not the client
// repeats them. It grants nothing and hides nothing; its checksum tells it from another server's or collection's.
type cursor struct {
	After    int64    `json:"a"` // Unix milliseconds
	IDs      []string `json:"i,omitempty"`
	Types    []string `json:"t,omitempty"`
	Versions Versions `json:"v"`
}

func (q Query) next(collection string, last time.Time) string {
	text, err := json.Marshal(cursor{last.UnixMilli(), q.IDs, q.Types, q.Versions})
	if err != nil {
		panic(err) // strings, numbers and times marshal
	}
	return base64.RawURLEncoding.EncodeToString(append(checksum(collection, text), text...))
}

// parseCursor reads a cursor of this collection. One that is not ours is no error but a start from the beginning:
// OpenCTI's TAXII connector carries the cursor of one collection over to the next.
func parseCursor(collection, next string) (c cursor, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(next)
	if err != nil || len(raw) < checksumLen || !slices.Equal(raw[:checksumLen], checksum(collection, raw[checksumLen:])) {
		return c, false
	}
	return c, json.Unmarshal(raw[checksumLen:], &c) == nil
}

func (c cursor) apply(q *Query) {
	if at := time.UnixMilli(c.After); at.After(q.After) {
		q.After = at
	}
	q.IDs, q.Types, q.Versions = c.IDs, c.Types, c.Versions
}

const checksumLen = 8

func checksum(collection string, text []byte) []byte {
	sum := sha256.Sum256(append([]byte("roje taxii next\x00"+collection+"\x00"), text...))
	return sum[:checksumLen]
}
