package audit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Checkpoint is the root of a log at a size, signed.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
	At     time.Time // when it was signed, by the collector's clock
	Key    string    // hash of the key that signed, eight digits
	Note   []byte    // the signed text
}

// timeLine begins the line of a checkpoint that says when it was signed: C2SP tlog-checkpoint lets further lines follow
// the root.
const timeLine = "time "

// body is what is signed.
func (c *Checkpoint) body() string {
	return fmt.Sprintf("%s\n%d\n%s\n%s%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]), timeLine, c.At.UTC().Format(time.RFC3339))
}

// ParseCheckpoint reads a signed checkpoint and holds it to verifier keys, one of which must have signed it.
func ParseCheckpoint(text []byte, public ...string) (c Checkpoint, err error) {
	var verifiers []note.Verifier
	keys := slices.Clone(public)
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		verifier, err := note.NewVerifier(key)
		if err != nil {
			return c, fmt.Errorf("key %.80q: %w", key, err)
		}
		verifiers = append(verifiers, verifier)
	}
	n, err := note.Open(text, note.VerifierList(verifiers...))
	if err != nil {
		return c, err
	}
	for _, sig := range n.Sigs { // one signature has one form: a changed character is never without meaning
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return c, errors.New("its signature is malformed")
		}
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 5 || !strings.HasPrefix(lines[3], timeLine) || lines[0] != n.Sigs[0].Name {
		return c, errors.New("it is no checkpoint of this log")
	}
	c = Checkpoint{Origin: lines[0], Key: fmt.Sprintf("%08x", n.Sigs[0].Hash), Note: text}
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 {
		return c, errors.New("its size is no number")
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return c, errors.New("its root is no hash")
	}
	copy(c.Root[:], root)
	c.At, err = time.Parse(time.RFC3339, strings.TrimPrefix(lines[3], timeLine))
	return c, err
}

// reader reads the log's hashes. The caller holds l.mu.
func (l *Log) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		picked := make([]tlog.Hash, len(at))
		for i, n := range at {
			if _, err := l.hashes.ReadAt(picked[i][:], n*tlog.HashSize); err != nil {
				return nil, err
			}
		}
		return picked, nil
	})
}

// Sign signs the log as the copy has it, and gives the root to the store. grown says whether there were entries that no
// checkpoint of this collector had.
func (l *Log) Sign(at time.Time) (c Checkpoint, grown bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), appendWait)
	defer cancel()
	if err := l.CatchUp(ctx); err != nil {
		return c, false, err
	}
	if c, grown, err = l.root(at); err == nil && grown {
		err = l.shared.AppendCheckpoint(ctx, l.scope, c.Note)
	}
	if err == nil {
		err = replace(filepath.Join(l.dir, fileCheckpoint), c.Note, 0o644)
	}
	if err != nil {
		return c, false, fmt.Errorf("audit log: %w", err)
	}
	l.mu.Lock()
	l.latest = c
	l.mu.Unlock()
	return c, grown, l.CatchUp(ctx)
}

// root signs the root of the copy.
func (l *Log) root(at time.Time) (c Checkpoint, grown bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	root, err := tlog.TreeHash(l.size, l.reader())
	if err != nil {
		return c, false, err
	}
	c = Checkpoint{Origin: l.origin, Size: l.size, Root: root, At: at.UTC().Truncate(time.Second), Key: fmt.Sprintf("%08x", l.signer.KeyHash())}
	c.Note, err = note.Sign(&note.Note{Text: c.body()}, l.signer)
	return c, l.latest.Note == nil || c.Size > l.latest.Size, err
}

// keep adds a checkpoint to the copy's history.
func (l *Log) keep(text []byte) error {
	line, err := json.Marshal(string(text))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(l.dir, fileCheckpoints), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		l.roots++
	}
	return err
}

// Latest is the checkpoint that this collector signed last; its Note is nil where there is none.
func (l *Log) Latest() Checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest
}

// ProveEntry proves to who has a checkpoint that an entry is in it: see Proof.
func (l *Log) ProveEntry(c Checkpoint, n int64) (tlog.RecordProof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return tlog.ProveRecord(c.Size, n, l.reader())
}

// ProveGrowth proves to who has two checkpoints that the later one only added to the earlier: see Proof.
func (l *Log) ProveGrowth(older, newer Checkpoint) (tlog.TreeProof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return tlog.ProveTree(newer.Size, older.Size, l.reader())
}
