package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/news"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// A file is one database: an operator's, or that of what is of no operator.
type file struct {
	read *sql.DB
	jobs chan *job
	quit chan struct{} // closed by close
	done chan struct{} // closed when the writer has ended
	once sync.Once
	hub  *news.Hub // of the store
}

// openFile opens a database, which is made (0600) where it does not exist, and brings its schema up to date.
func openFile(path string, hub *news.Hub) (*file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // made here so that nobody else may read it
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	f.Close()
	w, err := sql.Open("sqlite", dsn(path, "_txlock=immediate"))
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	w.SetMaxOpenConns(1)
	conn, err := connect(w)
	if err == nil {
		err = migrate(conn)
	}
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("open store %s: %w", path, known(err))
	}
	r, err := sql.Open("sqlite", dsn(path, "_pragma=query_only(1)"))
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	r.SetMaxIdleConns(8)
	db := &file{read: r, jobs: make(chan *job), quit: make(chan struct{}), done: make(chan struct{}), hub: hub}
	go db.write(w, conn)
	return db, nil
}

// patience is how long a lock that another holds is waited for.
const patience = 15 * time.Second

// connect opens the connection of the writer. Of those that turn one new file into WAL mode at once, SQLite tells all but
// one that it is locked, and lets them not wait: a read lock would have to become the exclusive one. They ask again.
func connect(w *sql.DB) (conn *sql.Conn, err error) {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err = w.Conn(context.Background())
		var e *driver.Error
		if err == nil || !errors.As(err, &e) || e.Code() != lib.SQLITE_BUSY || time.Now().After(end) {
			return conn, err
		}
	}
}

func dsn(path, more string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	u.RawQuery = fmt.Sprintf("_pragma=busy_timeout(%d)", patience.Milliseconds()) + "&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=temp_store(MEMORY)&" + more
	return u.String()
}

// close ends the writer and closes the file. Changes that were answered are on disk.
func (db *file) close() error {
	db.once.Do(func() { close(db.quit) })
	<-db.done
	return db.read.Close()
}

// A job is one caller's change.
type job struct {
	do     func(*tx) error
	answer chan error
}

// A tx is the open transaction, in the hands of the writer's goroutine.
type tx struct {
	conn     *sql.Conn
	stmts    map[string]*sql.Stmt
	changes  []news.Scoped
	counters map[[2]string]int64 // as raised by the job that runs: see Count
}

// Count raises a counter of the operator by one, or to least if that is more, and returns it. The database has the new
// value once the job ends.
func (t *tx) Count(operator, name string, least int64) (int64, error) {
	key := [2]string{operator, name}
	n, ok := t.counters[key]
	if !ok {
		err := t.row(`SELECT value FROM counters WHERE operator = ? AND name = ?`, []any{operator, name}, &n)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, err
		}
	}
	n = max(n+1, least)
	t.counters[key] = n
	return n, nil
}

// keepCounters writes what Count has raised.
func (t *tx) keepCounters() error {
	for key, n := range t.counters {
		if _, err := t.Exec(`INSERT INTO counters (operator, name, value) VALUES (?, ?, ?) ON CONFLICT (operator, name) DO UPDATE SET value = excluded.value`, key[0], key[1], n); err != nil {
			return err
		}
	}
	clear(t.counters)
	return nil
}

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if s := t.stmts[query]; s != nil {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err == nil {
		t.stmts[query] = s
	}
	return s, err
}

