// Package news hands the changes of alerts to those who listen in one process.
package news

import (
	"sync"

	"github.com/roje-ot/roje/collector/store"
)

// A Scoped is a change with the operator whose alert it is about.
type Scoped struct {
	Operator string
	store.Change
}

// Backlog is how many changes wait for a slow reader before it misses some.
const Backlog = 256

// A Hub hands changes to whoever listens. It never waits for a reader. The zero Hub is ready.
type Hub struct {
	mu        sync.Mutex
	listeners map[*listener]struct{}
	closed    bool
}

type listener struct {
	operator string
	changes  chan store.Change
	missed   bool // under Hub.mu
}

// Subscribe implements store.Store. The channel of a zero Scope is closed from the start.
func (h *Hub) Subscribe(s store.Scope) (<-chan store.Change, func()) {
	l := &listener{operator: s.Operator(), changes: make(chan store.Change, Backlog)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || s.Check() != nil {
		close(l.changes)
		return l.changes, func() {}
	}
	if h.listeners == nil {
		h.listeners = map[*listener]struct{}{}
	}
	h.listeners[l] = struct{}{}
	return l.changes, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(l)
	}
}

// drop ends l; h.mu is held.
func (h *Hub) drop(l *listener) {
	if _, ok := h.listeners[l]; ok {
		delete(h.listeners, l)
		close(l.changes)
	}
}

// Publish hands changes to the listeners of their operators.
func (h *Hub) Publish(changes []Scoped) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		for _, c := range changes {
			if c.Operator != l.operator {
				continue
			}
			c.Missed = l.missed
			select {
			case l.changes <- c.Change:
				l.missed = false
			default:
				l.missed = true
			}
		}
	}
}

// Missed tells all listeners, by their next change, that some before it were lost.
func (h *Hub) Missed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		l.missed = true
	}
}

// Close ends all listeners; who subscribes later gets a closed channel.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for l := range h.listeners {
		h.drop(l)
	}
}
