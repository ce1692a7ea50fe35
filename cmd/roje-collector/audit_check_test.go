package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/audit"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
)

// TestAuditCheck holds that who keeps checkpoints, and nothing else, can check proofs of entries and of growth, and that
// neither passes for a changed entry, another checkpoint or another key.
func TestAuditCheck(t *testing.T) {
	dir := t.TempDir()
	db, err := sqlite.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	scope, err := store.For("default")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	log, err := audit.Open(db, scope, filepath.Join(dir, audit.FolderName), at)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var kept [3]audit.Checkpoint
	var files [3]string
	for i := range kept {
		if err := log.Append(audit.Entry{At: at, Who: "ann", What: audit.SignIn}, audit.Entry{At: at, Who: "bob", What: audit.SignIn}); err != nil {
			t.Fatal(err)
		}
		if kept[i], _, err = log.Sign(at); err != nil {
			t.Fatal(err)
		}
		files[i] = file("kept"+string(rune('0'+i)), kept[i].Note)
	}
	leaves, err := os.ReadFile(filepath.Join(dir, audit.FolderName, "leaves.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	place := int64(2)
	entry := audit.Proof{Entry: &place, Leaf: strings.Split(string(leaves), "\n")[place], Size: kept[1].Size}
	growth := audit.Proof{From: &kept[0].Size, Size: kept[2].Size}
	if entry.Hashes, err = log.ProveEntry(kept[1], place); err == nil {
		growth.Hashes, err = log.ProveGrowth(kept[0], kept[2])
	}
	if err != nil {
		t.Fatal(err)
	}
	written := func(name string, p audit.Proof) string {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return file(name, text)
	}
	ofEntry, ofGrowth := written("entry.json", entry), written("growth.json", growth)
	entry.Leaf = strings.Replace(entry.Leaf, "bob", "eve", 1)
	changed := written("changed.json", entry)
	key := log.PublicKey()
	for _, c := range []struct {
		proof, key string
		kept       []string
		code       int
		want       string
	}{
		{ofEntry, key, files[1:2], 0, `at place 2:`},
		{ofEntry, key, files[:1], 1, "none of the checkpoints is of"},
		{ofGrowth, key, []string{files[0], files[2]}, 0, "are the beginning of"},
		{ofGrowth, key, files[2:], 1, "none of the checkpoints is of"},
		{changed, key, files[1:2], 1, "the proof does not hold"},
		{ofEntry, "roje/default+889d5639+AbsFlRYAznxQ13YoIvx0ItCFszPMxfgZ84PGlouZQSR6", files[1:2], 1, "kept1"},
		{file("none.json", []byte("[]")), key, files[1:2], 1, "is no proof"},
		{file("empty.json", []byte("{}")), key, files[1:2], 1, "the proof does not hold"},
	} {
		args := []string{"audit", "check", "--proof", c.proof, "--key", c.key}
		for _, f := range c.kept {
			args = append(args, "--checkpoint", f)
		}
		code, stdout, stderr := command(t.Context(), "", args...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%q: exit %d, %q %q; want %d with %q", args, code, stdout, stderr, c.code, c.want)
		}
	}
}
