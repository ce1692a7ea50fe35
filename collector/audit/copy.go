package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// resume counts the leaves, drops a line that was cut short by a crash, makes hashes that are missing, and holds all of
// it to the latest checkpoint.
func (l *Log) resume() error {
	var end int64
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) { return pick(hashes, at) })
	err := eachLine(l.leaves, func(line []byte) error {
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil || e.N != l.size {
			return damaged("line %d is no entry %d", l.size+1, l.size)
		}
		more, err := tlog.StoredHashes(l.size, line, read)
		if err != nil {
			return err
		}
		hashes = append(hashes, more...)
		l.learn(e)
		end += int64(len(line)) + 1
		return nil
	})
	if err != nil && !errors.Is(err, errCut) {
		return err
	}
	if err := l.leaves.Truncate(end); err != nil {
		return err
	}
	if err := l.holdToCheckpoint(read); err != nil {
		return err
	}
	if err := l.countRoots(); err != nil {
		return err
	}
	want := join(hashes)
	have, err := io.ReadAll(l.hashes)
	if err != nil || bytes.Equal(have, want) {
		return err
	}
	if err := l.hashes.Truncate(0); err != nil {
		return err
	}
	_, err = l.hashes.Write(want)
	return err
}

func (l *Log) holdToCheckpoint(read tlog.HashReader) error {
	text, err := os.ReadFile(filepath.Join(l.dir, fileCheckpoint))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := ParseCheckpoint(text, l.public)
	if err != nil {
		return damaged("the checkpoint: %v", err)
	}
	if c.Size > l.size {
		return damaged("%d entries are there, %d were signed on %s", l.size, c.Size, c.At.Format(time.RFC3339))
	}
	if root, err := tlog.TreeHash(c.Size, read); err != nil || root != c.Root {
		return damaged("the first %d entries are not those that were signed on %s", c.Size, c.At.Format(time.RFC3339))
	}
	l.latest = c
	return nil
}

func pick(hashes []tlog.Hash, at []int64) ([]tlog.Hash, error) {
	picked := make([]tlog.Hash, len(at))
	for i, n := range at {
		if n < 0 || n >= int64(len(hashes)) {
			return nil, fmt.Errorf("there is no hash %d", n)
		}
		picked[i] = hashes[n]
	}
	return picked, nil
}

func join(hashes []tlog.Hash) []byte {
	b := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// errCut says that the last line has no end.
var errCut = errors.New("the last line is cut short")

// eachLine calls do for every line of r without its end; errCut where the last one has none. do must not keep the line.
func eachLine(r io.Reader, do func(line []byte) error) error {
	in := bufio.NewReaderSize(r, mostLeaf)
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case err == io.EOF && len(line) == 0:
			return nil
		case err == io.EOF:
			return errCut
		case err == bufio.ErrBufferFull:
			return damaged("a line is longer than %d bytes", mostLeaf)
		case err != nil:
			return err
		}
		if err := do(line[:len(line)-1]); err != nil {
			return err
		}
	}
}

// learn counts an entry.
func (l *Log) learn(e Entry) {
	l.size++
	l.lastAct = max(l.lastAct, e.Act)
	if e.What == KeyAdded {
		l.keys = append(l.keys, e.Detail)
	}
}

// countRoots counts the lines of the history, and drops one that was cut short.
func (l *Log) countRoots() error {
	path := filepath.Join(l.dir, fileCheckpoints)
	history, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	l.roots = int64(bytes.Count(history, []byte("\n")))
	if whole := bytes.LastIndexByte(history, '\n') + 1; whole < len(history) {
		return os.Truncate(path, int64(whole))
	}
	return nil
}

// page is how much is asked of the store at a time.
const page = 500

// give gives the store what it does not have of the copy: all of it where the log was a collector's own before, the end
// where the store was restored from an older backup.
func (l *Log) give(ctx context.Context) error {
	if l.size == 0 {
		return nil
	}
	var lines [][]byte
	if _, err := l.leaves.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := eachLine(l.leaves, func(line []byte) error { lines = append(lines, bytes.Clone(line)); return nil }); err != nil {
		return err
	}
	if err := l.same(ctx, lines); err != nil {
		return err
	}
	err := l.shared.AppendLeaves(ctx, l.scope, func(n, _ int64) ([][]byte, int64, error) {
		if n > 0 && n < l.size { // another collector may have been first meanwhile
			if err := l.same(ctx, lines[:n]); err != nil {
				return nil, 0, err
			}
		}
		return lines[min(n, l.size):], l.lastAct, nil
	})
	if err != nil {
		return err
	}
	roots, err := readRoots(l.dir)
	if err != nil {
		return err
	}
	have := 0
	for {
		some, err := l.shared.Checkpoints(ctx, l.scope, int64(have), page)
		if err != nil {
			return err
		}
		if have += len(some); len(some) < page {
			break
		}
	}
	for ; have < len(roots); have++ {
		if err := l.shared.AppendCheckpoint(ctx, l.scope, roots[have]); err != nil {
			return err
		}
	}
	return nil
}

