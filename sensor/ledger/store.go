package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// FileName is the store's file in the sensor's state folder.
const FileName = "ledger.db"

// Budget is what a store may take on disk by default.
const Budget = 256 << 20

const (
	lockWait = 10 * time.Second       // for somebody who reads the file
	pause    = 250 * time.Millisecond // between commits, so that others can read
	mostWait = 8192                   // records that wait for the disk; the ledger waits beyond
	overhead = 24                     // bytes that the file needs for a record beside its key and value, and its share of pages
)

var (
	bucketRecords = []byte("records") // number, big endian: SHA-256 of the one before and this text, then the text
	bucketMeta    = []byte("meta")
	keyAnchor     = []byte("anchor") // hash of the last record that made room
	keyHead       = []byte("head")   // number and hash of the newest record
	keyBytes      = []byte("bytes")  // what the records take
)

// A Store keeps records on disk, the newest that fit into its budget. Each is chained to the one before by SHA-256, so
// that one that was removed or changed shows; only the oldest go, and the chain then begins at their last hash. The file
// is locked only while it is written: others can search it meanwhile. Keep may be called by one goroutine.
type Store struct {
	path   string
	budget int64
	key    ed25519.PrivateKey // seals the head each day; nil for no seals
	former []ed25519.PrivateKey
	now    func() time.Time
	texts  chan []byte
	ended  sync.WaitGroup
	failed error       // of the last commit; read after Close
	sealed atomic.Bool // there may be seals that were not handed over

	stranger string // see Stranger; it is set before OpenStore returns

	memory  sync.Mutex // guards unsaved
	unsaved *Memory
}

// OpenStore opens the store at path, a new one if there is none. A budget of 0 is Budget. The head of the chain is sealed
// with key with the first record of each day and at the end; nil for no seals. Where the newest seal is by another key, it
// is sealed at once; former are the keys that the sensor had, so that the one before introduces it.
func OpenStore(path string, budget int64, key ed25519.PrivateKey, former ...ed25519.PrivateKey) (*Store, error) {
	if budget == 0 {
		budget = Budget
	}
	s := &Store{path: path, budget: budget, key: key, former: former, now: time.Now, texts: make(chan []byte, mostWait)}
	s.sealed.Store(true)
	if err := s.commit(nil); err != nil {
		return nil, err
	}
	s.ended.Go(s.write)
	return s, nil
}

// Keep puts r on its way to the disk. It does not wait for it.
func (s *Store) Keep(r *Record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("ledger record: %w", err)
	}
	s.texts <- text
	return nil
}

// Close writes what waits, and returns the error that kept something from being written.
func (s *Store) Close() error {
	close(s.texts)
	s.ended.Wait()
	return s.failed
}

// write commits what waits together. What the disk does not take is tried again with the next record, and at the end.
func (s *Store) write() {
	var group [][]byte
	for text := range s.texts {
		group = append(group, text)
		for more := true; more && len(group) < mostWait; {
			select {
			case text, ok := <-s.texts:
				if more = ok; ok {
					group = append(group, text)
				}
			default:
				more = false
			}
		}
		if s.failed = s.commit(group); s.failed == nil {
			group = group[:0]
		}
		if len(group) < mostWait {
			time.Sleep(pause)
		}
	}
	if len(group) > 0 || s.key != nil {
		s.failed = s.put(group, true)
	}
}

func (s *Store) commit(texts [][]byte) error { return s.put(texts, false) }

// put appends texts and seals the head, where the day or the end asks for that, in one transaction.
func (s *Store) put(texts [][]byte, closing bool) error {
	return s.update(func(tx *bolt.Tx, records, meta *bolt.Bucket) error {
		records.FillPercent = 0.95 // numbers only grow
		if err := s.append(records, meta, texts); err != nil {
			return err
		}
		return s.seal(tx, closing)
	})
}

// update opens the store for writing, for one transaction.
func (s *Store) update(do func(tx *bolt.Tx, records, meta *bolt.Bucket) error) error {
	db, err := bolt.Open(s.path, 0o600, &bolt.Options{Timeout: lockWait})
	if err != nil {
		return fmt.Errorf("ledger %s: %w", s.path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		records, err := tx.CreateBucketIfNotExists(bucketRecords)
		if err != nil {
			return err
		}
		meta, err := tx.CreateBucketIfNotExists(bucketMeta)
		if err != nil {
			return err
		}
		return do(tx, records, meta)
	})
	if err != nil {
		err = fmt.Errorf("ledger %s: %w", s.path, err)
	}
	return errors.Join(err, db.Close())
}

