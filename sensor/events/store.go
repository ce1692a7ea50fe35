package events

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

const (
	blockBytes = 128 << 10 // rows of a block; less where the sensor's own flush comes first
	blocks     = 16        // in memory at most: one that is filled, the others wait for the disk
	parts      = 8         // segments that a full store has, at least
)

// Options are a store's settings. Dir, Bytes and Days must be set.
type Options struct {
	Dir       string
	Bytes     int64 // on disk at most
	Days      int   // after which a segment is dropped whole, so up to an eighth more is kept
	Protocols []*protocols.Protocol
	// Failed hears once why the disk takes nothing, and with nil that it takes again. It may be nil.
	Failed func(error)
}

// A Store takes events and keeps them. Take and Flush belong to one goroutine at a time; the disk belongs to the store's
// own goroutine, and whoever calls Take never waits for it: what finds no room is dropped and counted. A nil *Store takes
// nothing.
type Store struct {
	o     Options
	enc   encoder
	block *block      // that is filled; nil if there is no room
	free  chan *block // room
	full  chan *block // to be written
	done  sync.WaitGroup

	// of the store's own goroutine
	segments []segment
	number   uint64 // of the newest segment there ever was
	file     *os.File
	out      []byte
	failing  bool

	stats struct{ taken, dropped, bytes, oldest atomic.Int64 }
}

type block struct {
	rows []byte
	blockInfo
}

// Open opens a folder, made if need be. Nothing of it is changed: a new segment begins with the first block, and what is
// torn stays as it is for Play to skip.
func Open(o Options) (*Store, error) {
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	segments, err := list(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	s := &Store{o: o, segments: segments, free: make(chan *block, blocks), full: make(chan *block, blocks)}
	for i := range s.segments {
		if err := s.segments[i].span(); err != nil {
			return nil, fmt.Errorf("events: %w", err)
		}
	}
	if n := len(segments); n > 0 {
		s.number = segments[n-1].number
	}
	for range blocks {
		s.free <- &block{}
	}
	s.account()
	s.done.Go(s.write)
	return s, nil
}

// Take notes an event. It keeps nothing of it.
func (s *Store) Take(e *rules.Event) {
	if s == nil {
		return
	}
	b := s.block
	if b == nil {
		select {
		case b = <-s.free:
		default:
			s.stats.dropped.Add(1)
			return
		}
		if b.rows == nil {
			b.rows = make([]byte, 0, blockBytes+blockBytes/4)
		}
		b.rows, b.blockInfo = b.rows[:0], blockInfo{first: e.At, last: e.At}
		s.block = b
		s.enc.begin()
	}
	before := len(b.rows)
	b.rows = s.enc.append(b.rows, e)
	if len(b.rows) > maxRaw { // a message of more points than a block can hold
		b.rows = b.rows[:before]
		s.stats.dropped.Add(1)
		s.Flush() // the dictionaries know what the row would have said
		return
	}
	b.first, b.last = min(b.first, e.At), max(b.last, e.At)
	b.events++
	if len(b.rows) >= blockBytes {
		s.Flush()
	}
}

// Flush hands what was taken to the disk. Call it now and then: what was not handed over is lost with the process.
func (s *Store) Flush() {
	if s == nil || s.block == nil {
		return
	}
	s.full <- s.block // has room for all blocks that there are
	s.block = nil
}

// Close writes what is left.
func (s *Store) Close() error {
	if s == nil {
		return nil
	}
	s.Flush()
	close(s.full)
	s.done.Wait()
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Stats says what a store holds. Any goroutine may ask.
type Stats struct {
	Taken   uint64    // events written since the start
	Dropped uint64    // events that found no room, or that the disk would not take, since the start
	Bytes   int64     // on disk
	Oldest  time.Time // packet time of the oldest event on disk; zero if there is none
}

// Stats returns what s holds.
func (s *Store) Stats() (st Stats) {
	if s == nil {
		return st
	}
	st.Taken, st.Dropped, st.Bytes = uint64(s.stats.taken.Load()), uint64(s.stats.dropped.Load()), s.stats.bytes.Load()
	if at := s.stats.oldest.Load(); at != 0 {
		st.Oldest = time.Unix(0, at).UTC()
	}
	return st
}

// write is the store's own goroutine.
func (s *Store) write() {
	for b := range s.full {
		if b.events == 0 {
			s.free <- b
			continue
		}
		s.out = appendBlock(s.out[:0], b.rows, b.blockInfo)
		err := s.put(b)
		if err == nil {
			s.stats.taken.Add(int64(b.events))
		} else {
			s.stats.dropped.Add(int64(b.events))
		}
		if failing := err != nil; failing != s.failing && s.o.Failed != nil {
			s.o.Failed(err)
		}
		s.failing = err != nil
		s.account()
		s.free <- b
	}
}

// put writes the block in out. After a failure the next block begins a new segment.
func (s *Store) put(b *block) (err error) {
	if err := s.drop(b); err != nil {
		return err
	}
	if s.file == nil {
		if err := s.begin(); err != nil {
			return err
		}
	}
	now := &s.segments[len(s.segments)-1]
	n, err := s.file.Write(s.out)
	now.size += int64(n)
	if err != nil {
		err = errors.Join(err, s.file.Close())
		s.file = nil
		return err
	}
	now.note(b.first, b.last)
	if now.size >= s.o.Bytes/parts || now.last-now.first >= s.days()/parts {
		s.file, err = nil, s.file.Close()
	}
	return err
}

func (s *Store) days() int64 { return int64(s.o.Days) * int64(24*time.Hour) }

// begin makes the next segment.
func (s *Store) begin() error {
	s.number++
	path := filepath.Join(s.o.Dir, segmentName(s.number))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	start := appendHead(nil, headOf(s.o.Protocols))
	s.segments = append(s.segments, segment{path: path, number: s.number, size: int64(len(start))})
	if _, err := f.Write(start); err != nil {
		return errors.Join(err, f.Close())
	}
	s.file = f
	return nil
}

// drop makes room for the block in out: the oldest segments go while there is too much, or they are too old.
func (s *Store) drop(b *block) error {
	need := int64(len(s.out))
	if s.file == nil {
		need += int64(len(appendHead(nil, headOf(s.o.Protocols))))
	}
	for len(s.segments) > 0 {
		oldest := &s.segments[0]
		if s.size()+need <= s.o.Bytes && (oldest.last == 0 || oldest.last >= b.last-s.days()) {
			return nil
		}
		if len(s.segments) == 1 && s.file != nil {
			err := s.file.Close()
			if s.file = nil; err != nil {
				return err
			}
		}
		if err := os.Remove(oldest.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		s.segments = s.segments[1:]
	}
	return nil
}

func (s *Store) size() (sum int64) {
	for i := range s.segments {
		sum += s.segments[i].size
	}
	return sum
}

// account publishes what is on disk.
func (s *Store) account() {
	oldest := int64(0)
	for i := range s.segments {
		if at := s.segments[i].first; at != 0 && (oldest == 0 || at < oldest) {
			oldest = at
		}
	}
	s.stats.bytes.Store(s.size())
	s.stats.oldest.Store(oldest)
}
