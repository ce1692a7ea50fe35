package audit

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// FolderName is the name of the log's folder in a collector's data folder.
const FolderName = "audit"

// The files of a log, named so that a copy made in the order of names has no root of leaves that it lacks.
const (
	fileCheckpoint  = "checkpoint"
	fileCheckpoints = "checkpoints.jsonl"
	fileHashes      = "hashes"
	fileKey         = "key"
	filePublic      = "key.pub"
	fileLeaves      = "leaves.jsonl"
)

// mostLeaf is the longest line of leaves.jsonl.
const mostLeaf = 64 << 10

// An Entry is one leaf.
type Entry struct {
	N        int64     `json:"n"` // its place, from 0; Append gives it
	At       time.Time `json:"at"`
	Operator string    `json:"operator"`
	Who      string    `json:"who"`
	What     string    `json:"what"` // that of store.Act, or sign-in, sign-in-refused, denied, sensor-refused, audit
	Object   string    `json:"object,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Act      int64     `json:"act,omitempty"` // number of the act in the store, 0 for what is none
}

// A Log is an open log. Its methods are safe for concurrent use; one process has it open at a time.
type Log struct {
	dir    string
	origin string
	signer note.Signer
	public string

	mu      sync.Mutex
	leaves  *os.File
	hashes  *os.File
	size    int64
	lastAct int64
	latest  Checkpoint // as signed last
	broken  error      // set where a write failed half-way: nothing is appended any more
}

// Open opens the log in dir or makes it. origin names the log in its checkpoints. A log whose leaves do not fit its latest
// checkpoint is set aside and a new one begun, whose first entry says so.
func Open(dir, origin string, at time.Time) (*Log, error) {
	l, err := open(dir, origin)
	var damage *Damage
	if !errors.As(err, &damage) {
		return l, err
	}
	aside := fmt.Sprintf("%s.damaged-%s", filepath.Clean(dir), at.UTC().Format("20060102T150405"))
	if err := os.Rename(dir, aside); err != nil {
		return nil, fmt.Errorf("audit log: %w; and it cannot be set aside: %w", damage, err)
	}
	if l, err = open(dir, origin); err != nil {
		return nil, err
	}
	if err := l.Append(Entry{At: at, What: "audit", Object: filepath.Base(aside), Detail: "a new log begins; the one before was set aside: " + damage.Error()}); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Damage says that a log is not what its checkpoints say.
type Damage struct{ What string }

func (d *Damage) Error() string { return d.What }

func damaged(format string, args ...any) error { return &Damage{fmt.Sprintf(format, args...)} }

func open(dir, origin string) (l *Log, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("audit log: %w", err)
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l = &Log{dir: dir, origin: origin}
	if err := l.openKey(); err != nil {
		return nil, err
	}
	if l.leaves, err = os.OpenFile(filepath.Join(dir, fileLeaves), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	if l.hashes, err = os.OpenFile(filepath.Join(dir, fileHashes), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return nil, errors.Join(err, l.leaves.Close())
	}
	if err := l.resume(); err != nil {
		return nil, errors.Join(err, l.leaves.Close(), l.hashes.Close())
	}
	return l, nil
}

// openKey reads the key or makes it.
func (l *Log) openKey() error {
	path := filepath.Join(l.dir, fileKey)
	secret, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		skey, vkey, e := note.GenerateKey(rand.Reader, l.origin)
		if e != nil {
			return e
		}
		if err := errors.Join(replace(filepath.Join(l.dir, filePublic), []byte(vkey+"\n"), 0o644), replace(path, []byte(skey+"\n"), 0o600)); err != nil {
			return err
		}
		secret, err = []byte(skey), nil
	}
	if err != nil {
		return err
	}
	public, err := os.ReadFile(filepath.Join(l.dir, filePublic))
	if err != nil {
		return err
	}
	l.public = strings.TrimSpace(string(public))
	if l.signer, err = note.NewSigner(strings.TrimSpace(string(secret))); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	l.origin = l.signer.Name()
	return nil
}

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
		l.size++
		l.lastAct = max(l.lastAct, e.Act)
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

// Close closes the files. It signs nothing: see Sign.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = errors.New("audit log: closed")
	return errors.Join(l.leaves.Close(), l.hashes.Close())
}

// Size is how many entries there are; LastAct the highest number of an act among them.
func (l *Log) Size() (size, lastAct int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size, l.lastAct
}

// PublicKey is what verifies the log's checkpoints, in the form of package note.
func (l *Log) PublicKey() string { return l.public }

// longest is the most bytes a text of an entry keeps: what somebody unknown sent must not fill a line.
const longest = 1000

func cut(text string) string {
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// Append adds entries; nil says that they are on disk.
func (l *Log) Append(entries ...Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil || len(entries) == 0 {
		return l.broken
	}
	var lines []byte
	var hashes []tlog.Hash
	first, lastAct := tlog.StoredHashIndex(0, l.size), l.lastAct
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
	for i, e := range entries {
		e.N, e.At = l.size+int64(i), e.At.UTC()
		e.Operator, e.Who, e.What, e.Object, e.Detail = cut(e.Operator), cut(e.Who), cut(e.What), cut(e.Object), cut(e.Detail)
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
		more, err := tlog.StoredHashes(e.N, line, read)
		if err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
		lines, hashes, lastAct = append(append(lines, line...), '\n'), append(hashes, more...), max(lastAct, e.Act)
	}
	end, err := l.leaves.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = l.leaves.Write(lines)
	}
	if err == nil {
		err = l.leaves.Sync()
	}
	if err != nil { // a full disk: nothing was appended
		if e := l.leaves.Truncate(end); e != nil {
			l.broken = fmt.Errorf("audit log: half an entry is written: %w", errors.Join(err, e))
		}
		return fmt.Errorf("audit log: %w", err)
	}
	l.size, l.lastAct = l.size+int64(len(entries)), lastAct
	if _, err := l.hashes.Write(join(hashes)); err != nil {
		l.broken = fmt.Errorf("audit log: hashes: %w; they are made anew at the next start", err)
	}
	return nil
}

// replace writes a file in one step.
func replace(path string, text []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
