// Package spool keeps a sensor's records on disk until its collector has them.
//
//	Append ──▸ lanes: records by number ──Next──▸ one sealed envelope per lane ──Ack──▸ gone
//	              │ over the budget
//	              └──▸ the oldest of the least important lane is dropped; a loss record says so
//
// What Append was given is on disk when it returns nil. What Next seals is on disk too, as the very bytes that travel,
// before Next returns them: after a crash the same envelope is sent again, so the chain of hashes never forks and the
// collector sees a repeat as one. A record leaves the disk when the collector says that it has committed it, or by a drop
// that a loss record names. A sealed envelope is never dropped, and neither is a loss record.
//
// Limits: the budget counts records and envelopes; the file is larger by what bbolt needs for its pages, and it does not
// shrink when it empties. One process has the file open at a time.
package spool

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// FileName is the name of the file in the spool's folder.
const FileName = "spool.db"

// MaxBody is the most bytes a record's body can have.
const MaxBody = 1 << 20

// overhead is what a record costs beside its body: key, time, kind, and its share of pages.
const overhead = 64

// Config is how a spool is kept. The zero value works but for Dir.
type Config struct {
	Dir    string // made (0700) where it does not exist
	Budget int64  // bytes of records and envelopes; 0 is 1 GiB
}

// A Spool is an open one. Its methods are safe for concurrent use.
type Spool struct {
	db     *bbolt.DB
	budget int64
	jobs   chan *job
	quit   chan struct{}
	done   chan struct{} // closed when the writer has ended
	once   sync.Once
	wake   chan struct{}

	mu    sync.Mutex
	state state // as committed; written by the writer, under mu
}

// An Item is a record to be spooled. The body must be one JSON value.
type Item struct {
	Kind string
	Lane batch.Lane
	At   time.Time // packet time, or wall time where the record is about no packet
	Body []byte
}

// Stats is what is in a spool.
type Stats struct {
	Epoch   string
	Bytes   int64               // of the budget
	Waiting [batch.Lanes]uint64 // records that are not sealed, by lane
	Sealed  [batch.Lanes]uint64 // records sealed and not acknowledged, by lane
	Lost    uint64              // records dropped, ever
}

// Records is how many records wait in all.
func (s *Stats) Records() (n uint64) {
	for i := range s.Waiting {
		n += s.Waiting[i] + s.Sealed[i]
	}
	return n
}

// Open opens the spool in a folder or makes it.
func Open(cfg Config) (*Spool, error) {
	if cfg.Budget <= 0 {
		cfg.Budget = 1 << 30
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	path := filepath.Join(cfg.Dir, FileName)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("open spool %s: another process has it open", path)
	case err != nil:
		return nil, fmt.Errorf("open spool %s: %w", path, err)
	}
	db.AllocSize = 1 << 20 // grow by this: 16 MiB, the default, would not fit a small disk
	s := &Spool{db: db, budget: cfg.Budget, jobs: make(chan *job), quit: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1)}
	if err := s.load(); err != nil {
		db.Close()
		return nil, fmt.Errorf("open spool %s: %w", path, err)
	}
	go s.write()
	return s, nil
}

// Close ends the writer and closes the file.
func (s *Spool) Close() error {
	s.once.Do(func() { close(s.quit) })
	<-s.done
	return s.db.Close()
}

// Append puts items on disk, all or none; nil says that they are there. Concurrent callers share a commit. With a full
// disk the error wraps syscall.ENOSPC, nothing was written, and a later call works once there is space again.
func (s *Spool) Append(items ...Item) error {
	for i := range items {
		if err := items[i].check(); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	err := s.run(&job{items: items})
	if err == nil {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return err
}

func (it *Item) check() error {
	switch {
	case it.Lane >= batch.Lanes:
		return fmt.Errorf("lane %d does not exist", it.Lane)
	case it.Kind == "" || len(it.Kind) > 64:
		return fmt.Errorf("kind %.80q has not 1 to 64 bytes", it.Kind)
	case len(it.Body) > MaxBody:
		return fmt.Errorf("%s record of %d bytes is more than %d", it.Kind, len(it.Body), MaxBody)
	case !json.Valid(it.Body):
		return fmt.Errorf("%s record is no JSON: %.80q", it.Kind, it.Body)
	}
	return nil
}

// Wake receives after an Append; several may give one value.
func (s *Spool) Wake() <-chan struct{} { return s.wake }

// Stats says what is in the spool.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Epoch: s.state.Epoch, Bytes: s.state.bytes(), Lost: s.state.Lost}
	for i := range s.state.Lanes {
		l := &s.state.Lanes[i]
		st.Waiting[i] = l.Count
		if l.SealedTo > 0 {
			st.Sealed[i] = l.SealedTo - l.SealedFrom + 1
		}
	}
	return st
}

func newEpoch() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
