package audit

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

func TestVerifies(t *testing.T) {
	dir, signed := made(t)
	l := openLog(t, dir)
	add(t, l, 23, 4) // not signed yet
	if size, last := l.Size(); size != 27 || last != 27 {
		t.Errorf("after a new start: %d entries, last act %d", size, last)
	}
	want := Expect{Keys: []string{l.PublicKey()}, Checkpoints: [][]byte{signed[0].Note, signed[2].Note}}
	exported, err := VerifyExport(bytes.NewReader(export(t, dir)), want, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]Report{"folder": verify(t, dir, want), "export": exported} {
		if len(r.Problems) > 0 || r.Entries != 27 || r.Signed != 23 || r.Checkpoints != 6 || !r.Last.Equal(start.Add(2*time.Minute)) {
			t.Errorf("%s: %+v; want 27 entries, 23 signed, 6 checkpoints (the last lies there twice, two were given)", name, r)
		}
	}
	c := sign(t, l, start.Add(time.Hour))
	if c.Size != 27 || l.Latest().Size != 27 {
		t.Errorf("signed %d entries", c.Size)
	}
}

// TestFlippedBits flips a bit of every byte of the latest checkpoint, and of bytes throughout the leaves, the history
// and an export, and holds that none passes. The end of a last line is no part of it.
func TestFlippedBits(t *testing.T) {
	dir, _ := made(t)
	for _, name := range []string{fileLeaves, fileCheckpoint, fileCheckpoints} {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		step := map[string]int{fileLeaves: 7, fileCheckpoint: 1, fileCheckpoints: 11}[name]
		for i := 0; i < len(text); i += step {
			if name == fileCheckpoints && i == len(text)-1 {
				continue
			}
			bad := slices.Clone(text)
			bad[i] ^= 1
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := VerifyFolder(dir, Expect{}, nil)
			if err == nil && len(r.Problems) == 0 {
				t.Errorf("%s: a flipped bit of byte %d (%q) of %d passes", name, i, text[i], len(text))
			}
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := export(t, dir)
	for i := 0; i < len(text)-1; i += 13 {
		bad := slices.Clone(text)
		bad[i] ^= 1
		r, err := VerifyExport(bytes.NewReader(bad), Expect{}, nil)
		if err == nil && len(r.Problems) == 0 {
			t.Errorf("export: a flipped bit of byte %d (%q) passes", i, text[i])
		}
	}
}

// TestTampering holds what a person with the files might do.
func TestTampering(t *testing.T) {
	for name, c := range map[string]struct {
		change func(lines []string) []string
		want   string // part of a problem
	}{
		"an entry is removed": {func(l []string) []string { return slices.Delete(l, 5, 6) }, "stands where"},
		"an entry is removed and the rest numbered anew": {func(l []string) []string {
			return renumber(slices.Delete(l, 5, 6))
		}, "removed from the end"},
		"an entry is put in": {func(l []string) []string { return renumber(slices.Insert(l, 3, l[3])) }, "not those that were signed"},
		"two entries change places": {func(l []string) []string {
			l[2], l[3] = l[3], l[2]
			return renumber(l)
		}, "not those that were signed"},
		"the end is removed": {func(l []string) []string { return l[:20] }, "removed from the end"},
		"another name":       {func(l []string) []string { l[4] = strings.Replace(l[4], "ann", "eve", 1); return l }, "not those that were signed"},
		"no entry at all":    {func([]string) []string { return nil }, "removed from the end"},
	} {
		dir, _ := made(t)
		path := filepath.Join(dir, fileLeaves)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
		lines[len(lines)-1] += "\n"
		if err := os.WriteFile(path, []byte(strings.Join(c.change(lines), "")), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := verify(t, dir, Expect{}); !strings.Contains(strings.Join(r.Problems, "\n"), c.want) {
			t.Errorf("%s: problems %q, want one that says %q", name, r.Problems, c.want)
		}
		l, err := Open(storeOf(dir), scope(t), dir, start.Add(time.Hour)) // the collector starts on it
		if err != nil {
			t.Fatal(err)
		}
		if size, _ := l.Size(); size != 25 {
			t.Errorf("%s: the new copy has %d entries, want the store's 23, its key and the one that tells of it", name, size)
		}
		l.Close()
		asides, _ := filepath.Glob(dir + ".damaged-*")
		if len(asides) != 1 || len(verify(t, asides[0], Expect{}).Problems) == 0 {
			t.Errorf("%s: the damaged log is not kept: %q", name, asides)
		}
	}
}

func renumber(lines []string) []string {
	for i, line := range lines {
		var e Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			panic(err)
		}
		e.N = int64(i)
		text, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		lines[i] = string(text) + "\n"
	}
	return lines
}

// TestRewritten holds that a history that was written anew, with a key of its own or even the log's, passes by itself
// and not against what was handed out before.
func TestRewritten(t *testing.T) {
	dir, signed := made(t)
	key, err := os.ReadFile(filepath.Join(dir, filePublic))
	if err != nil {
		t.Fatal(err)
	}
	for name, keep := range map[string][]string{"another key": nil, "the log's own key": {fileKey, filePublic}} {
		again := filepath.Join(t.TempDir(), FolderName)
		if err := os.Mkdir(again, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, file := range keep {
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err == nil {
				err = os.WriteFile(filepath.Join(again, file), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		l := openLog(t, again)
		add(t, l, 5, 40)
		sign(t, l, start)
		if r := verify(t, again, Expect{}); len(r.Problems) > 0 {
			t.Errorf("%s: by itself: %q", name, r.Problems)
		}
		if r := verify(t, again, Expect{Checkpoints: [][]byte{signed[1].Note}}); len(r.Problems) == 0 {
			t.Errorf("%s: passes against a checkpoint that was handed out", name)
		}
		if r := verify(t, again, Expect{Keys: []string{strings.TrimSpace(string(key))}}); (len(r.Problems) == 0) != (keep != nil) {
			t.Errorf("%s: against the key that was handed out: %q", name, r.Problems)
		}
	}
}

// TestProofs holds inclusion and consistency proofs for every entry and every pair of sizes, and that wrong ones fail.
func TestProofs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), FolderName)
	l := openLog(t, dir)
	var signed []Checkpoint
	for i := range 20 {
		add(t, l, i, 1)
		signed = append(signed, sign(t, l, start.Add(time.Duration(i)*time.Minute)))
	}
	text, err := os.ReadFile(filepath.Join(dir, fileLeaves))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	for i, c := range signed {
		for n := range lines[:i+1] {
			p, err := l.ProveEntry(c, int64(n))
			if err != nil {
				t.Fatal(err)
			}
			place := int64(n)
			if err := (&Proof{Entry: &place, Leaf: string(lines[n]), Size: c.Size, Hashes: p}).Check(signed...); err != nil {
				t.Errorf("entry %d of %d: %v", n, c.Size, err)
			}
			if err := (&Proof{Entry: &place, Leaf: " " + string(lines[n]), Size: c.Size, Hashes: p}).Check(c); err == nil {
				t.Errorf("entry %d of %d: another text passes", n, c.Size)
			}
			if len(p) > 0 {
				p[0] = tlog.Hash{}
				if err := (&Proof{Entry: &place, Leaf: string(lines[n]), Size: c.Size, Hashes: p}).Check(c); err == nil {
					t.Errorf("entry %d of %d: a wrong proof passes", n, c.Size)
				}
			}
		}
		for _, older := range signed[:i] {
			p, err := l.ProveGrowth(older, c)
			if err != nil {
				t.Fatal(err)
			}
			growth := &Proof{From: &older.Size, Size: c.Size, Hashes: p}
			if err := growth.Check(signed...); err != nil {
				t.Errorf("from %d to %d: %v", older.Size, c.Size, err)
			}
			older.Root[3] ^= 1
			if err := growth.Check(older, c); err == nil {
				t.Errorf("from %d to %d: another root passes", older.Size, c.Size)
			}
		}
	}
}

// TestCrash holds that a log opens after any part of the last write is missing, with all that was signed in it.
func TestCrash(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"a line cut short": func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, fileLeaves), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString(`{"n":23,"at":"20`)
			return err
		},
		"hashes cut short": func(dir string) error { return os.Truncate(filepath.Join(dir, fileHashes), 100) },
		"no hashes":        func(dir string) error { return os.Remove(filepath.Join(dir, fileHashes)) },
		"wrong hashes": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, fileHashes), bytes.Repeat([]byte{1}, 46*32), 0o600)
		},
		"no checkpoint": func(dir string) error { return os.Remove(filepath.Join(dir, fileCheckpoint)) },
	} {
		dir, signed := made(t)
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		l := openLog(t, dir)
		add(t, l, 23, 5)
		sign(t, l, start.Add(time.Hour))
		if r := verify(t, dir, Expect{Checkpoints: [][]byte{signed[2].Note}}); len(r.Problems) > 0 || r.Signed != 28 {
			t.Errorf("%s: %d entries signed, problems %q; want 28 and none", name, r.Signed, r.Problems)
		}
	}
}
