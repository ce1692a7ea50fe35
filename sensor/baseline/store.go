package baseline

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/roje-ot/roje/sensor/course"
)

const (
	fileName   = "baseline.db"
	schema     = "1"
	lockWait   = 2 * time.Second // for another process to let go of the file
	maxBrokens = 100
)

var (
	itemBucket = []byte("item") // key of an Item -> its JSON
	metaBucket = []byte("meta")
	schemaKey  = []byte("schema")
	valuesKey  = []byte("values") // present where approvals of measured values are kept
)

// A Warning says that the state was not usable and that learning starts anew.
type Warning struct {
	Kept string // where the broken file is
	Err  error  // what is wrong with it
}

func (w *Warning) Error() string {
	return fmt.Sprintf("baseline is broken and was set aside as %s, learning starts anew: %v", w.Kept, w.Err)
}

func (w *Warning) Unwrap() error { return w.Err }

// Open reads the baseline from the state folder dir; an empty dir means memory alone. A broken file is set aside under
// another name; the Warning that then comes with a usable, empty Baseline must be shown to somebody.
func Open(dir string, o Options) (*Baseline, *Warning, error) {
	if dir == "" {
		return empty(o), nil, nil
	}
	path := filepath.Join(dir, fileName)
	if o.ReadOnly {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return empty(o), nil, nil
		}
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the state folder: %w", err)
	}
	b, err := read(path, o)
	if err == nil {
		return b, nil, nil
	}
	var broken *brokenError
	if !errors.As(err, &broken) {
		return nil, nil, err
	}
	if o.ReadOnly {
		return nil, nil, fmt.Errorf("baseline %s: %w", path, err)
	}
	kept, err := setAside(path)
	if err != nil {
		return nil, nil, fmt.Errorf("set the broken baseline aside: %w", err)
	}
	b, err = read(path, o)
	return b, &Warning{kept, broken.err}, err
}

// A brokenError means that the file's content is of no use, unlike a folder that may not be written.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }

// setAside renames the file to the first free name.
func setAside(path string) (string, error) {
	for n := 1; n <= maxBrokens; n++ {
		kept := fmt.Sprintf("%s.broken-%d", path, n)
		if _, err := os.Lstat(kept); errors.Is(err, os.ErrNotExist) {
			return kept, os.Rename(path, kept)
		}
	}
	return "", fmt.Errorf("there are %d broken ones already", maxBrokens)
}

func read(path string, o Options) (*Baseline, error) {
	b := empty(o)
	err := guarded(func() (err error) { b.db, err = open(path, o.ReadOnly); return err })
	if err == nil {
		err = guarded(b.readAll)
	}
	if err != nil {
		if b.db != nil {
			db := b.db
			_ = guarded(db.Close)
		}
		return nil, err
	}
	return b, nil
}

// guarded turns a panic of bbolt, which trusts the pages of its file, into an error.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &brokenError{fmt.Errorf("%v", p)}
		}
	}()
	return f()
}

func open(path string, readOnly bool) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, ReadOnly: readOnly, FreelistType: bbolt.FreelistMapType})
	var system *os.PathError
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("open baseline %s: another process uses it; stop the sensor or ask it", path)
	case errors.As(err, &system):
		return nil, fmt.Errorf("open baseline: %w", err)
	}
	return nil, &brokenError{err}
}

// readAll loads every item.
func (b *Baseline) readAll() error {
	return b.db.View(func(tx *bbolt.Tx) error {
		if info, err := os.Stat(b.db.Path()); err != nil || info.Size() < tx.Size() {
			return &brokenError{fmt.Errorf("file is cut short")}
		}
		meta, items := tx.Bucket(metaBucket), tx.Bucket(itemBucket)
		if meta == nil && items == nil {
			return nil
		}
		if meta == nil || items == nil || string(meta.Get(schemaKey)) != schema {
			return &brokenError{fmt.Errorf("not a baseline of schema %s", schema)}
		}
		if err := b.readVersions(tx); err != nil {
			return err
		}
		if err := b.readItems(items); err != nil {
			return err
		}
		b.recount()
		return b.readCourses(tx)
	})
}

// readCourses loads what is known of values, from buckets named like its tables. A file of before knows no approval of
// values: what was learned of them was enforced with the rest, and still is.
func (b *Baseline) readCourses(tx *bbolt.Tx) error {
	for _, table := range course.Tables() {
		if bucket := tx.Bucket([]byte(table)); bucket != nil {
			if err := bucket.ForEach(func(key, value []byte) error {
				if err := b.courses.Load(table, key, value); err != nil {
					return &brokenError{fmt.Errorf("%s of values %x: %w", table, key, err)}
				}
				return nil
			}); err != nil {
				return err
			}
		}
		if table == course.Approvals && b.knows && tx.Bucket(metaBucket).Get(valuesKey) == nil {
			by := &course.Grant{Who: "the sensor, before values were approved"}
			b.courses.Each(func(v *course.Values) { b.courses.Approve(v.Point, by) })
		}
	}
	return nil
}

// readItems loads the items of a bucket. Most of the work is their JSON, which all cores share.
func (b *Baseline) readItems(bucket *bbolt.Bucket) error {
	var texts [][]byte // the keys and the values, valid as long as the transaction
	if err := bucket.ForEach(func(key, value []byte) error { texts = append(texts, key, value); return nil }); err != nil {
		return err
	}
	items := make([]Item, len(texts)/2)
	errs := make([]error, runtime.GOMAXPROCS(0))
	share := (len(items) + len(errs) - 1) / len(errs)
	var work sync.WaitGroup
	for n := range errs {
		work.Go(func() {
			errs[n] = guarded(func() error {
				for i := n * share; i < min((n+1)*share, len(items)); i++ {
					if err := json.Unmarshal(texts[2*i+1], &items[i]); err != nil {
						return &brokenError{fmt.Errorf("item %q: %w", texts[2*i], err)}
					}
				}
				return nil
			})
		})
	}
	work.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	for i := range items {
		if err := b.load(&items[i]); err != nil {
			return &brokenError{fmt.Errorf("item %q: %w", texts[2*i], err)}
		}
	}
	return nil
}

// Close flushes and lets go of the file.
func (b *Baseline) Close() error {
	if b.db == nil {
		return nil
	}
	return errors.Join(b.Flush(), b.db.Close())
}
