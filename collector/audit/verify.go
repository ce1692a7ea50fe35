package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Report is what Verify found.
type Report struct {
	Entries     int64     // in order and readable
	Signed      int64     // of them, in the latest checkpoint
	Checkpoints int       // whose signature and root are right
	Last        time.Time // when the latest checkpoint was signed
	Keys        []string  // that the checkpoints are held to
	Foreign     int       // checkpoints of the log's own keys that were not among those that are expected
	Problems    []string  // everything that is wrong; none: the log is what it was
}

func (r *Report) bad(format string, args ...any) {
	if len(r.Problems) < 100 {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// Expect is what a verifier knows from elsewhere. Its zero value is nothing: then the log is only held to itself.
type Expect struct {
	Keys        []string // of collectors, as they were handed out; none believes those that are in the log and beside it
	Checkpoints [][]byte // checkpoints that were handed out: the log must have grown from each of them
}

// A proof is a log as a verifier gets it, from a folder or an export.
type proof struct {
	key         string   // of the collector whose copy it is
	checkpoints [][]byte // in order; the latest last
	leaves      io.Reader
}

// VerifyFolder verifies the log in a folder, which a collector may be writing to. each, if not nil, is given every
// entry.
func VerifyFolder(dir string, want Expect, each func(Entry) error) (Report, error) {
	p, closing, err := openFolder(dir)
	if err != nil {
		return Report{}, fmt.Errorf("audit log: %w", err)
	}
	defer closing()
	return p.verify(want, each)
}

// openFolder reads checkpoints first: what is signed is then among the leaves.
func openFolder(dir string) (*proof, func() error, error) {
	public, err := os.ReadFile(filepath.Join(dir, filePublic))
	if err != nil {
		return nil, nil, err
	}
	p := &proof{key: strings.TrimSpace(string(public))}
	latest, err := os.ReadFile(filepath.Join(dir, fileCheckpoint))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	if p.checkpoints, err = readRoots(dir); err != nil {
		return nil, nil, err
	}
	if latest != nil {
		p.checkpoints = append(p.checkpoints, latest)
	}
	f, err := os.Open(filepath.Join(dir, fileLeaves))
	if err != nil {
		return nil, nil, err
	}
	p.leaves = f
	return p, f.Close, nil
}

// verify holds the leaves to all the checkpoints.
func (p *proof) verify(want Expect, each func(Entry) error) (r Report, err error) {
	known := []string{p.key}
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) { return pick(hashes, at) })
	err = eachLine(p.leaves, func(line []byte) error {
		var e Entry
		err := json.Unmarshal(line, &e)
		if err != nil {
			r.bad("entry %d cannot be read: %v", r.Entries, err)
		} else if e.N != r.Entries {
			r.bad("entry %d stands where %d should", e.N, r.Entries)
		} else if e.What == KeyAdded && !slices.Contains(known, e.Detail) {
			known = append(known, e.Detail)
		}
		if err == nil && each != nil && e.N == r.Entries {
			if err := each(e); err != nil {
				return err
			}
		}
		more, err := tlog.StoredHashes(r.Entries, line, read)
		if err != nil {
			return err
		}
		hashes = append(hashes, more...)
		r.Entries++
		return nil
	})
	var damage *Damage
	switch {
	case errors.As(err, &damage):
		r.bad("after entry %d: %s", r.Entries, damage.What)
	case err != nil && !errors.Is(err, errCut): // a line that is being written, or was when the power failed, is not signed
		return r, err
	}
	if r.Keys = known; len(want.Keys) > 0 {
		r.Keys = slices.Clone(want.Keys)
	}
	r.checkpoints(p.checkpoints, known, len(want.Keys) > 0, read)
	for _, text := range want.Checkpoints {
		c, err := ParseCheckpoint(text, r.Keys...)
		if err != nil {
			r.bad("the checkpoint that was given: %v", err)
		} else if r.root(c, read) {
			r.Checkpoints++
		}
	}
	return r, nil
}

// checkpoints checks those that came with the log. Those of a key that the log knows and nobody expects are counted; each
// key that is expected must have signed one.
func (r *Report) checkpoints(all [][]byte, known []string, pinned bool, read tlog.HashReader) {
	sizes := map[string]int64{} // by key
	for i, text := range all {
		c, err := ParseCheckpoint(text, r.Keys...)
		if err != nil && pinned {
			if _, e := ParseCheckpoint(text, known...); e == nil {
				r.Foreign++
				continue
			}
		}
		if err != nil {
			r.bad("checkpoint %d: %v", i+1, err)
			continue
		}
		if before := sizes[c.Key]; c.Size < before {
			r.bad("checkpoint %d is of %d entries, the one before it of that key of %d", i+1, c.Size, before)
		}
		sizes[c.Key] = c.Size
		if r.root(c, read) {
			r.Checkpoints++
			r.Signed = max(r.Signed, c.Size)
			if c.At.After(r.Last) {
				r.Last = c.At
			}
		}
	}
	if len(all) == 0 && r.Entries > 0 {
		r.bad("%d entries and no checkpoint", r.Entries)
	}
	for _, key := range r.Keys {
		if v, err := note.NewVerifier(key); pinned && (err != nil || sizes[fmt.Sprintf("%08x", v.KeyHash())] == 0) {
			r.bad("no checkpoint is signed with key %s", key)
		}
	}
}

// root holds the leaves to a checkpoint.
func (r *Report) root(c Checkpoint, read tlog.HashReader) bool {
	at := c.At.Format(time.RFC3339)
	if c.Size > r.Entries {
		r.bad("%d entries were signed on %s, %d are there: some were removed from the end", c.Size, at, r.Entries)
		return false
	}
	root, err := tlog.TreeHash(c.Size, read)
	if err != nil || root != c.Root {
		r.bad("the first %d entries are not those that were signed on %s: some were changed, removed or put in", c.Size, at)
		return false
	}
	return true
}
