package audit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/roje-ot/roje/collector/store"
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
	What     string    `json:"what"` // that of store.Act, or one of the names below
	Object   string    `json:"object,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Act      int64     `json:"act,omitempty"` // number of the act in the store, 0 for what is none
}

// A Log is the audit log of an operator: that of the store, which all collectors of the store add to, and this collector's
// copy of it in a folder. Its methods are safe for concurrent use; one process has the folder open at a time.
type Log struct {
	shared store.Audit
	scope  store.Scope
	dir    string
	origin string
	signer note.Signer
	public string

	mu      sync.Mutex
	leaves  *os.File
	hashes  *os.File
	size    int64
	lastAct int64
	keys    []string   // that entries of the copy have introduced
	roots   int64      // lines of the history of checkpoints
	latest  Checkpoint // as signed last by this collector
	broken  error      // set where a write failed half-way: nothing is taken into the copy any more
}

// Open opens the log of the store, and the copy in dir, which is made if there is none. A copy that does not fit its latest
// checkpoint, or that the store contradicts, is set aside and a new one made, and an entry says so. Entries of the copy
// that a store does not have, as it was restored or is new, are given to it.
func Open(shared store.Audit, s store.Scope, dir string, at time.Time) (*Log, error) {
	l, err := open(shared, s, dir)
	var damage *Damage
	aside := ""
	if errors.As(err, &damage) {
		aside = fmt.Sprintf("%s.damaged-%s", filepath.Clean(dir), at.UTC().Format("20060102T150405"))
		if err := os.Rename(dir, aside); err != nil {
			return nil, fmt.Errorf("audit log: %w; and it cannot be set aside: %w", damage, err)
		}
		l, err = open(shared, s, dir)
	}
	if err != nil && !errors.Is(err, ErrContradicted) {
		return nil, err
	}
	var told []Entry
	if !slices.Contains(l.keys, l.public) {
		told = append(told, Entry{At: at, Operator: s.Operator(), What: KeyAdded, Object: fmt.Sprintf("%08x", l.signer.KeyHash()), Detail: l.public})
	}
	if aside != "" {
		told = append(told, Entry{At: at, Operator: s.Operator(), What: CopyRenewed, Object: filepath.Base(aside), Detail: "a collector's copy of the log was set aside: " + damage.Error()})
	}
	if err != nil {
		told = append(told, contradiction(s, err, at))
	}
	if err := l.Append(told...); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// contradiction is the entry that tells of one.
func contradiction(s store.Scope, err error, at time.Time) Entry {
	return Entry{At: at, Operator: s.Operator(), What: Contradicted, Detail: err.Error()}
}

// Damage says that a log is not what its checkpoints say.
type Damage struct{ What string }

func (d *Damage) Error() string { return d.What }

func damaged(format string, args ...any) error { return &Damage{fmt.Sprintf(format, args...)} }

func open(shared store.Audit, s store.Scope, dir string) (l *Log, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("audit log: %w", err)
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l = &Log{shared: shared, scope: s, dir: dir, origin: "roje/" + s.Operator()}
	if err := l.openKey(); err != nil {
		return nil, err
	}
	if l.leaves, err = os.OpenFile(filepath.Join(dir, fileLeaves), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	if l.hashes, err = os.OpenFile(filepath.Join(dir, fileHashes), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return nil, errors.Join(err, l.leaves.Close())
	}
	if err = l.resume(); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), openWait)
		defer cancel()
		if err = l.give(ctx); err == nil {
			err = l.CatchUp(ctx)
		}
	}
	if err != nil && !errors.Is(err, ErrContradicted) {
		return nil, errors.Join(err, l.leaves.Close(), l.hashes.Close())
	}
	return l, err
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

// Close closes the files. It signs nothing: see Sign.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = errors.New("audit log: closed")
	return errors.Join(l.leaves.Close(), l.hashes.Close())
}

// Size is how many entries the copy has, and the highest number of an act among them.
func (l *Log) Size() (size, lastAct int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size, l.lastAct
}

// PublicKey is what verifies the checkpoints of this collector, in the form of package note.
func (l *Log) PublicKey() string { return l.public }

// longest is the most bytes a text of an entry keeps: what somebody unknown sent must not fill a line.
const longest = 1000

func cut(text string) string {
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// How long the store is waited for: by who appends, and at the start, when a whole log may have to be read.
const (
	appendWait = 10 * time.Second
	openWait   = 10 * time.Minute
)

// Append adds entries; nil says that the store has them. The copy follows; where it cannot, as its disk is full, it does so
// later.
func (l *Log) Append(entries ...Entry) error {
	if len(entries) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), appendWait)
	defer cancel()
	if err := Append(ctx, l.shared, l.scope, entries...); err != nil {
		return err
	}
	l.CatchUp(ctx) // what it could not do now, the keeper tries again and reports
	return nil
}

// Append adds entries to the log of a store, for who has no copy of it. An act that the log tells of already, as another
// collector was first, is left out.
func Append(ctx context.Context, shared store.Audit, s store.Scope, entries ...Entry) error {
	err := shared.AppendLeaves(ctx, s, func(n, act int64) (lines [][]byte, last int64, err error) {
		last = act
		for _, e := range entries {
			if e.Act != 0 && e.Act <= act {
				continue
			}
			e.N, e.At = n+int64(len(lines)), e.At.UTC()
			e.Operator, e.Who, e.What, e.Object, e.Detail = cut(e.Operator), cut(e.Who), cut(e.What), cut(e.Object), cut(e.Detail)
			line, err := json.Marshal(e)
			if err != nil {
				return nil, 0, err
			}
			lines, last = append(lines, line), max(last, e.Act)
		}
		return lines, last, nil
	})
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
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
