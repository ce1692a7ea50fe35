package oneway

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/rules/batch"
)

// ArchiveName is the name of the archive's folder in the sensor's state.
const ArchiveName = "sent"

// suffix is how names of envelopes in files end, in the archive and where they are dropped.
const suffix = ".batch"

// An Archive is a folder of envelopes that were sent, each in a file of its own, whose name says what it holds. Put is
// for one goroutine; another process may read the folder meanwhile.
type Archive struct {
	dir    string
	budget int64
	held   int64
	kept   []Entry // by name
	heads  map[batch.Lane]batch.Range
}

// An Entry is an envelope in the archive.
type Entry struct {
	Lane     batch.Lane
	Sealed   time.Time
	Epoch    string
	From, To uint64
	Size     int64
}

// name is the entry's file: sorted, names go by lane and then by time.
func (e *Entry) name() string {
	return fmt.Sprintf("%02d-%020d-%s-%020d-%020d%s", e.Lane, e.Sealed.UnixNano(), e.Epoch, e.From, e.To, suffix)
}

func parseName(name string) (e Entry, ok bool) {
	text, ok := strings.CutSuffix(name, suffix)
	var sealed int64
	if !ok || strings.Count(text, "-") != 4 {
		return e, false
	}
	n, err := fmt.Sscanf(strings.ReplaceAll(text, "-", " "), "%d %d %s %d %d", &e.Lane, &sealed, &e.Epoch, &e.From, &e.To)
	e.Sealed = time.Unix(0, sealed)
	return e, err == nil && n == 5 && e.name() == name
}

// List reads what is in an archive's folder, by lane and time. A folder that does not exist holds nothing.
func List(dir string) ([]Entry, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	var kept []Entry
	for _, f := range files { // sorted by name
		e, ok := parseName(f.Name())
		info, err := f.Info()
		if ok && err == nil {
			e.Size = info.Size()
			kept = append(kept, e)
		}
	}
	return kept, nil
}

// OpenArchive opens the archive in a folder or makes it (0700).
func OpenArchive(dir string, budget int64) (*Archive, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	a := &Archive{dir: dir, budget: budget, heads: map[batch.Lane]batch.Range{}}
	var err error
	if a.kept, err = List(dir); err != nil {
		return nil, err
	}
	for i, e := range a.kept {
		a.held += e.Size
		if i+1 < len(a.kept) && a.kept[i+1].Lane == e.Lane {
			continue // only the last of a lane tells what was sent
		}
		raw, err := a.Read(e)
		if err != nil {
			return nil, err
		}
		if envelope, _, err := batch.Decode(raw); err == nil {
			a.note(envelope)
		}
	}
	return a, nil
}

// note remembers that e was sent.
func (a *Archive) note(e *batch.Envelope) {
	a.heads[e.Lane] = batch.Range{Epoch: e.Epoch, Lane: e.Lane, From: e.Base, To: e.To}
}

// Sent is what was sent of the latest epoch of each lane, as far as the archive remembers.
func (a *Archive) Sent() []batch.Range {
	var sent []batch.Range
	for lane := range batch.Lane(batch.MaxLanes) {
		if r, ok := a.heads[lane]; ok {
			sent = append(sent, r)
		}
	}
	return sent
}

// Put keeps an envelope: it is on disk when Put returns. What exceeds the budget goes, the oldest of the least
// important lane first, but never what was just put.
func (a *Archive) Put(e *batch.Envelope) (Entry, error) {
	it := Entry{Lane: e.Lane, Sealed: e.Sealed, Epoch: e.Epoch, From: e.From, To: e.To, Size: int64(len(e.Bytes))}
	if err := writeFile(a.dir, it.name(), e.Bytes); err != nil {
		if e := a.shrink(a.held/2, it); e != nil { // a full disk: what was sent makes room
			return it, errors.Join(err, e)
		}
		if err := writeFile(a.dir, it.name(), e.Bytes); err != nil {
			return it, fmt.Errorf("archive: %w", err)
		}
	}
	at, again := slices.BinarySearchFunc(a.kept, it.name(), func(k Entry, name string) int { return strings.Compare(k.name(), name) })
	if !again {
		a.kept = slices.Insert(a.kept, at, it)
		a.held += it.Size
	}
	a.note(e)
	return it, a.shrink(a.budget, it)
}

// shrink removes entries other than but until at most budget bytes are held.
func (a *Archive) shrink(budget int64, but Entry) error {
	for a.held > budget {
		last := len(a.kept) - 1
		for last >= 0 && a.kept[last].name() == but.name() {
			last--
		}
		if last < 0 {
			return nil
		}
		oldest := slices.IndexFunc(a.kept, func(e Entry) bool { return e.Lane == a.kept[last].Lane && e.name() != but.name() })
		e := a.kept[oldest]
		if err := os.Remove(filepath.Join(a.dir, e.name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("archive: %w", err)
		}
		a.held -= e.Size
		a.kept = slices.Delete(a.kept, oldest, oldest+1)
	}
	return nil
}

// Read returns an envelope's bytes.
func (a *Archive) Read(e Entry) ([]byte, error) { return os.ReadFile(filepath.Join(a.dir, e.name())) }

// Since lists what was sealed at or after a time.
func (a *Archive) Since(at time.Time) (since []Entry) {
	for _, e := range a.kept {
		if !e.Sealed.Before(at) {
			since = append(since, e)
		}
	}
	return since
}

// writeFile writes a file whole, on disk, or not at all; whoever lists the folder sees only whole ones under the name.
func writeFile(dir, name string, text []byte) (err error) {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o640), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
