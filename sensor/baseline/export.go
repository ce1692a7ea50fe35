package baseline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

func sortedKeys(m map[string]*Item) []string { return slices.Sorted(maps.Keys(m)) }

// Export writes every item as one JSON object per line, sorted by key: the same baseline gives the same text, and two
// texts can be compared line by line.
func (b *Baseline) Export(w io.Writer) error { return WriteItems(w, b.Items()) }

// WriteItems writes items in the form of Export.
func WriteItems(w io.Writer, items []*Item) error {
	out := bufio.NewWriter(w)
	for _, it := range items {
		line, err := json.Marshal(it)
		if err != nil {
			return err
		}
		out.Write(line)
		out.WriteByte('\n')
	}
	return out.Flush()
}

// maxLine bounds one line of an import; the longest are points with a thousand ranges.
const maxLine = 1 << 20

// Import reads what Export wrote into b, over items of the same key. Nothing changes where a line is wrong; the error
// names it.
func (b *Baseline) Import(r io.Reader) error {
	items, err := readItems(r)
	if err != nil {
		return err
	}
	imported := map[string]bool{}
	for _, it := range items {
		if err := b.load(it); err != nil {
			return err
		}
		imported[it.Key()] = true
	}
	b.each(func(it *Item, m *mark) { m.dirty = m.dirty || imported[it.Key()] })
	b.recount()
	return nil
}

// readItems reads what WriteItems wrote; the error names the line that is wrong.
func readItems(r io.Reader) ([]*Item, error) {
	var items []*Item
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	trial := empty(Options{})
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		it := &Item{}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(it); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if err := trial.load(it); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		items = append(items, it)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the import: %w", err)
	}
	return items, nil
}

// Text says the item in one line for people.
func (it *Item) Text() string {
	s := fmt.Sprintf("%-8s %s", it.State, it.Key())
	if it.Name != "" {
		s += " " + it.Name
	}
	if it.Ranges != "" {
		s += " " + it.Ranges
	}
	if it.Low != nil && it.High != nil {
		s += fmt.Sprintf(" %g to %g", *it.Low, *it.High)
	}
	if len(it.MACs) > 0 {
		s += " " + fmt.Sprint(it.MACs)
	}
	s += fmt.Sprintf(" (seen %d times from %s to %s", it.Count, it.First.Format("2006-01-02 15:04"), it.Last.Format("2006-01-02 15:04"))
	if it.Why != "" {
		s += "; " + it.Why
	}
	if it.Engineered != "" {
		s += "; in the lists: " + it.Engineered
	}
	if r := it.Rejected; r != nil {
		s += fmt.Sprintf("; rejected by %s on %s", r.Who, r.When.Format(time.DateOnly))
	}
	if it.Who != "" {
		s += "; approved by " + it.Who
	}
	return s + ")"
}
