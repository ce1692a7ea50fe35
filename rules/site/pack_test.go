package site

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/pack"
)

var (
	owner    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	stranger = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	created  = time.Date(2026, 11, 21, 9, 30, 0, 5, time.UTC)
	ruleFS   = fstest.MapFS{"b.yaml": {Data: []byte(twoRules)}, "a.yaml": {Data: []byte("# nothing\n")}, "README": {Data: []byte("x")}, "d/c.yaml": {Data: []byte("x")}}
)

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func sealed(t *testing.T, version uint64) []byte {
	t.Helper()
	b, err := Seal("grid", version, created, Terms{}, ruleFS, owner)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPack: what was sealed is read again, verified by its key alone, has one form, and loads like a folder of rules.
func TestPack(t *testing.T) {
	b := sealed(t, 7)
	if again := sealed(t, 7); !bytes.Equal(b, again) {
		t.Error("the same files give two packs")
	}
	p, err := Open(b)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "grid" || p.Version != 7 || !p.Created.Equal(created.Truncate(time.Second)) || len(p.Files) != 2 || p.Files[0].Name != "a.yaml" {
		t.Errorf("manifest %+v", p.Manifest)
	}
	if err := p.Verify(public(owner)); err != nil {
		t.Error(err)
	}
	for _, key := range []ed25519.PublicKey{public(stranger), nil} {
		if err := p.Verify(key); !errors.Is(err, batch.ErrSignature) || !strings.Contains(err.Error(), batch.KeyID(public(owner))) {
			t.Errorf("%v", err)
		}
	}
	set, err := pack.Load(catalog.All, p.FS(), "grid")
	if err != nil || len(set) != 3 || set[0].File != "grid/b.yaml" {
		t.Errorf("%d rules, %v", len(set), err)
	}
	f, err := p.FS().Open("a.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if s, err := f.Stat(); err != nil || s.Name() != "a.yaml" || s.Size() != 10 || s.IsDir() {
		t.Errorf("%v %v", s, err)
	}
	for _, name := range []string{"../a.yaml", "c.yaml"} {
		if _, err := fs.ReadFile(p.FS(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAfter: an older pack is refused, and so is another one of the same version; the same and newer ones are taken.
func TestAfter(t *testing.T) {
	p, err := Open(sealed(t, 7))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		version uint64
		hash    batch.Hash
		want    string
	}{
		{0, batch.Hash{}, ""}, {6, batch.Hash{1}, ""}, {7, p.Hash, ""}, {7, batch.Hash{1}, "version of its own"}, {8, batch.Hash{1}, "older than 8"},
	} {
		err := p.After(c.version, c.hash)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("after %d: %v, want %q", c.version, err, c.want)
		}
	}
}

// TestEveryBytePack: no byte of a pack can change without being found out, and no pack is read that was cut short.
func TestEveryBytePack(t *testing.T) {
	whole := sealed(t, 7)
	for i := range whole {
		changed := bytes.Clone(whole)
		changed[i] ^= 0x20
		if p, err := Open(changed); err == nil && p.Verify(public(owner)) == nil {
			t.Fatalf("byte %d can be changed", i)
		}
		if _, err := Open(whole[:i]); err == nil {
			t.Fatalf("a pack of %d bytes is read from %d", len(whole), i)
		}
	}
	if _, err := Open(append(bytes.Clone(whole), 0)); err == nil {
		t.Error("a byte behind the end is not seen")
	}
	if !IsPack(whole) || IsPack([]byte("- id: X")) {
		t.Error("packs and rule files are not told apart")
	}
}

// TestForgedPacks: a manifest that the owner's own key signed is still held to what a manifest can be.
func TestForgedPacks(t *testing.T) {
	text := []byte("# nothing\n")
	file := func(name string, size int) string {
		sum := batch.Hash(sha256.Sum256(text))
		b, _ := json.Marshal(File{name, size, sum})
		return string(b)
	}
	head := func(name, version, files string) string {
		return `{"name":"` + name + `","version":` + version + `,"created":"2026-11-21T09:30:00Z","key":"k","files":[` + files + `]}`
	}
	for _, c := range []struct{ head, want string }{
		{head("grid", "1", file("a.yaml", 10)), ""},
		{head("../grid", "1", file("a.yaml", 10)), "cannot be the name of a pack"},
		{head("grid", "0", file("a.yaml", 10)), "no version"},
		{head("grid", "-1", file("a.yaml", 10)), "manifest"},
		{head("grid", "1", ""), "no *.yaml file"},
		{head("grid", "1", file("../a.yaml", 10)), "no name of a rule file"},
		{head("grid", "1", file("a.txt", 10)), "no name of a rule file"},
		{head("grid", "1", file("a.yaml", -1)), "cannot have -1 bytes"},
		{head("grid", "1", file("a.yaml", 11)), "cut short"},
		{head("grid", "1", file("a.yaml", 9)), "does not fit its hash"},
		{head("grid", "1", file("b.yaml", 0)+","+file("a.yaml", 10)), "stands behind"},
		{head("grid", "1", file("a.yaml", 10)+","+file("a.yaml", 10)), "stands behind"},
		{" " + head("grid", "1", file("a.yaml", 10)), "one form"},
		{strings.Replace(head("grid", "1", file("a.yaml", 10)), `"name"`, `"nome"`, 1), "unknown field"},
		{"{", "manifest"},
	} {
		_, err := Open(packForm.Sign([]byte(c.head), text, owner))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngives %v, want %q", c.head, err, c.want)
		}
	}
	for _, c := range []struct {
		name    string
		version uint64
		fsys    fs.FS
	}{{"Grid", 1, ruleFS}, {"grid", 0, ruleFS}, {"grid", 1, fstest.MapFS{}}, {"grid", 1, fstest.MapFS{"a.yaml": {Data: make([]byte, maxPack+1)}}}} {
		if _, err := Seal(c.name, c.version, created, Terms{}, c.fsys, owner); err == nil {
			t.Errorf("sealed %q %d", c.name, c.version)
		}
	}
}
