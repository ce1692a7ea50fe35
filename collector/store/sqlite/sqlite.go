// Package sqlite keeps the collector's store in SQLite files, by a pure Go SQLite: one for each operator, and one for what
// is of none.
//
//	DIR/roje.db                 sessions
//	DIR/operators/NAME.db       all that is an operator's
//
// So operators are kept apart by the files' own rights, one that leaves is a file that is deleted, and one that writes
// much holds up no other. An operator's file is made with its first change; until then it reads as empty.
//
// One goroutine writes to a file. It takes all changes that wait, makes them in one transaction, each in a savepoint of
// its own, commits, and only then answers: so concurrent callers share one fsync, and a caller that got nil has its
// change on disk (WAL, synchronous=FULL). Readers run beside it on their own connections and see whole commits only.
//
// Other processes may use the same files at the same time, as `roje-collector token` does beside `serve`; they do not
// get each other's Changes.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/news"
)

// FileName is the name in the folder of the file of what is of no operator; Folder that of the folder with a file for each
// operator.
const (
	FileName = "roje.db"
	Folder   = "operators"
	suffix   = ".db"
)

// DB is a store in a folder. Make it by Open.
type DB struct {
	book.Book
	dir    string
	common *file
	hub    news.Hub

	mu     sync.Mutex
	files  map[string]*file // by operator
	closed bool
}

var _ store.Store = (*DB)(nil)

// Open opens the store in dir, which is made (0700) where it does not exist, and brings its schema up to date. Operators
// that are in the common file, as all of them were until 2026-11, get their own.
func Open(dir string) (*DB, error) {
	if err := os.MkdirAll(filepath.Join(dir, Folder), 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db := &DB{dir: dir, files: map[string]*file{}}
	db.Book = book.Book{Engine: engine{db}}
	var err error
	if db.common, err = openFile(filepath.Join(dir, FileName), &db.hub); err != nil {
		return nil, err
	}
	if err = db.split(); err == nil {
		var operators []string
		if operators, err = db.operators(); err == nil {
			for _, name := range operators {
				if _, err = db.open(name); err != nil {
					break
				}
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// operators are those that have a file.
func (db *DB) operators() (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(db.dir, Folder))
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok {
			names = append(names, name)
		}
	}
	return names, nil // sorted, as ReadDir gives them
}

// path is where an operator's file is. Its name is one that store.For let through.
func (db *DB) path(operator string) string { return filepath.Join(db.dir, Folder, operator+suffix) }

// open returns an operator's file, which is made if it does not exist.
func (db *DB) open(operator string) (*file, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if f := db.files[operator]; f != nil {
		return f, nil
	}
	if db.closed {
		return nil, errors.New("store: closed")
	}
	f, err := openFile(db.path(operator), &db.hub)
	if err == nil {
		db.files[operator] = f
	}
	return f, err
}

// found returns an operator's file or, where it has none, the common one, in which nothing is the operator's.
func (db *DB) found(operator string) (*file, error) {
	if operator == "" {
		return db.common, nil
	}
	db.mu.Lock()
	f := db.files[operator]
	db.mu.Unlock()
	if f != nil {
		return f, nil
	}
	if _, err := os.Stat(db.path(operator)); errors.Is(err, fs.ErrNotExist) { // another process may make it at any time
		return db.common, nil
	}
	return db.open(operator)
}

// change runs do in the next transaction of s's file.
func (db *DB) change(s store.Scope, do func(*tx) error) error {
	if s == (store.Scope{}) {
		return db.common.change(do)
	}
	f, err := db.open(s.Operator())
	if err != nil {
		return err
	}
	return f.change(do)
}

// all are the files, with their operators, in order; the common one is the first.
func (db *DB) all() (operators []string, files []*file) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for name := range db.files {
		operators = append(operators, name)
	}
	slices.Sort(operators)
	files = append(files, db.common)
	for _, name := range operators {
		files = append(files, db.files[name])
	}
	return append([]string{""}, operators...), files
}

// Close ends the writers and closes the files. Changes that were answered are on disk.
func (db *DB) Close() error {
	db.mu.Lock()
	db.closed = true
	db.mu.Unlock()
	_, files := db.all()
	var errs []error
	for _, f := range files {
		errs = append(errs, f.close())
	}
	db.hub.Close()
	return errors.Join(errs...)
}

// Backup implements store.Store. The files of the operators go to a folder beside path, by the name that it has here.
func (db *DB) Backup(ctx context.Context, path string) (err error) {
	beside := filepath.Join(filepath.Dir(path), Folder)
	for _, name := range []string{path, beside} {
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("backup: %s: %w", name, os.ErrExist)
		}
	}
	if err := os.Mkdir(beside, 0o700); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("backup: %w", err), os.RemoveAll(beside), os.RemoveAll(path))
		}
	}()
	operators, files := db.all()
	for i, f := range files {
		to := path
		if operators[i] != "" {
			to = filepath.Join(beside, operators[i]+suffix)
		}
		if err := f.backup(ctx, to); err != nil {
			return err
		}
	}
	return nil
}

// Ready implements store.Store.
func (db *DB) Ready(ctx context.Context) error {
	_, files := db.all()
	for _, f := range files {
		if err := f.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Subscribe implements store.Store.
func (db *DB) Subscribe(s store.Scope) (<-chan store.Change, func()) { return db.hub.Subscribe(s) }

// engine is how Book sees the files.
type engine struct{ *DB }

func (e engine) Dialect() book.Dialect { return book.Dialect{Find: "instr", Unhinge: "+"} }

func (e engine) Reader(s store.Scope) book.Reader {
	f, err := e.found(s.Operator())
	if err != nil {
		return broken{err}
	}
	return reader{f.read}
}

func (e engine) Change(_ context.Context, s store.Scope, do func(book.Tx) error) error {
	return e.change(s, func(t *tx) error { return do(t) })
}

// broken reads nothing of a file that cannot be opened.
type broken struct{ err error }

func (b broken) Query(context.Context, string, ...any) (book.Rows, error) { return nil, b.err }

type reader struct{ db *sql.DB }

func (r reader) Query(ctx context.Context, query string, args ...any) (book.Rows, error) {
	rows, err := r.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, known(err)
	}
	return rows, nil
}

// Query implements book.Reader.
func (t *tx) Query(ctx context.Context, query string, args ...any) (book.Rows, error) {
	s, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}
