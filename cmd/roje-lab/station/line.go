// Package station is what the lab's masters and outstations have in common: a connection with an agenda.
//
// A station is one goroutine per connection. It reads frames, and between them does what is due: polls, scans of the
// process, timers, an operator's actions. That works alike on a real socket and in virtual time.
package station

import (
	"errors"
	"net"
	"os"
	"sort"
	"sync"
	"time"
)

// Clock is the time that a station lives in.
type Clock interface {
	Now() time.Time
	Sleep(time.Duration)
}

// Job is one thing to do on a connection; its error ends the connection.
type Job func() error

type appointment struct {
	at time.Time
	do Job
}

// Line is a connection with an agenda. Reads and jobs belong to the goroutine that calls Read; At may be called from
// any goroutine.
type Line struct {
	net.Conn
	Clock Clock

	mu     sync.Mutex
	agenda []appointment // by time
	busy   bool          // a job runs: what it reads does not start another
	rest   []byte        // read, and not yet a whole frame
}

// At makes do run at t on the reading goroutine, or as soon as it reads if t is past.
func (l *Line) At(t time.Time, do Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := sort.Search(len(l.agenda), func(i int) bool { return l.agenda[i].at.After(t) })
	l.agenda = append(l.agenda, appointment{})
	copy(l.agenda[i+1:], l.agenda[i:])
	l.agenda[i] = appointment{t, do}
	if i == 0 {
		l.SetReadDeadline(time.Unix(1, 0)) // the reader looks again
	}
}

// Every makes do run at first and then each period.
func (l *Line) Every(first time.Time, period time.Duration, do Job) {
	l.At(first, func() error {
		l.Every(first.Add(period), period, do)
		return do()
	})
}

// Deadline says when a read ends; it is asked again after each job, which may have moved it. Zero is never.
type Deadline func() time.Time

// By is a deadline that does not move.
func By(t time.Time) Deadline { return func() time.Time { return t } }

// due takes the next job that is due, or sets the read deadline to the earlier of until and the next one.
func (l *Line) due(until time.Time) Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.busy && len(l.agenda) > 0 {
		if next := l.agenda[0]; !next.at.After(l.Clock.Now()) {
			l.agenda = l.agenda[1:]
			return next.do
		} else if until.IsZero() || next.at.Before(until) {
			until = next.at
		}
	}
	l.SetReadDeadline(until)
	return nil
}

// read fills p, doing what is due before; it fails with os.ErrDeadlineExceeded at the deadline.
func (l *Line) read(p []byte, deadline Deadline) (int, error) {
	for {
		until := deadline()
		if do := l.due(until); do != nil {
			l.busy = true
			err := do()
			l.busy = false
			if err != nil {
				return 0, err
			}
			continue
		}
		n, err := l.Conn.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if !until.IsZero() && !l.Clock.Now().Before(until) {
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// Split says how long the frame at the start of b is: 0 if more bytes are needed to know, or an error.
type Split func(b []byte) (int, error)

// Frame reads the next frame; it is the caller's until the next call.
func (l *Line) Frame(split Split, until Deadline) ([]byte, error) {
	for {
		n, err := split(l.rest)
		if err != nil {
			return nil, err
		}
		if n > 0 && len(l.rest) >= n {
			frame := l.rest[:n:n]
			l.rest = l.rest[n:]
			return frame, nil
		}
		buf := make([]byte, 2048)
		n, err = l.read(buf, until)
		if err != nil {
			return nil, err
		}
		l.rest = append(l.rest[:len(l.rest):len(l.rest)], buf[:n]...)
	}
}

// Idle lets the agenda run until t without expecting a frame.
func (l *Line) Idle(t time.Time) error {
	_, err := l.read(make([]byte, 2048), By(t))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}
