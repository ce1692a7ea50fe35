package share

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/roje-ot/roje/collector/store"
	_ "modernc.org/sqlite" // the driver
)

// A Shelf is a Log in a SQLite file. It follows the store's releases: what it holds can be made anew from them, at new
// dates, which costs every client one more reading and nothing else. One process writes it.
type Shelf struct {
	db *sql.DB
	mu sync.Mutex // one writer at a time, so that dates are in the order of commits
}

var _ Log = (*Shelf)(nil)

// The columns added and version are Unix microseconds; added is a whole millisecond. version is 0 for an object without
// versions.
const shelfSchema = `
CREATE TABLE IF NOT EXISTS shared (
	operator TEXT NOT NULL, -- and who gets it: see Recipient.Feed
	added    INTEGER NOT NULL,
	id       TEXT NOT NULL,
	type     TEXT NOT NULL,
	version  INTEGER NOT NULL,
	body     TEXT NOT NULL,
	PRIMARY KEY (operator, added)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS shared_id ON shared (operator, id, version);
CREATE TABLE IF NOT EXISTS followed (
	operator TEXT NOT NULL PRIMARY KEY,
	cursor   TEXT NOT NULL
) WITHOUT ROWID;`

// OpenShelf opens the file, or makes it.
func OpenShelf(path string) (*Shelf, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // made here so that nobody else may read it
	if err != nil {
		return nil, fmt.Errorf("open shared objects: %w", err)
	}
	f.Close()
	query := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if _, err := db.Exec(shelfSchema); err != nil {
		db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &Shelf{db: db}, nil
}

// Close closes the file.
func (s *Shelf) Close() error { return s.db.Close() }

// Backup writes a copy to path, which must not exist, while the shelf is in use.
func (s *Shelf) Backup(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("back up shared objects: %w", err)
	}
	f.Close() // an empty file is filled
	if _, err := s.db.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	return nil
}

// Follow takes over, for a recipient, every release that it has not seen yet. now is asked once for each: objects get the
// millisecond of now, or the next free one.
func (s *Shelf) Follow(ctx context.Context, from Releases, scope store.Scope, to Recipient, now func() time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	feed := to.Feed(scope.Operator())
	var cursor string
	err := s.db.QueryRowContext(ctx, "SELECT cursor FROM followed WHERE operator = ?", feed).Scan(&cursor)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("follow releases: %w", err)
	}
	var seen *sight
	for {
		const page = 100
		released, next, err := from.ListReleased(ctx, scope, store.ReleaseFilter{All: true, Groups: true, AddedAfter: sinceText(cursor)}, "", page)
		if err != nil {
			return fmt.Errorf("follow releases: %w", err)
		}
		if seen == nil && len(released) > 0 {
			if seen, err = see(ctx, from, scope, to); err != nil {
				return fmt.Errorf("follow releases: %w", err)
			}
		}
		for _, r := range released {
			cursor = r.Added.UTC().Format(time.RFC3339Nano)
			var objects []Object
			as, ok, err := seen.of(ctx, r)
			if ok {
				objects = as.objects(scope.Operator())
			}
			if err == nil {
				err = s.append(ctx, feed, cursor, now(), objects)
			}
			if err != nil {
				return fmt.Errorf("follow releases: %w", err)
			}
		}
		if next == "" || len(released) == 0 {
			return nil
		}
	}
}

// sinceText reads the date up to which releases were followed; the zero time where none were.
func sinceText(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// append adds the objects that are not there yet and remembers the cursor, in one transaction.
func (s *Shelf) append(ctx context.Context, operator, cursor string, now time.Time, objects []Object) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var last int64
	if err := tx.QueryRow("SELECT coalesce(max(added), 0) FROM shared WHERE operator = ?", operator).Scan(&last); err != nil {
		return err
	}
	added := max(now.UnixMilli()*1000, last+1000)
	for _, o := range objects {
		var version int64
		if text := o.Version(); text != "" {
			t, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				return fmt.Errorf("version of %s: %w", o.ID(), err)
			}
			version = t.UnixMicro()
		}
		result, err := tx.Exec("INSERT INTO shared (operator, added, id, type, version, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (operator, id, version) DO NOTHING",
			operator, added, o.ID(), o.Type(), version, string(o.JSON()))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n > 0 {
			added += 1000
		}
	}
	if _, err := tx.Exec("INSERT INTO followed (operator, cursor) VALUES (?, ?) ON CONFLICT (operator) DO UPDATE SET cursor = excluded.cursor", operator, cursor); err != nil {
		return err
	}
	return tx.Commit()
}

// Read implements Log.
func (s *Shelf) Read(ctx context.Context, operator string, q Query) ([]Entry, bool, error) {
	where := []string{"operator = ?"}
	args := []any{operator}
	if !q.After.IsZero() {
		where, args = append(where, "added > ?"), append(args, q.After.UnixMicro())
	}
	anyOf := func(column string, values []string) {
		if len(values) > 0 {
			where = append(where, column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")")
			for _, v := range values {
				args = append(args, v)
			}
		}
	}
	anyOf("id", q.IDs)
	anyOf("type", q.Types)
	if text, more := versionClause(q.Versions.OrLast()); text != "" {
		where, args = append(where, text), append(args, more...)
	}
	args = append(args, q.Limit+1)
	rows, err := s.db.QueryContext(ctx, "SELECT added, id, type, version, body FROM shared AS s WHERE "+strings.Join(where, " AND ")+" ORDER BY added LIMIT ?", args...)
	if err != nil {
		return nil, false, fmt.Errorf("read shared objects: %w", err)
	}
	defer rows.Close()
	var entries []Entry
	for rows.Next() {
		var e Entry
		var added, version int64
		var body string
		if err := rows.Scan(&added, &e.ID, &e.Type, &version, &body); err != nil {
			return nil, false, fmt.Errorf("read shared objects: %w", err)
		}
		if version == 0 {
			version = added
		}
		e.Added, e.Version, e.Body = time.UnixMicro(added).UTC(), time.UnixMicro(version).UTC(), json.RawMessage(body)
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("read shared objects: %w", err)
	}
	if len(entries) > q.Limit {
		return entries[:q.Limit], true, nil
	}
	return entries, false, nil
}

// versionClause is match[version] in SQL; "" for all of them.
func versionClause(v Versions) (string, []any) {
	if v.All {
		return "", nil
	}
	const other = "NOT EXISTS (SELECT 1 FROM shared AS o WHERE o.operator = s.operator AND o.id = s.id AND o.version %s s.version)"
	var either []string
	var args []any
	if v.First {
		either = append(either, fmt.Sprintf(other, "<"))
	}
	if v.Last {
		either = append(either, fmt.Sprintf(other, ">"))
	}
	for _, at := range v.At {
		either = append(either, "version = ? OR (version = 0 AND added = ?)")
		args = append(args, at.UnixMicro(), at.UnixMicro())
	}
	return "(" + strings.Join(either, " OR ") + ")", args
}
