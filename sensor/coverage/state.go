package coverage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"time"
)

// A saved Book: what is learned of links, and the day so far.
type saved struct {
	Form    int         `json:"form"`
	Day     time.Time   `json:"day"`
	Spans   []Span      `json:"spans"`
	Rest    Sums        `json:"rest"`
	Sources []SourceDay `json:"sources"`
	Links   []*Link     `json:"links"`
}

// Load takes up what Save wrote, if there is such a file. A file that cannot be read is left as it is: the error says
// so, and the Book stays empty.
func (b *Book) Load(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var s saved
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err == nil && s.Form != 1 {
		err = fmt.Errorf("form %d is not known", s.Form)
	}
	if err != nil {
		return fmt.Errorf("coverage %s: %w", path, err)
	}
	b.day, b.spans, b.rest, b.frames = s.Day, s.Spans, s.Rest, s.Sources
	for _, l := range s.Links {
		if len(b.links) < MaxLinks {
			b.links[l.Key] = l
		}
	}
	return nil
}

// Snapshot takes the state as it is and returns what writes it, which may run beside the Book.
func (b *Book) Snapshot(path string) (write func() error) {
	s := saved{Form: 1, Day: b.day, Spans: append([]Span{}, b.spans...), Rest: b.rest, Sources: b.sourceDays()}
	for l := range maps.Values(b.links) {
		kept := Link{Key: l.Key, Proto: l.Proto, First: l.First, Last: l.Last, Heard: l.Heard, Looks: l.Looks, Longest: l.Longest, Regular: l.Regular,
			Learned: l.Learned, Source: l.Source, Told: l.Told, Day: l.Day, Blind: l.Blind}
		s.Links = append(s.Links, &kept)
	}
	return func() error {
		text, err := json.Marshal(&s)
		if err == nil {
			err = os.WriteFile(path+".part", text, 0o600)
		}
		if err == nil {
			err = os.Rename(path+".part", path)
		}
		if err != nil {
			return fmt.Errorf("coverage: %w", err)
		}
		return nil
	}
}
