package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules/site"
)

// TestPacks keeps, assigns and follows packs as a user would.
func TestPacks(t *testing.T) {
	data, dir, now := t.TempDir(), t.TempDir(), time.Now()
	db, err := sqlite.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.For("default")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.CreateToken(t.Context(), s, store.Token{ID: "t", Expires: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if err := db.Enrol(t.Context(), s, "t", [32]byte{}, store.Sensor{ID: "s1", Name: "Alpha", Enrolled: now}, store.Cert{Sensor: "s1", Serial: "1", Key: "k", Public: []byte{1}, Expires: now.AddDate(0, 1, 0)}, now); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	author := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := func(name string, k ed25519.PrivateKey) string {
		der, err := x509.MarshalPKIXPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		return write(name, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	seal := func(name string, version uint64, terms site.Terms) string {
		b, err := site.Seal("grid", version, now, terms, fstest.MapFS{"mine.yaml": {Data: []byte("# none\n")}}, author)
		if err != nil {
			t.Fatal(err)
		}
		return write(name, b)
	}
	ours, other := key("a.pub", author), key("b.pub", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize)))
	one, two := seal("1", 1, site.Terms{}), seal("2", 2, site.Terms{Sensors: []string{"Alpha"}})
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "one of add, assign, list, status, unassign"},
		{"add " + one, 2, `"key" not set`},
		{"add --key " + one + " " + one, 1, "no public Ed25519 key"},
		{"add --key " + other + " " + one, 1, "signature does not fit the key"},
		{"add --key " + ours + " " + ours, 1, "does not begin with"},
		{"add --key " + ours + " " + seal("3", 3, site.Terms{Operator: "elsewhere"}), 1, "for somebody else"},
		{"add --key " + ours + " " + one, 0, "rules pack grid 1 is kept"},
		{"add --key " + ours + " " + one, 0, "rules pack grid 1 is kept"},
		{"add --key " + ours + " " + two, 0, "rules pack grid 2 is kept"},
		{"add --key " + ours + " " + seal("2b", 2, site.Terms{}), 1, "exists already"},
		{"assign grid", 2, "at least one of the flags"},
		{"assign --all --site Alpha grid", 2, "none of the others can be"},
		{"assign --all --kind orders grid", 2, "--kind is one of rules, policy"},
		{"assign --all --version 9 grid", 1, "packs list"},
		{"assign --sensor s9 grid", 1, "not found"},
		{"assign --all --version 1 grid", 0, "rules pack grid 1 is for all"},
		{"assign --site Alpha grid", 0, "rules pack grid 2 is for site:Alpha"},
		{"list", 0, "site:Alpha"},
		{"status", 0, "lags"},
		{"unassign --site Alpha", 0, ""},
		{"unassign --site Alpha", 1, "not found"},
		{"status", 0, "grid 1"},
	} {
		args := append([]string{"packs"}, strings.Fields(c.args)...)
		if c.args != "" {
			args = append(args, "--data", data)
		}
		code, stdout, stderr := command(t.Context(), "", args...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) || strings.Count(stderr, "\n") > 1 {
			t.Errorf("packs %s: exit %d, %q %q; want %d, %q", c.args, code, stdout, stderr, c.code, c.want)
		}
	}
}