// same says whether the store has the lines, as far as it has any.
func (l *Log) same(ctx context.Context, lines [][]byte) error {
	for n := 0; n < len(lines); {
		there, err := l.shared.Leaves(ctx, l.scope, int64(n), page)
		if err != nil || len(there) == 0 {
			return err
		}
		for _, line := range there[:min(len(there), len(lines)-n)] {
			if !bytes.Equal(line, lines[n]) {
				return damaged("entry %d of the store is not that of the copy", n)
			}
			n++
		}
	}
	return nil
}

// readRoots reads the history of checkpoints of a folder.
func readRoots(dir string) (roots [][]byte, err error) {
	history, err := os.ReadFile(filepath.Join(dir, fileCheckpoints))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	err = eachLine(bytes.NewReader(history), func(line []byte) error {
		var text string
		if err := json.Unmarshal(line, &text); err != nil {
			text = string(line) // which will not verify
		}
		roots = append(roots, []byte(text))
		return nil
	})
	if errors.Is(err, errCut) {
		err = nil
	}
	return roots, err
}

// CatchUp takes into the copy what is in the store and not in it yet: entries, and the roots that collectors signed. An error
// says what is not, or that a collector has signed a root of another log than this one, which is an attack or a store that
// was changed. The root is in the copy nevertheless.
func (l *Log) CatchUp(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var split error
	for more := true; more && l.broken == nil; {
		roots, err := l.shared.Checkpoints(ctx, l.scope, l.roots, page) // before the entries: what is signed is then among them
		if err == nil {
			err = l.catchUp(ctx)
		}
		for _, text := range roots {
			if err == nil && l.broken == nil {
				split = errors.Join(split, l.contradicts(text))
				err = l.keep(text)
			}
		}
		if err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
		more = len(roots) == page
	}
	return errors.Join(l.broken, split)
}

// catchUp takes entries.
func (l *Log) catchUp(ctx context.Context) error {
	for l.broken == nil {
		lines, err := l.shared.Leaves(ctx, l.scope, l.size, page)
		if err == nil && len(lines) > 0 {
			err = l.take(lines)
		}
		if err != nil || len(lines) < page {
			return err
		}
	}
	return nil
}

// ErrContradicted is wrapped by what says that a collector has signed another log.
var ErrContradicted = errors.New("audit log: collectors do not see one log")

// contradicts says whether a root that a collector signed is of another log.
func (l *Log) contradicts(text []byte) error {
	c, err := ParseCheckpoint(text, append(l.keys, l.public)...)
	if err != nil {
		return fmt.Errorf("%w: a checkpoint in the store: %w", ErrContradicted, err)
	}
	if c.Size > l.size {
		return fmt.Errorf("%w: a checkpoint is of %d entries, and the store has %d", ErrContradicted, c.Size, l.size)
	}
	if root, err := tlog.TreeHash(c.Size, l.reader()); err != nil || root != c.Root {
		return fmt.Errorf("%w: the first %d entries are not those that the collector with key %s signed on %s", ErrContradicted, c.Size, c.Key, c.At.Format(time.RFC3339))
	}
	return nil
}

// lines reads at most limit entries of the copy from place n on, as they are hashed. It reads the file from its beginning.
func (l *Log) lines(n int64, limit int) (lines []string, err error) {
	f, err := os.Open(filepath.Join(l.dir, fileLeaves))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	have, _ := l.Size() // what is behind may be half written
	lines = []string{}
	at := int64(0)
	err = eachLine(f, func(line []byte) error {
		if at >= have || len(lines) == limit {
			return errEnough
		}
		if at >= n {
			lines = append(lines, string(line))
		}
		at++
		return nil
	})
	if errors.Is(err, errEnough) || errors.Is(err, errCut) {
		err = nil
	}
	return lines, err
}

var errEnough = errors.New("enough")

// take adds lines to the copy, as they are in the store.
func (l *Log) take(lines [][]byte) error {
	var text []byte
	var hashes []tlog.Hash
	first := tlog.StoredHashIndex(0, l.size)
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		picked := make([]tlog.Hash, len(at))
		for i, n := range at {
			if n >= first {
				if n-first >= int64(len(hashes)) {
					return nil, fmt.Errorf("there is no hash %d", n)
				}
				picked[i] = hashes[n-first]
			} else if _, err := l.hashes.ReadAt(picked[i][:], n*tlog.HashSize); err != nil {
				return nil, err
			}
		}
		return picked, nil
	})
	entries := make([]Entry, len(lines))
	for i, line := range lines {
		n := l.size + int64(i)
		if err := json.Unmarshal(line, &entries[i]); err != nil || entries[i].N != n || len(line) >= mostLeaf {
			return fmt.Errorf("what the store has at place %d is no entry %d", n, n)
		}
		more, err := tlog.StoredHashes(n, line, read)
		if err != nil {
			return err
		}
		text, hashes = append(append(text, line...), '\n'), append(hashes, more...)
	}
	end, err := l.leaves.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = l.leaves.Write(text)
	}
	if err == nil {
		err = l.leaves.Sync()
	}
	if err != nil { // a full disk: nothing was taken
		if e := l.leaves.Truncate(end); e != nil {
			l.broken = fmt.Errorf("half an entry is written: %w", errors.Join(err, e))
		}
		return err
	}
	for _, e := range entries {
		l.learn(e)
	}
	if _, err := l.hashes.Write(join(hashes)); err != nil {
		l.broken = fmt.Errorf("hashes: %w; they are made anew at the next start", err)
	}
	return l.broken
}