// append chains texts to the records, and lets the oldest go where they need more room than there is.
func (s *Store) append(records, meta *bolt.Bucket, texts [][]byte) error {
	number, last := head(meta)
	size := int64(0)
	if b := meta.Get(keyBytes); len(b) == 8 {
		size = int64(binary.BigEndian.Uint64(b))
	}
	for _, text := range texts {
		number++
		last = link(last, text)
		value := append(append([]byte(nil), last[:]...), text...)
		if err := records.Put(be(number), value); err != nil {
			return err
		}
		size += takes(value)
	}
	c := records.Cursor()
	for k, v := c.First(); k != nil && size > s.budget*3/4; k, v = c.First() {
		size -= takes(v)
		if err := errors.Join(meta.Put(keyAnchor, append([]byte(nil), v[:sha256.Size]...)), c.Delete()); err != nil {
			return err
		}
	}
	return errors.Join(
		meta.Put(keyHead, append(be(number), last[:]...)),
		meta.Put(keyBytes, be(uint64(size))))
}

func be(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func takes(value []byte) int64 { return int64(8 + len(value) + overhead) }

// link is the hash of a record whose predecessor's is before.
func link(before [sha256.Size]byte, text []byte) [sha256.Size]byte {
	return sha256.Sum256(append(before[:], text...))
}

func head(meta *bolt.Bucket) (number uint64, last [sha256.Size]byte) {
	if b := meta.Get(keyHead); len(b) == 8+sha256.Size {
		number = binary.BigEndian.Uint64(b)
		copy(last[:], b[8:])
	}
	return number, last
}

// ErrChain says that a store's records are not those that were written.
var ErrChain = errors.New("the chain of records is broken")

// Read calls each with the text of every record of the store at path, oldest first, and checks the chain on the way: an
// ErrChain comes after all records before the break. It may be called while a Store is open.
func Read(path string, each func(number uint64, text []byte) error) error {
	return view(path, func(_ *bolt.Tx, records, meta *bolt.Bucket) error {
		return walk(records, meta, func(number uint64, _ [sha256.Size]byte, text []byte) error { return each(number, text) })
	})
}

// view opens the store at path for reading.
func view(path string, do func(tx *bolt.Tx, records, meta *bolt.Bucket) error) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ledger: %w", err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: lockWait})
	if err != nil {
		return fmt.Errorf("ledger %s: %w", path, err)
	}
	err = db.View(func(tx *bolt.Tx) error {
		records, meta := tx.Bucket(bucketRecords), tx.Bucket(bucketMeta)
		if records == nil || meta == nil {
			return fmt.Errorf("%w: the file holds no ledger", ErrChain)
		}
		return do(tx, records, meta)
	})
	if err != nil {
		err = fmt.Errorf("ledger %s: %w", path, err)
	}
	return errors.Join(err, db.Close())
}

// walk calls each with every record, and its hash, and checks the chain.
func walk(records, meta *bolt.Bucket, each func(number uint64, hash [sha256.Size]byte, text []byte) error) error {
	var last [sha256.Size]byte
	before := uint64(0)
	if b := meta.Get(keyAnchor); len(b) == len(last) {
		copy(last[:], b)
	}
	newest, want := head(meta)
	c := records.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(k) != 8 || len(v) < len(last) {
			return fmt.Errorf("%w: record %x is too short", ErrChain, k)
		}
		number := binary.BigEndian.Uint64(k)
		if last = link(last, v[len(last):]); !bytes.Equal(last[:], v[:len(last)]) || before != 0 && number != before+1 {
			return fmt.Errorf("%w: record %d does not follow the one before", ErrChain, number)
		}
		before = number
		if err := each(number, last, v[len(last):]); err != nil {
			return err
		}
	}
	if before != newest && !(before == 0 && last == want) || last != want {
		return fmt.Errorf("%w: it ends at record %d, not at %d", ErrChain, before, newest)
	}
	return nil
}
