package sensor

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

	"github.com/roje-ot/roje/rules/site"
)

// signer makes a key pair from a byte, and the file of its public half.
func signer(t *testing.T, seed byte) (ed25519.PrivateKey, string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key, put(t, filepath.Join(t.TempDir(), "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
}

func packed(t *testing.T, key ed25519.PrivateKey, version uint64, text string) []byte {
	t.Helper()
	b, err := site.Seal("grid", version, time.Unix(1.8e9, 0), site.Terms{}, fstest.MapFS{"mine.yaml": {Data: []byte(text)}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestInstallPack: with a trusted key, a pack gets in only if that key signed it, if it is not older than what was in use,
// and if its rules are good; otherwise the one before stays.
func TestInstallPack(t *testing.T) {
	owner, key := signer(t, 1)
	stranger, _ := signer(t, 2)
	dir := t.TempDir()
	f := RuleFiles{Rules: filepath.Join(dir, "grid.rojepack"), Key: key, State: dir}
	now := time.Unix(1.8e9, 0)
	install := func(b []byte, want string) {
		t.Helper()
		before, _ := os.ReadFile(f.Rules)
		book, err := InstallPack(f, b, now)
		after, _ := os.ReadFile(f.Rules)
		switch {
		case want == "" && (err != nil || !book.Trusted || !bytes.Equal(after, b)):
			t.Errorf("is not installed: %v", err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !bytes.Equal(before, after)):
			t.Errorf("%v, want %q; the pack before is there: %v", err, want, bytes.Equal(before, after))
		}
	}
	install([]byte(siteRule), "is no pack; name a folder")
	install(nil, "is no pack")
	install(packed(t, stranger, 1, siteRule), "signature does not fit the key")
	second := packed(t, owner, 2, siteRule)
	install(second[:len(second)-1], "cut short")
	install(packed(t, owner, 1, strings.Replace(siteRule, "fires: true", "fires: false", 1)), "needs a test on which it fires")
	install(packed(t, owner, 1, strings.Replace(siteRule, "code: 13}}", "code: 12}}", 1)), "must fire and does not")
	install(second, "")

	book, err := LoadRulebook(f, now)
	if err != nil || book.Pack.Version != 2 || !book.Trusted || len(book.Updated) != 0 {
		t.Fatalf("%+v, %v", book, err)
	}
	install(packed(t, owner, 1, siteRule), "") // the second was never in use
	install(second, "")
	if err := book.remember(f.State); err != nil {
		t.Fatal(err)
	}
	install(packed(t, owner, 1, siteRule), "is older than 2, which was in use")
	install(packed(t, owner, 2, siteRule+"\n"), "give it a version of its own")
	install(second, "")
	update := packed(t, owner, 3, strings.Replace(siteRule, "X01-mine", "D01-dnp3-restart", 1))
	install(update, "")
	updated, err := LoadRulebook(f, now)
	if err != nil || len(updated.Updated) != 1 || updated.Updated[0] != "D01-dnp3-restart" || len(updated.Rules) != len(book.Rules)-1 {
		t.Errorf("%v: %v stand for built-in rules, %d rules after %d", err, updated.Updated, len(updated.Rules), len(book.Rules))
	}

	if err := os.WriteFile(f.Rules, packed(t, owner, 1, siteRule), 0o600); err != nil { // by hand
		t.Fatal(err)
	}
	if _, err := LoadRulebook(f, now); err == nil || !strings.Contains(err.Error(), "going back is refused") {
		t.Errorf("an old pack is taken: %v", err)
	}
	put(t, filepath.Join(dir, packsFile), "{")
	if _, err := LoadRulebook(f, now); err == nil || !strings.Contains(err.Error(), "is not known") {
		t.Errorf("what was in use is lost and nobody says it: %v", err)
	}
}

// TestRuleFiles: what a sensor takes rules from, and what it says where it does not.
func TestRuleFiles(t *testing.T) {
	owner, key := signer(t, 1)
	dir := t.TempDir()
	folder := filepath.Join(dir, "rules")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(folder, "mine.yaml"), siteRule)
	pack := put(t, filepath.Join(dir, "pack"), string(packed(t, owner, 1, siteRule)))
	text := put(t, filepath.Join(dir, "text"), siteRule)
	over := put(t, filepath.Join(dir, "site.yaml"), "disable: [{rule: X01-mine, reason: r, author: a}]")
	wrong := put(t, filepath.Join(dir, "wrong.yaml"), "disable: [{rule: X01-mien, reason: r, author: a}]")
	shipped, err := LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    RuleFiles
		more int // rules in force beside the shipped ones
		want string
	}{
		{RuleFiles{}, 0, ""},
		{RuleFiles{Key: key}, 0, ""},
		{RuleFiles{Rules: folder}, 1, ""},
		{RuleFiles{Rules: folder, Site: over}, 0, ""},
		{RuleFiles{Rules: pack}, 1, ""},
		{RuleFiles{Rules: pack, Key: key, State: dir}, 1, ""},
		{RuleFiles{Rules: folder, Key: key}, 0, "rules_key asks for a signed pack"},
		{RuleFiles{Rules: text}, 0, "is no pack; name a folder of rule files"},
		{RuleFiles{Rules: pack, Key: text}, 0, "rules_key"},
		{RuleFiles{Rules: pack, Key: filepath.Join(dir, "none")}, 0, "no such file"},
		{RuleFiles{Rules: filepath.Join(dir, "none")}, 0, "no such file"},
		{RuleFiles{Site: filepath.Join(dir, "none")}, 0, "rules_site"},
		{RuleFiles{Rules: folder, Site: wrong}, 0, `wrong.yaml:1:18: unknown rule "X01-mien"; did you mean "X01-mine"?`},
		{RuleFiles{Site: over}, 0, `unknown rule "X01-mine"`},
	} {
		book, err := LoadRulebook(c.f, time.Time{})
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v, want %q", c.f, err, c.want)
			}
			continue
		}
		if err != nil || len(book.Rules) != len(shipped)+c.more {
			t.Errorf("%+v: %v, %d rules beside %d", c.f, err, len(book.Rules)-len(shipped), len(shipped))
		}
	}
	for _, f := range []RuleFiles{{Rules: pack}, {Key: key}, {Rules: folder, Key: key}} {
		if _, err := InstallPack(f, packed(t, owner, 1, siteRule), time.Time{}); err == nil {
			t.Errorf("installed with %+v", f)
		}
	}
}
