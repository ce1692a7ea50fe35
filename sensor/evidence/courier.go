package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/roje-ot/roje/rules/batch"
)

// A Lane is what a Courier needs of the spool: to put pieces into its evidence lane, and to know what waits there.
type Lane interface {
	Put(p batch.Piece) error
	// Waits is how many pieces are not acknowledged, and how many records of other lanes are not.
	Waits() (pieces, others uint64)
}

// Sending says which evidence is sent. The zero value sends what is asked for.
type Sending struct {
	Send     string `yaml:"send"`      // "asked" (default): what the collector asks for. "all": besides, all, on an idle link. "none"
	DayBytes int64  `yaml:"day_bytes"` // most bytes of evidence that are sent in a day (UTC); default 256 MiB
}

// The words of Sending.Send.
const (
	SendAsked = "asked"
	SendAll   = "all"
	SendNone  = "none"

	defaultDay = 256 << 20
)

// Check returns what is wrong with s.
func (s Sending) Check() error {
	switch s.Send {
	case "", SendAsked, SendAll, SendNone:
	default:
		return fmt.Errorf("evidence_to_collector.send is %q; it is %s, %s or %s", s.Send, SendAsked, SendAll, SendNone)
	}
	if s.DayBytes < 0 || s.DayBytes > 0 && s.DayBytes < 1<<20 {
		return fmt.Errorf("evidence_to_collector.day_bytes is %d; the least is 1048576", s.DayBytes)
	}
	return nil
}

// Settings are a Courier's.
type Settings struct {
	Sending
	Dir   string // of the evidence
	Lane  Lane
	Now   func() time.Time
	Piece int           // bytes of a piece; 0 is 12 KiB, which is a request on the thinnest link
	Every time.Duration // how often the lane is looked at while there is something to send; 0 is 200 ms
}

// inFlight is how many pieces wait in the spool at most: the rest stays in its file, so that the spool is no fuller for
// it and an urgent record never waits behind more than a piece that is on its way already.
const inFlight = 2

// A Courier takes evidence to the spool, a few pieces at a time, when nothing else waits there. It remembers nothing
// beyond its process: the collector says what it lacks. Its methods are safe for concurrent use.
type Courier struct {
	Settings
	mu    sync.Mutex
	jobs  []*job
	wake  chan struct{}
	day   time.Time
	spent int64 // of the day's bytes
}

// A job is evidence on its way.
type job struct {
	alert string
	next  int64 // offset of the next piece
	end   int64 // size, once known; 0 before
	own   bool  // nobody has asked for it
}

// NewCourier makes a courier.
func NewCourier(s Settings) *Courier {
	if s.Piece == 0 {
		s.Piece = 12 << 10
	}
	if s.Every == 0 {
		s.Every = 200 * time.Millisecond
	}
	if s.DayBytes == 0 {
		s.DayBytes = defaultDay
	}
	return &Courier{Settings: s, wake: make(chan struct{}, 1)}
}

// Use changes which evidence is sent, and how much a day.
func (c *Courier) Use(s Sending) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Sending = s; s.DayBytes == 0 {
		c.DayBytes = defaultDay
	}
	c.nudge()
}

// Asked takes what the collector asks for, as its last answer says. What it no longer asks for has arrived, or is not
// wanted any more.
func (c *Courier) Asked(asks []batch.Ask) {
	if c == nil {
		return
	}
	pieces, _ := c.Lane.Waits()
	c.mu.Lock()
	defer c.mu.Unlock()
	var jobs []*job
	for _, a := range asks {
		j := c.find(a.Alert)
		if j == nil {
			j = &job{alert: a.Alert, next: a.From}
		} else if pieces == 0 {
			j.next = a.From // what was put after that was lost, or refused
		}
		j.own = false
		jobs = append(jobs, j)
	}
	for _, j := range c.jobs {
		if j.own {
			jobs = append(jobs, j)
		}
	}
	c.jobs = jobs
	c.nudge()
}

// Written says that the evidence of an alert is there. It is sent unasked if the settings say so.
func (c *Courier) Written(alert string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Send == SendAll && c.find(alert) == nil && len(c.jobs) < mostOwn {
		c.jobs = append(c.jobs, &job{alert: alert, own: true})
		c.nudge()
	}
}

// mostOwn is how much evidence waits to be sent unasked; what comes on top stays until it is asked for.
const mostOwn = 1024

func (c *Courier) find(alert string) *job {
	for _, j := range c.jobs {
		if j.alert == alert {
			return j
		}
	}
	return nil
}

func (c *Courier) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Idle says whether there is nothing to send, or nothing more may be today.
func (c *Courier) Idle() bool {
	if c == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range c.jobs {
		if !j.done() && c.afford() {
			return false
		}
	}
	return true
}

func (j *job) done() bool { return j.end > 0 && j.next >= j.end }

// Run sends until ctx ends.
func (c *Courier) Run(ctx context.Context) error {
	for {
		busy, err := c.Step()
		if err != nil {
			return err
		}
		var again <-chan time.Time
		if busy {
			again = time.After(c.Every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		case <-again:
		}
	}
}

// Step puts what there is room for, and says whether there is more to do.
func (c *Courier) Step() (busy bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		j := c.due()
		if j == nil {
			return false, nil
		}
		pieces, others := c.Lane.Waits()
		if pieces >= inFlight || others > 0 || !c.afford() {
			return true, nil
		}
		p := c.piece(j)
		if err := c.Lane.Put(p); err != nil {
			return true, fmt.Errorf("evidence of alert %s: %w", j.alert, err)
		}
		c.spent += int64(len(p.Data))
		j.next, j.end = p.At+int64(len(p.Data)), max(p.Size, 1)
		if p.Gone != "" {
			j.next = j.end
		}
	}
}

// due is the next job with something to send; those of nobody's asking that are done go.
func (c *Courier) due() *job {
	kept := c.jobs[:0]
	var found *job
	for _, j := range c.jobs {
		if j.own && j.done() {
			continue
		}
		kept = append(kept, j)
		if found == nil && !j.done() {
			found = j
		}
	}
	c.jobs = kept
	return found
}

// afford says whether the day's bytes are not used up.
func (c *Courier) afford() bool {
	if day := c.Now().UTC().Truncate(24 * time.Hour); !day.Equal(c.day) {
		c.day, c.spent = day, 0
	}
	return c.spent < c.DayBytes
}

// piece reads the next piece of a job. The whole file is read each time: it may have been made anew or let go of.
func (c *Courier) piece(j *job) batch.Piece {
	gone := func(why string) batch.Piece { return batch.Piece{Alert: j.alert, Gone: why} }
	switch {
	case c.Dir == "":
		return gone("the sensor keeps no evidence")
	case c.Send == SendNone:
		return gone("the sensor's configuration lets none leave it")
	}
	file, err := os.ReadFile(filepath.Join(c.Dir, filepath.Base(j.alert)+".pcapng"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gone("the sensor has no such file, or no more")
	case err != nil:
		return gone("the sensor cannot read it")
	case len(file) == 0 || len(file) > batch.MaxEvidence:
		return gone(fmt.Sprintf("it has %d bytes", len(file)))
	}
	sum := sha256.Sum256(file)
	if j.end > 0 && j.end != int64(len(file)) || j.next < 0 || j.next >= int64(len(file)) {
		j.next = 0 // it was made anew
	}
	return batch.Piece{Alert: j.alert, Size: int64(len(file)), SHA256: hex.EncodeToString(sum[:]), At: j.next, Data: file[j.next:min(j.next+int64(c.Piece), int64(len(file)))]}
}
