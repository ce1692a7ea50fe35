package oneway

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/spool"
)

// Spool is what a Sender needs of a spool.Spool.
type Spool interface {
	Next(lane batch.Lane, limit spool.Limit, key ed25519.PrivateKey, at spool.Stamp) ([]byte, error)
	Ack(epoch string, lane batch.Lane, seq uint64) error
	Wake() <-chan struct{}
}

var _ Spool = (*spool.Spool)(nil)

// again is when an envelope of a lane is sent again after it was first sent, where the carrier may lose it.
var again = map[batch.Lane][]time.Duration{
	batch.Vital:  {20 * time.Second},
	batch.Urgent: {30 * time.Second, 5 * time.Minute},
}

const (
	longestWait = 30 * time.Second
	mostRepeats = 4096 // that wait; beyond it the earliest is forgotten, as its envelope stays in the archive
	shrink      = 6    // how much smaller records become in an envelope, at least, as a rule
	turn        = 2 * time.Second
)

// Settings are what a Sender works with. All are needed.
type Settings struct {
	Config  Config
	Spool   Spool // bound to the sensor
	Key     ed25519.PrivateKey
	Archive string // folder
	Now     func() time.Time
	Log     *slog.Logger
}

// A Sender sends. Its counters may be read at any time.
type Sender struct {
	Settings
	Envelopes atomic.Uint64 // sent for the first time
	Bytes     atomic.Uint64 // of them
	Repeated  atomic.Uint64 // envelopes sent again
	Failures  atomic.Uint64

	carrier carrier
	limit   spool.Limit
	began   time.Time
	repeats []repeat // by time
	away    string   // why nothing could be sent the last time, "" where it could

	mu      sync.Mutex // guards archive: Sent is called by others
	archive *Archive
}

// A repeat is an envelope that will be sent again.
type repeat struct {
	at time.Time
	Entry
}

// New makes a sender. It opens the archive and sends nothing.
func New(s Settings) (*Sender, error) {
	if err := s.Config.Check(); err != nil {
		return nil, err
	}
	s.Config = s.Config.complete()
	archive, err := OpenArchive(s.Archive, s.Config.ArchiveBytes)
	if err != nil {
		return nil, err
	}
	c, err := s.Config.carrier()
	if err != nil {
		return nil, fmt.Errorf("oneway: %w", err)
	}
	// What goes in one turn takes about two seconds of the link, so that nothing urgent waits for longer.
	bytes := int(s.Config.RateKbit * 1000 / 8 * turn.Seconds())
	return &Sender{Settings: s, carrier: c, archive: archive, began: s.Now(), limit: spool.Limit{Bytes: shrink * min(max(bytes, 4<<10), 1<<20)}}, nil
}

// String says where s sends.
func (s *Sender) String() string {
	switch {
	case s.Config.UDP != "":
		return "udp " + s.Config.UDP + ", one way"
	case s.Config.TCP != "":
		return "tcp " + s.Config.TCP + ", one way"
	}
	return "files in " + s.Config.Files
}

// Sent is what was sent so far, for the health record.
func (s *Sender) Sent() []batch.Range {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.archive.Sent()
}

// Run sends until ctx ends, and returns nil then.
func (s *Sender) Run(ctx context.Context) error {
	defer s.carrier.close()
	s.resume()
	for failures := 0; ctx.Err() == nil; {
		sent, err := s.once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.Failures.Add(1)
			s.report(err)
			s.idle(ctx, rand.N(min(longestWait, 500*time.Millisecond<<min(failures, 10)))+time.Millisecond, nil)
			failures++
		case sent:
			failures = 0
			s.report(nil)
		default:
			wait := time.Hour
			if len(s.repeats) > 0 {
				wait = s.repeats[0].at.Sub(s.Now())
			}
			s.idle(ctx, wait, s.Spool.Wake())
		}
	}
	return nil
}

// idle waits for news, for a time at most.
func (s *Sender) idle(ctx context.Context, d time.Duration, news <-chan struct{}) {
	t := time.NewTimer(max(d, time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
	case <-news:
	case <-ctx.Done():
	}
}

// report logs a change between working and not, or from one reason to another.
func (s *Sender) report(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	switch {
	case why == s.away:
	case err != nil:
		s.Log.Warn("one-way delivery waits", "err", err)
	default:
		s.Log.Info("one-way delivery goes on")
	}
	s.away = why
}

// resume puts the repeats on their way that a process before this one did not come to.
func (s *Sender) resume() {
	longest := time.Duration(0)
	for _, after := range again {
		longest = max(longest, after[len(after)-1])
	}
	for _, e := range s.archive.Since(s.Now().Add(-longest)) {
		s.repeat(e, s.Now())
	}
}

// repeat puts the repeats of an entry on their way, where there are any.
func (s *Sender) repeat(e Entry, first time.Time) {
	if !s.carrier.repeats() {
		return
	}
	for _, after := range again[e.Lane] {
		r := repeat{first.Add(after), e}
		at, _ := slices.BinarySearchFunc(s.repeats, r.at, func(r repeat, at time.Time) int {
			if r.at.After(at) {
				return 1
			}
			return -1
		})
		s.repeats = slices.Insert(s.repeats, at, r)
	}
	if n := len(s.repeats) - mostRepeats; n > 0 {
		s.repeats = slices.Delete(s.repeats, 0, n)
	}
}

// once sends one envelope, the most important that is due. A repeat goes after what is new and important, and before
// the rest.
func (s *Sender) once(ctx context.Context) (sent bool, err error) {
	for lane := range batch.Lane(batch.Lanes) {
		if lane == batch.Routine && len(s.repeats) > 0 && !s.Now().Before(s.repeats[0].at) {
			return true, s.sendAgain(ctx)
		}
		now := s.Now()
		raw, err := s.Spool.Next(lane, s.limit, s.Key, spool.Stamp{Wall: now, Mono: now.Sub(s.began)})
		if err != nil {
			return false, err
		}
		if raw != nil {
			return true, s.sendNew(ctx, raw)
		}
	}
	return false, nil
}

func (s *Sender) sendNew(ctx context.Context, raw []byte) error {
	e, _, err := batch.Decode(raw)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.mu.Lock()
	entry, err := s.archive.Put(e)
	s.mu.Unlock()
	if err == nil {
		err = s.carrier.send(ctx, e)
	}
	if err == nil {
		err = s.Spool.Ack(e.Epoch, e.Lane, e.To)
	}
	if err != nil {
		return err
	}
	s.Envelopes.Add(1)
	s.Bytes.Add(uint64(len(raw)))
	s.repeat(entry, s.Now())
	return nil
}

func (s *Sender) sendAgain(ctx context.Context) error {
	r := s.repeats[0]
	s.repeats = slices.Delete(s.repeats, 0, 1)
	raw, err := s.archive.Read(r.Entry)
	if errors.Is(err, os.ErrNotExist) { // the archive was full
		return nil
	}
	if err != nil {
		return err
	}
	e, _, err := batch.Decode(raw)
	if err != nil {
		return err
	}
	if err := s.carrier.send(ctx, e); err != nil {
		return err
	}
	s.Repeated.Add(1)
	return nil
}