// Exec runs a statement and returns how many rows it changed.
func (t *tx) Exec(query string, args ...any) (int64, error) {
	s, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	res, err := s.Exec(args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Tell implements book.Tx: it has c published once the transaction is committed.
func (t *tx) Tell(operator string, c store.Change) {
	t.changes = append(t.changes, news.Scoped{Operator: operator, Change: c})
}

// row reads one row; sql.ErrNoRows where there is none.
func (t *tx) row(query string, args []any, into ...any) error {
	s, err := t.stmt(query)
	if err != nil {
		return err
	}
	return s.QueryRow(args...).Scan(into...)
}

// change runs do in the next transaction and returns when it is on disk, or an error and nothing was changed.
func (db *file) change(do func(*tx) error) error {
	j := &job{do: do, answer: make(chan error, 1)}
	select {
	case db.jobs <- j:
		return <-j.answer
	case <-db.quit:
		return errors.New("store: closed")
	}
}

// most is how many changes share one commit at most.
const most = 64

// write is the writer: it owns conn.
func (db *file) write(w *sql.DB, conn *sql.Conn) {
	defer close(db.done)
	defer w.Close()
	defer conn.Close()
	t := &tx{conn: conn, stmts: map[string]*sql.Stmt{}, counters: map[[2]string]int64{}}
	defer func() {
		for _, s := range t.stmts { // or the file stays open: database/sql leaves the statements of a Conn to their owner
			s.Close()
		}
	}()
	for {
		var group []*job
		select {
		case j := <-db.jobs:
			group = append(group, j)
		case <-db.quit:
			return
		}
	gather:
		for len(group) < most {
			select {
			case j := <-db.jobs:
				group = append(group, j)
			default:
				break gather
			}
		}
		db.commit(t, group)
	}
}

// commit makes the changes of group in one transaction and answers each. One that is alone needs no savepoint, which would
// have SQLite copy every page before it changes.
func (db *file) commit(t *tx, group []*job) {
	t.changes = t.changes[:0]
	errs := make([]error, len(group))
	err := t.run("BEGIN IMMEDIATE")
	for i, j := range group {
		if err == nil && len(group) > 1 {
			err = t.run("SAVEPOINT job")
		}
		if err != nil {
			break
		}
		told := len(t.changes)
		clear(t.counters)
		if errs[i] = j.do(t); errs[i] == nil {
			errs[i] = t.keepCounters()
		}
		if len(group) == 1 {
			err = errs[i]
			break
		}
		if errs[i] != nil {
			t.changes = t.changes[:told]
			if err = t.run("ROLLBACK TO job"); err != nil { // the transaction is gone with the savepoint: a full disk
				err = errs[i]
				break
			}
		}
		err = t.run("RELEASE job")
	}
	if err == nil {
		err = t.run("COMMIT")
	}
	if err != nil {
		t.run("ROLLBACK") //nolint: what was begun is undone either way
		t.changes = t.changes[:0]
	}
	db.hub.Publish(t.changes)
	for i, j := range group {
		if err != nil && errs[i] == nil {
			errs[i] = err
		}
		j.answer <- known(errs[i])
	}
}

func (t *tx) run(sql string) error {
	_, err := t.conn.ExecContext(context.Background(), sql)
	return err
}

// known turns the driver's errors into those of the store.
func known(err error) error {
	var e *driver.Error
	if errors.As(err, &e) {
		switch {
		case e.Code() == lib.SQLITE_FULL, strings.Contains(e.Error(), "no space left"):
			return fmt.Errorf("%w: %w", store.ErrFull, err)
		case e.Code() == lib.SQLITE_IOERR_WRITE || e.Code() == lib.SQLITE_IOERR_SHMSIZE || e.Code() == lib.SQLITE_IOERR_FSYNC:
			return fmt.Errorf("write failed (is the disk full?): %w", err)
		}
	}
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	return err
}

// backup writes a consistent copy to path.
func (db *file) backup(ctx context.Context, path string) error {
	conn, err := db.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "PRAGMA query_only(0)"); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "VACUUM INTO ?", path)
	if _, e := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA query_only(1)"); err == nil {
		err = e
	}
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		os.Remove(path)
		return known(err)
	}
	return nil
}

// ready returns nil if the file can be read and written.
func (db *file) ready(ctx context.Context) error {
	var n int
	if err := db.read.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM counters LIMIT 1)").Scan(&n); err != nil {
		return fmt.Errorf("store: read: %w", err)
	}
	if err := db.change(func(*tx) error { return nil }); err != nil {
		return fmt.Errorf("store: write: %w", err)
	}
	return nil
}
