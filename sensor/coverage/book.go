package coverage

import (
	"errors"
	"fmt"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/flow"
)

// Config says after how long blindness is said. The zero value works.
type Config struct {
	OneSided  time.Duration `yaml:"one_sided"` // after the last frame of a side that is missing: 30 s
	Undecoded time.Duration `yaml:"undecoded"` // after the first bytes of a learned link that are not decoded: 1 m
	Silent    time.Duration `yaml:"silent"`    // after the last frame of a learned link, at least: 1 m
	Learn     time.Duration `yaml:"learn"`     // a link that was heard regularly for so long is learned: 1 h
}

// The least times that can be promised: the Book looks once a second.
const (
	LeastPromise = 4 * time.Second
	LeastLearn   = 10 * time.Second
)

// Complete is c with the defaults.
func (c Config) Complete() Config {
	for _, f := range []struct {
		d  *time.Duration
		is time.Duration
	}{{&c.OneSided, 30 * time.Second}, {&c.Undecoded, time.Minute}, {&c.Silent, time.Minute}, {&c.Learn, time.Hour}} {
		if *f.d == 0 {
			*f.d = f.is
		}
	}
	return c
}

// Check returns all that is wrong with c.
func (c Config) Check() error {
	var errs []error
	for _, f := range []struct {
		name     string
		d, least time.Duration
	}{{"one_sided", c.OneSided, LeastPromise}, {"undecoded", c.Undecoded, LeastPromise}, {"silent", c.Silent, LeastPromise}, {"learn", c.Learn, LeastLearn}} {
		if f.d != 0 && f.d < f.least {
			errs = append(errs, fmt.Errorf("coverage.%s is %v; the least is %v", f.name, f.d, f.least))
		}
	}
	return errors.Join(errs...)
}

// MaxLinks is how many links have an account of their own.
const MaxLinks = 8192

// A Book is the account of one sensor. It belongs to one goroutine at a time, as do its Sources.
type Book struct {
	config  Config
	found   func(Finding)
	sources []*Source
	links   map[Key]*Link
	now     int64 // the last Tick
	since   int64 // time from which on what is not heard is silent
	causes  map[string]*cause
	day     time.Time   // midnight, UTC, at which the day began; zero before the first Begin
	spans   []Span      // of the day, in which the sensor ran; the last one goes on
	rest    Sums        // of the day: of connections without a link
	frames  []SourceDay // of the day, of sources of earlier runs
}

// New makes an empty Book. found takes what it finds; nil lets it go.
func New(c Config, found func(Finding)) *Book {
	if found == nil {
		found = func(Finding) {}
	}
	return &Book{config: c.Complete(), found: found, links: map[Key]*Link{}, causes: map[string]*cause{}}
}

// A Source is one capture: an interface, or recorded files.
type Source struct {
	book   *Book
	name   string
	table  *flow.Table
	mark   uint64
	total  Sums // since the start
	day    Sums // since the beginning of the day
	spare  []*trace
	frames map[string]int64 // as last told, to reckon the day's with
	today  map[string]int64
}

// Source adds a source whose connections are those of table.
func (b *Book) Source(name string, table *flow.Table) *Source {
	s := &Source{book: b, name: name, table: table, frames: map[string]int64{}, today: map[string]int64{}}
	b.sources = append(b.sources, s)
	return s
}

// Look takes what has come since the last time. It is called about once a second.
func (s *Source) Look() { s.mark = s.table.Touched(s.mark, s.take) }

// Total is the account since the start, as of the last Look.
func (s *Source) Total() Sums { return s.total }

// Closed takes the last of a connection. It is called when its table closes it.
func (s *Source) Closed(c *flow.Conn) {
	s.take(c)
	if t, ok := c.User.(*trace); ok {
		c.User = nil
		*t = trace{}
		if len(s.spare) < 1024 {
			s.spare = append(s.spare, t)
		}
	}
}

// Frames takes how many frames of the source became what, since the start.
func (s *Source) Frames(all map[string]uint64) {
	for what, n := range all {
		s.today[what] += int64(n) - s.frames[what]
		s.frames[what] = int64(n)
	}
}

// take adds what a connection has counted since the last time.
func (s *Source) take(c *flow.Conn) {
	t, ok := c.User.(*trace)
	if !ok {
		if n := len(s.spare); n > 0 {
			t, s.spare = s.spare[n-1], s.spare[:n-1]
		} else {
			t = &trace{}
		}
		t.name = c.Name()
		c.User = t
	}
	d := t.since(c)
	s.total.Add(&d)
	s.day.Add(&d)
	if t.link == nil && worth(c) {
		t.link = s.book.link(c, s)
	}
	if t.link == nil {
		s.book.rest.Add(&d)
		return
	}
	t.link.take(s, c, &d)
}

// worth says whether a connection gets a link: something was decoded, or both ends were heard. A flood of spoofed
// clients has neither.
func worth(c *flow.Conn) bool {
	return c.Count.Messages > 0 || c.Heard[0] != 0 && c.Heard[1] != 0 && c.Count.Seen > 0
}

// link finds or makes the link of a connection; nil where there are too many.
func (b *Book) link(c *flow.Conn, s *Source) *Link {
	key := keyOf(c)
	l := b.links[key]
	if l == nil {
		if len(b.links) >= MaxLinks && !b.drop() {
			return nil
		}
		l = &Link{Key: key, First: c.First}
		b.links[key] = l
	}
	l.Source = s.name
	return l
}

// drop lets go of a link that nothing was ever decoded of, the one that was silent longest.
func (b *Book) drop() bool {
	var oldest *Link
	for _, l := range b.links {
		if l.Proto == "" && !l.gone && (oldest == nil || l.Last < oldest.Last) {
			oldest = l
		}
	}
	if oldest == nil {
		return false
	}
	b.rest.Add(&oldest.Day)
	oldest.Day, oldest.gone = Sums{}, true
	delete(b.links, oldest.Key)
	return true
}

// server is the end of c that counts as the server: where that is not known, the one with the lesser port.
func server(c *flow.Conn) protocols.Dir {
	if c.ServerKnown || c.Ends[1].Port() <= c.Ends[0].Port() {
		return c.Server
	}
	return c.Server.Other()
}

func keyOf(c *flow.Conn) Key {
	end := server(c)
	return Key{Client: c.Ends[end.Other()].Addr().Unmap(), Server: c.Ends[end].Addr().Unmap(), Port: c.Ends[end].Port(), Transport: c.Transport.String()}
}
