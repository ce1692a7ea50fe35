package maintenance

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// FileName is the book in the state folder.
const FileName = "maintenance.json"

// maxWindows bounds the book; those that were over longest make room.
const maxWindows = 1000

// A Book is all windows: of the configuration, and of commands. Any goroutine may use it.
type Book struct {
	near atomic.Int64 // earliest begin of a window that is not over, Unix nanoseconds; 0 where there is none

	mu  sync.Mutex
	all []*Window // by begin
}

// Open reads the book of a state folder and takes up the windows of a configuration. A book that cannot be read is an
// error beside one that holds the configuration's alone.
func Open(dir string, config []Window) (*Book, error) {
	b := &Book{}
	text, err := os.ReadFile(filepath.Join(dir, FileName))
	if err == nil {
		err = json.Unmarshal(text, &b.all)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	b.all = slices.DeleteFunc(b.all, func(w *Window) bool { return w == nil || w.Prepare() != nil })
	if bad := b.Configure(config); bad != nil {
		return nil, bad
	}
	return b, err
}

// Configure takes the windows of a configuration in place of those of the one before: new ones are added, those that have not
// begun and stand in it no more are taken out, and those that go on end when it says. What a command has ended stays so. A
// window that is wrong is an error, and changes nothing.
func (b *Book) Configure(config []Window) error {
	config = slices.Clone(config)
	for i := range config {
		if bad := config[i].Prepare(); bad != nil {
			return bad
		}
		config[i].Config = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range config {
		switch w := b.find(config[i].ID); {
		case w == nil:
			b.all = append(b.all, &config[i])
		case w.Config && !w.Over && !w.Ended:
			w.Until = config[i].Until
		}
	}
	b.all = slices.DeleteFunc(b.all, func(w *Window) bool {
		return w.Config && !w.Begun && !slices.ContainsFunc(config, func(c Window) bool { return c.ID == w.ID })
	})
	b.sort()
	return nil
}

func (b *Book) sort() {
	slices.SortFunc(b.all, func(x, y *Window) int { return cmp.Or(x.From.Compare(y.From), cmp.Compare(x.ID, y.ID)) })
	for i := 0; len(b.all) > maxWindows && i < len(b.all); {
		if b.all[i].Over {
			b.all = slices.Delete(b.all, i, i+1)
			continue
		}
		i++
	}
	near := int64(0)
	for _, w := range b.all {
		if !w.Over {
			near = w.From.UnixNano()
			break
		}
	}
	b.near.Store(near)
}

func (b *Book) find(id string) *Window {
	for _, w := range b.all {
		if w.ID == id {
			return w
		}
	}
	return nil
}

// Add takes a window.
func (b *Book) Add(w Window) (Window, error) {
	if err := w.Prepare(); err != nil {
		return w, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.find(w.ID); old != nil && !old.Over {
		return w, fmt.Errorf("maintenance %s is there already", w.ID)
	}
	b.all = slices.DeleteFunc(b.all, func(old *Window) bool { return old.ID == w.ID })
	if open := len(b.all); open >= maxWindows && !slices.ContainsFunc(b.all, func(w *Window) bool { return w.Over }) {
		return w, fmt.Errorf("there are %d windows already", open)
	}
	b.all = append(b.all, &w)
	b.sort()
	return w, nil
}

// End ends a window at a time, if it is not over.
func (b *Book) End(id string, at time.Time) (Window, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.find(id)
	if w == nil || w.Over {
		return Window{}, fmt.Errorf("no maintenance %q goes on or is to come", id)
	}
	if w.Ended = true; at.Before(w.Until) {
		w.Until = at.UTC()
	}
	if !w.Begun {
		w.Over = true // it never began
	}
	b.sort()
	return *w, nil
}

// Of returns the window in which these hosts are worked on at a time, Unix nanoseconds. It costs next to nothing while
// there is none.
func (b *Book) Of(client, server netip.Addr, at int64) (Window, bool) {
	if b == nil {
		return Window{}, false
	}
	if near := b.near.Load(); near == 0 || at < near {
		return Window{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.all {
		if w.at(at) && w.covers(client, server) {
			return *w, true
		}
	}
	return Window{}, false
}

// Count notes an alert that a window has kept back, or that was raised in it.
func (b *Book) Count(id string, withheld bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch w := b.find(id); {
	case w == nil:
	case withheld:
		w.Withheld++
	default:
		w.Raised++
	}
}

// Turn returns the windows that have begun or ended since it was asked last, each once.
func (b *Book) Turn(now time.Time) (begun, over []Window) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.all {
		if !w.Begun && !w.Over && !now.Before(w.From) {
			w.Begun = true
			begun = append(begun, *w)
		}
		if w.Begun && !w.Over && !now.Before(w.Until) {
			w.Over = true
			over = append(over, *w)
		}
	}
	if len(over) > 0 {
		b.sort()
	}
	return begun, over
}

// Windows returns all windows, by begin.
func (b *Book) Windows() []Window {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Window, len(b.all))
	for i, w := range b.all {
		all[i] = *w
	}
	return all
}

// Text is the book in the form of its file.
func (b *Book) Text() ([]byte, error) {
	text, err := json.MarshalIndent(b.Windows(), "", "\t")
	return append(text, '\n'), err
}
