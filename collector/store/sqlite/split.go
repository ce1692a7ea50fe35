package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/roje-ot/roje/collector/store/book"
)

// split gives each operator that has rows in the common file a file of its own. What a crash has left half done is done
// again: rows leave the common file only when the operator's is complete, and a file that is there is complete. Other
// processes wait meanwhile.
func (db *DB) split() error {
	lock, err := os.OpenFile(filepath.Join(db.dir, Folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("open store: lock %s: %w", lock.Name(), err)
	}
	operators, err := db.mixed()
	if err != nil || len(operators) == 0 {
		return known(err)
	}
	conn, err := sql.Open("sqlite", dsn(filepath.Join(db.dir, FileName), "_txlock=immediate"))
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetMaxOpenConns(1) // what is attached is attached to it
	for _, name := range operators {
		if err := db.part(conn, name); err != nil {
			return fmt.Errorf("open store: a file for operator %s: %w", name, known(err))
		}
	}
	_, err = conn.Exec("VACUUM") // gives the room back
	return known(err)
}

// mixed are the operators that have rows in the common file.
func (db *DB) mixed() (operators []string, err error) {
	for i := range book.Tables {
		t := &book.Tables[i]
		if !t.Scoped() {
			continue
		}
		rows, err := db.common.read.Query("SELECT DISTINCT operator FROM " + t.Name)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var name string
			if err = rows.Scan(&name); err == nil && !slices.Contains(operators, name) {
				operators = append(operators, name)
			}
		}
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return operators, nil
}

// part moves an operator's rows to a file of its own.
func (db *DB) part(conn *sql.DB, operator string) error {
	path := db.path(operator)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := copyPart(conn, operator, path+".new"); err != nil {
			return errors.Join(err, os.RemoveAll(path+".new"))
		}
		if err := settle(path+".new", path); err != nil {
			return err
		}
	}
	return within(conn, func(tx *sql.Tx) error {
		for i := range book.Tables {
			if t := &book.Tables[i]; t.Scoped() {
				if _, err := tx.Exec("DELETE FROM main."+t.Name+" WHERE operator = ?", operator); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// copyPart copies an operator's rows to a new file.
func copyPart(conn *sql.DB, operator, path string) error {
	if err := blank(path); err != nil {
		return err
	}
	if _, err := conn.Exec("ATTACH DATABASE ? AS apart", path); err != nil {
		return err
	}
	err := within(conn, func(tx *sql.Tx) error {
		for i := range book.Tables {
			t := &book.Tables[i]
			if !t.Scoped() {
				continue
			}
			columns := strings.Join(t.Columns, ", ")
			if _, err := tx.Exec("INSERT INTO apart."+t.Name+" ("+columns+") SELECT "+columns+" FROM main."+t.Name+" WHERE operator = ?", operator); err != nil {
				return err
			}
		}
		return nil
	})
	_, e := conn.Exec("DETACH DATABASE apart")
	return errors.Join(err, e)
}

// blank makes an empty database, anew if there is one.
func blank(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	db, err := sql.Open("sqlite", plainDSN(path))
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	return migrate(conn)
}

// plainDSN is of a file that nobody uses yet: it has no log beside it, so it can be renamed.
func plainDSN(path string) string {
	return strings.Replace(dsn(path, ""), "journal_mode(WAL)", "journal_mode(DELETE)", 1)
}

// settle gives a file that is complete its name.
func settle(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func within(db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
