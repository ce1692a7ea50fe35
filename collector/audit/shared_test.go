package audit

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
)

// openAt opens a collector's log of a store.
func openAt(t testing.TB, shared store.Audit, dir string) *Log {
	t.Helper()
	l, err := Open(shared, scope(t), dir, start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestSharedLog has three collectors add to one store's log at the same time, acts among it that all of them tell of, and
// holds that each has the same copy, with every act once, that verifies with all of their keys and with any one of them.
func TestSharedLog(t *testing.T) {
	db, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const users, signIns = 40, 15
	for i := range users {
		if err := db.PutUser(t.Context(), scope(t), store.User{Name: fmt.Sprint("user", i), Role: store.Viewer, Created: start}, "ann", start); err != nil {
			t.Fatal(err)
		}
	}
	var dirs [3]string
	var logs [3]*Log
	for i := range logs {
		dirs[i] = filepath.Join(t.TempDir(), FolderName)
		logs[i] = openAt(t, db, dirs[i])
	}
	var group errgroup.Group
	for i, l := range logs {
		group.Go(func() error {
			k := &Keeper{Log: l, Acts: db, Scope: scope(t), Now: func() time.Time { return start }, Logger: slog.New(slog.DiscardHandler)}
			for n := range signIns {
				if err := l.Append(Entry{At: start, Operator: "north", Who: fmt.Sprint("at ", i), What: SignIn, Object: fmt.Sprint(n)}); err != nil {
					return err
				}
				if err := k.Follow(t.Context()); err != nil {
					return err
				}
				if _, _, err := l.Sign(start.Add(time.Duration(n) * time.Minute)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, l := range logs {
		if err := l.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{fileLeaves, fileCheckpoints} {
			if !bytes.Equal(read(t, dirs[0], name), read(t, dirs[i], name)) {
				t.Errorf("collector %d has another %s than the first", i, name)
			}
		}
		compare := &Compare{Ctx: t.Context(), Acts: db, Leaves: db, Scope: scope(t)}
		r, err := VerifyFolder(dirs[i], Expect{}, compare.Entry)
		if want := int64(3 + users + 3*signIns); err != nil || len(r.Problems)+len(compare.Problems) > 0 || r.Entries != want || len(r.Keys) != 3 {
			t.Errorf("collector %d: %+v, %q, %v; want %d entries and three keys", i, r, compare.Problems, err, want)
		}
		r, err = VerifyExport(bytes.NewReader(export(t, dirs[0])), Expect{Keys: []string{l.PublicKey()}}, nil)
		if err != nil || len(r.Problems) > 0 || r.Foreign == 0 || r.Checkpoints == 0 {
			t.Errorf("held to the key of collector %d alone: %+v, %v", i, r, err)
		}
	}
	stranger := openAt(t, &memory{}, filepath.Join(t.TempDir(), FolderName))
	if r := verify(t, dirs[0], Expect{Keys: []string{stranger.PublicKey()}}); !strings.Contains(strings.Join(r.Problems, "\n"), "no checkpoint is signed with key") {
		t.Errorf("held to the key of a stranger: %q", r.Problems)
	}
}

// TestRewrittenStore holds that a collector finds out, and says, that the history in the store was written anew by who has
// the database, and even the key of another collector.
func TestRewrittenStore(t *testing.T) {
	honest, other := &memory{}, filepath.Join(t.TempDir(), FolderName)
	first, second := openAt(t, honest, filepath.Join(t.TempDir(), FolderName)), openAt(t, honest, other)
	add(t, first, 2, 10)
	if err := second.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	forged := &memory{leaves: append([][]byte{}, honest.leaves...), act: honest.act}
	forged.leaves[5] = bytes.Replace(forged.leaves[5], []byte("ann"), []byte("eve"), 1)
	liar := &Log{shared: forged, scope: first.scope, dir: filepath.Join(t.TempDir(), FolderName), origin: first.origin, signer: first.signer, public: first.public}
	if err := os.Mkdir(liar.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]**os.File{fileLeaves: &liar.leaves, fileHashes: &liar.hashes} {
		f, err := os.Create(filepath.Join(liar.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		*file = f
	}
	c := sign(t, liar, start.Add(time.Hour))
	if err := honest.AppendCheckpoint(t.Context(), first.scope, c.Note); err != nil {
		t.Fatal(err)
	}
	k := &Keeper{Log: second, Acts: &told{}, Scope: first.scope, Now: func() time.Time { return start }, Logger: slog.New(slog.DiscardHandler)}
	for range 2 { // the second time it is known
		if err := k.Follow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if text := read(t, other, fileLeaves); bytes.Count(text, []byte(Contradicted)) != 1 {
		t.Errorf("the other collector's log does not say once that it was contradicted:\n%s", text)
	}
	sign(t, second, start.Add(2*time.Hour))
	if r := verify(t, other, Expect{}); !strings.Contains(strings.Join(r.Problems, "\n"), "not those that were signed") {
		t.Errorf("its copy verifies: %q", r.Problems)
	}
	honest.leaves = forged.leaves // and now the history itself
	again, err := Open(honest, first.scope, other, start.Add(3*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if !bytes.Contains(read(t, other, fileLeaves), []byte(CopyRenewed)) {
		t.Error("a collector takes over another history without a word")
	}
}

// TestOlderStore holds that a store that was restored from before gets back what a copy has.
func TestOlderStore(t *testing.T) {
	db, dir := &memory{}, filepath.Join(t.TempDir(), FolderName)
	l := openAt(t, db, dir)
	add(t, l, 1, 6)
	sign(t, l, start)
	leaves, act, roots := db.leaves, db.act, db.roots
	add(t, l, 7, 5)
	sign(t, l, start.Add(time.Minute))
	l.Close()
	db.leaves, db.act, db.roots = leaves, act, roots
	l = openAt(t, db, dir)
	if size, last := l.Size(); size != 12 || last != 12 || len(db.leaves) != 12 || len(db.roots) != 2 || db.act != 12 {
		t.Errorf("the copy has %d entries up to act %d, the store %d up to act %d, and %d roots; want 12, 12 and 2", size, last, len(db.leaves), db.act, len(db.roots))
	}
	add(t, l, 12, 1)
	sign(t, l, start.Add(time.Hour))
	if r := verify(t, dir, Expect{}); len(r.Problems) > 0 || r.Entries != 13 {
		t.Errorf("%+v", r)
	}
	// two collectors that each had a log of their own, as until 2026-11, come to one store
	fresh, others := &memory{}, filepath.Join(t.TempDir(), FolderName)
	add(t, openAt(t, &memory{}, others), 30, 4)
	openAt(t, fresh, dir)
	second := openAt(t, fresh, others)
	if size, _ := second.Size(); size != 15 { // its key, and that its own log is beside
		t.Errorf("the second has %d entries, want those of the first and two", size)
	}
	if asides, _ := filepath.Glob(others + ".damaged-*"); len(asides) != 1 {
		t.Errorf("its own log is not kept: %q", asides)
	}
}
