package engine

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
)

// A watch is what a rule remembers that waits for time to pass: per key, an event to come back to. Its two uses are
// `expect` (after this event another one must come within the window) and `silence` (a key that was heard regularly is
// heard no more).
type watch struct {
	*lang.State
	keyed[waiting]
	seed  lang.Hash
	hosts map[uint64]int32 // number in alive of the values of Alive
	alive []int64          // packet time at which they were last heard
	next  int64            // no cell is due before this packet time
}

// waiting is the memory of one key.
type waiting struct {
	parent  int32 // number in alive
	armed   bool
	due     int64
	last    int64 // packet time of the last event
	longest int64 // longest pause between two
	first   int64
	n       int64 // events; with Expect: how many times in a row the other one came
	event   rules.Event
	msg     protocols.Message
	points  [4]protocols.Point // the first of the message's
}

const (
	minBeats   = 50  // events before a silence means something
	minPauses  = 20  // and for how many of its longest pauses the key was heard
	slackPause = 5e9 // ns beyond three pauses that are no silence yet
	never      = int64(1<<63 - 1)
)

func newWatch(s *lang.State, seed lang.Hash) *watch {
	return &watch{State: s, keyed: newKeyed[waiting](), seed: seed, hosts: map[uint64]int32{}, next: never}
}

// forget begins anew: what was waited for may have come unseen. Regularity is kept.
func (w *watch) forget() {
	for i := range w.cells {
		c := &w.cells[i]
		c.armed, c.last = false, 0
	}
	clear(w.alive)
	w.next = never
}

// came says that what env's key waits for has come.
func (w *watch) came(env *lang.Env) {
	if i, ok := w.index[key(w.seed, w.By, env)]; ok {
		c := &w.cells[i]
		if c.armed {
			c.n++
		}
		c.armed = false
	}
}

// hear takes an event that something is waited for after.
func (w *watch) hear(env *lang.Env) {
	c, known := w.cell(key(w.seed, w.By, env), w.Keys)
	if !known {
		*c = waiting{}
	}
	at := env.E.At
	if w.Alive != nil {
		if c.parent == 0 {
			c.parent = w.host(key(w.seed, w.Alive, env))
		}
		w.alive[c.parent] = at
	}
	if w.Expect != nil {
		if !c.armed {
			c.keep(env.E)
			c.armed, c.due = true, at+w.Window
			w.next = min(w.next, c.due)
		}
		return
	}
	switch {
	case c.n == 0 || at < c.first:
		c.first, c.longest, c.n = at, 0, 0
		c.keep(env.E)
	case c.last != 0 && c.due == never: // it is heard again; the silence was said and is no usual pause
	case c.last != 0:
		c.longest = max(c.longest, at-c.last)
	}
	c.n++
	c.last, c.event.At, c.event.Frame = at, at, env.E.Frame
	c.armed = c.n >= minBeats && at-c.first >= minPauses*c.longest
	c.due = at + max(3*c.longest+slackPause, w.Window)
	w.next = min(w.next, c.due)
}

// host returns the number of a value of Alive. Those beyond the cap share one.
func (w *watch) host(key uint64) int32 {
	n, ok := w.hosts[key]
	switch {
	case ok || len(w.hosts) == w.Keys:
		return n
	case len(w.alive) == 0:
		w.alive = append(w.alive, 0) // number 0 is for those beyond the cap
	}
	n = int32(len(w.alive))
	w.alive = append(w.alive, 0)
	w.hosts[key] = n
	return n
}

// keep copies what outlives e: all but the bytes and the decoder's own detail.
func (c *waiting) keep(e *rules.Event) {
	c.event = *e
	if e.Msg == nil {
		return
	}
	c.msg = *e.Msg
	c.msg.Points = c.points[:copy(c.points[:], e.Msg.Points)]
	c.msg.Body, c.msg.Raw, c.msg.Detail = nil, nil, nil
	c.event.Msg = &c.msg
}

// due returns the event of a key whose time is over, at the time when it was, or nil; each is told once.
func (w *watch) due(at int64, env *lang.Env) *rules.Event {
	if at < w.next {
		return nil
	}
	w.next = never
	for i := range w.cells {
		c := &w.cells[i]
		if !c.armed {
			continue
		}
		if c.due > at {
			w.next = min(w.next, c.due)
			continue
		}
		if w.Alive != nil && w.alive[c.parent] < c.due {
			if at-c.due > int64(unwatched) {
				c.armed = false // all of it went silent, which another rule says
			} else {
				w.next = min(w.next, at+slackPause)
			}
			continue
		}
		c.armed, w.next = false, at // there may be more
		when := at
		if w.Alive == nil {
			when = c.due // nobody looked before since nothing at all came
		}
		if w.Silence {
			env.Count, env.Quiet, env.Longest = c.n, when-c.last, c.longest
			c.due = never
		} else {
			env.Answered, c.n = c.n, 0
		}
		// Cells move when the table grows, which it does not while a rule fires; so this one may be lent.
		if c.event.Msg != nil {
			c.msg.Points = c.points[:len(c.msg.Points)]
			c.event.Msg = &c.msg
		}
		c.event.At = when
		return &c.event
	}
	return nil
}
