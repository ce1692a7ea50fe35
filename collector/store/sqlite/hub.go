package sqlite

import (
	"sync"

	"github.com/roje-ot/roje/collector/store"
)

// A scoped is a change with the operator whose alert it is about.
type scoped struct {
	operator string
	store.Change
}

// backlog is how many changes wait for a slow reader before it misses some.
const backlog = 256

// A hub hands changes to whoever listens. It never waits for a reader.
type hub struct {
	mu        sync.Mutex
	listeners map[*listener]struct{}
	closed    bool
}

type listener struct {
	operator string
	changes  chan store.Change
	missed   bool // under hub.mu
}

// Subscribe implements store.Store. The channel of a zero Scope is closed from the start.
func (db *DB) Subscribe(s store.Scope) (<-chan store.Change, func()) {
	h := &db.hub
	l := &listener{operator: s.Operator(), changes: make(chan store.Change, backlog)}
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
func (h *hub) drop(l *listener) {
	if _, ok := h.listeners[l]; ok {
		delete(h.listeners, l)
		close(l.changes)
	}
}

func (h *hub) publish(changes []scoped) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		for _, c := range changes {
			if c.operator != l.operator {
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

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for l := range h.listeners {
		h.drop(l)
	}
}
