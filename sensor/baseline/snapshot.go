package baseline

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.etcd.io/bbolt"
)

// Flush writes what has changed. A crash loses what was learned since the last Flush.
func (b *Baseline) Flush() error { return b.Snapshot()() }

// A snapshot is what has changed, by the keys of the file. It owns its memory.
type snapshot struct {
	items    map[string]*Item
	gone     []string // keys of items that are deleted, unless they are among items
	courses  rows
	versions []Version // all
	texts    map[int][]byte
}

// rows are rows of package course, by table and key.
type rows map[string]map[string][]byte

func (r rows) put(table string, key, value []byte) {
	if r[table] == nil {
		r[table] = map[string][]byte{}
	}
	r[table][string(key)] = value
}

// unwritten is a snapshot that the disk did not take, until one that it takes.
type unwritten struct {
	mu   sync.Mutex
	left *snapshot
}

// take returns what was left, once.
func (u *unwritten) take() *snapshot {
	u.mu.Lock()
	defer u.mu.Unlock()
	left := u.left
	u.left = nil
	return left
}

// onto puts what has changed since s over it.
func (s *snapshot) onto(later *snapshot) {
	if s == nil {
		return
	}
	for _, key := range later.gone {
		delete(s.items, key)
	}
	maps.Copy(s.items, later.items)
	for table, all := range later.courses {
		for key, value := range all {
			s.courses.put(table, []byte(key), value)
		}
	}
	texts := maps.Clone(s.texts)
	if texts == nil {
		texts = map[int][]byte{}
	}
	maps.Copy(texts, later.texts)
	later.items, later.courses, later.texts, later.gone = s.items, s.courses, texts, append(s.gone, later.gone...)
}

// Snapshot takes what has changed since the last one, on the goroutine that owns b. The function it returns writes that
// in one transaction, unless it is very much, and may run on another goroutine, one at a time and in order. What it could not write is part of
// the next snapshot.
func (b *Baseline) Snapshot() func() error {
	if b.db == nil || b.readOnly {
		return func() error { return nil }
	}
	s := &snapshot{items: map[string]*Item{}, gone: b.gone, courses: rows{}, versions: slices.Clone(b.versions), texts: b.texts}
	b.each(func(it *Item, m *mark) {
		if m.dirty {
			s.items[it.Key()] = it
			m.dirty = false
		}
	})
	b.courses.Dirty(s.courses.put)
	b.gone, b.texts = nil, nil
	db, left := b.db, &b.unwritten
	left.take().onto(s)
	return func() error {
		err := s.store(db)
		if err != nil {
			left.mu.Lock()
			left.left = s
			left.mu.Unlock()
		}
		return err
	}
}

// A transaction holds at most bulk rows. What it rewrites takes new room in the file until it is over, so that all rows of
// full tables at once would take twice the room of the tables.
const bulk = 8192

// filled is how full pages are left by rows that come sorted and in bulk.
const filled = 0.9

// store writes s: in one transaction, or where it has more rows than bulk in several. Between these a crash leaves some rows
// as they were; what is deleted and the versions come last.
func (s *snapshot) store(db *bbolt.DB) error {
	if len(s.items) == 0 && len(s.gone) == 0 && len(s.texts) == 0 && len(s.courses) == 0 {
		return nil
	}
	rows := s.sorted()
	for len(rows) > bulk {
		if err := update(db, func(tx *bbolt.Tx) error { return put(tx, rows[:bulk], filled) }); err != nil {
			return err
		}
		rows = rows[bulk:]
	}
	return update(db, func(tx *bbolt.Tx) error {
		if err := put(tx, rows, bbolt.DefaultFillPercent); err != nil {
			return err
		}
		items := tx.Bucket(itemBucket)
		for _, key := range s.gone {
			if s.items[key] == nil {
				if err := items.Delete([]byte(key)); err != nil {
					return err
				}
			}
		}
		return storeVersions(tx, s.versions, s.texts)
	})
}

func update(db *bbolt.DB, f func(*bbolt.Tx) error) error {
	err := db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucketIfNotExists(itemBucket); err != nil {
			return err
		}
		if err := errors.Join(meta.Put(schemaKey, []byte(schema)), meta.Put(valuesKey, []byte(schema))); err != nil {
			return err
		}
		return f(tx)
	})
	if err != nil {
		return fmt.Errorf("write baseline: %w", err)
	}
	return nil
}

// A row is what is put under a key of a bucket: an item as JSON, or the bytes that package course made.
type row struct {
	bucket, key string
	item        *Item
	value       []byte
}

// sorted returns the rows of s by bucket and key.
func (s *snapshot) sorted() []row {
	all := make([]row, 0, len(s.items))
	for _, table := range slices.Sorted(maps.Keys(s.courses)) {
		for _, key := range slices.Sorted(maps.Keys(s.courses[table])) {
			all = append(all, row{bucket: table, key: key, value: s.courses[table][key]})
		}
	}
	for _, key := range sortedKeys(s.items) {
		all = append(all, row{bucket: string(itemBucket), key: key, item: s.items[key]})
	}
	return all
}

func put(tx *bbolt.Tx, rows []row, fill float64) error {
	for i := range rows {
		r := &rows[i]
		bucket, err := tx.CreateBucketIfNotExists([]byte(r.bucket))
		if err != nil {
			return err
		}
		bucket.FillPercent = fill
		value := r.value
		if r.item != nil {
			if value, err = json.Marshal(r.item); err != nil {
				return err
			}
		}
		if err := bucket.Put([]byte(r.key), value); err != nil {
			return err
		}
	}
	return nil
}
