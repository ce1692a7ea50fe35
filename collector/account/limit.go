package account

import (
	"sync"
	"time"
)

// A limiter slows guessing: after a few failures for a key it refuses until a while has passed since the last one.
// It is bounded in memory. Any goroutine may use it.
type limiter struct {
	mu   sync.Mutex
	fail map[string]failures
}

type failures struct {
	n     int
	until time.Time // refused before this
	last  time.Time
}

const (
	freeForName    = 5                // failures of one name at one address that cost nothing
	freeForAddress = 25               // failures of one address that cost nothing
	firstWait      = 10 * time.Second // then this, doubled with each
	longestWait    = 15 * time.Minute
	forgetAfter    = 30 * time.Minute
	mostKeys       = 50_000
)

// wait returns how long the key is still refused, 0 if it is not.
func (l *limiter) wait(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, l.fail[key].until.Sub(now))
}

// failed counts a failure; the first free ones cost nothing.
func (l *limiter) failed(key string, free int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.fail[key]
	if now.Sub(f.last) > forgetAfter {
		f = failures{}
	}
	f.n, f.last = f.n+1, now
	if over := f.n - free; over >= 0 {
		f.until = now.Add(min(firstWait<<min(over, 10), longestWait))
	}
	if l.fail == nil {
		l.fail = make(map[string]failures)
	}
	if _, known := l.fail[key]; !known && len(l.fail) >= mostKeys {
		l.sweep(now)
	}
	l.fail[key] = f
}

// passed forgets the failures of a key.
func (l *limiter) passed(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.fail, key)
}

// sweep makes room: first what is old, and if nothing is, all of it.
func (l *limiter) sweep(now time.Time) {
	for key, f := range l.fail {
		if now.Sub(f.last) > forgetAfter {
			delete(l.fail, key)
		}
	}
	if len(l.fail) >= mostKeys {
		clear(l.fail)
	}
}
