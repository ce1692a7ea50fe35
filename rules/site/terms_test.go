package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// TestFormer: a pack without terms is, byte for byte, what it was before packs had any.
func TestFormer(t *testing.T) {
	sum := sha256.Sum256(sealed(t, 7))
	if got, want := hex.EncodeToString(sum[:]), "33f80b960c3bbd92af85997e5868bcac9e500a66c469e566c3441b046870c717"; got != want {
		t.Errorf("a pack without terms is %s, was %s", got, want)
	}
}

var policyFS = fstest.MapFS{SiteFile: {Data: []byte("disable: [{rule: X02-many, reason: r, author: a}]\n")}}

// TestTerms: terms that cannot be are neither signed nor read.
func TestTerms(t *testing.T) {
	for _, c := range []struct {
		terms Terms
		files fstest.MapFS
		want  string
	}{
		{Terms{}, ruleFS, ""},
		{Terms{Operator: "north", Sensors: []string{"a", "b"}, Expires: created}, ruleFS, ""},
		{Terms{Kind: Policy, Operator: "north"}, policyFS, ""},
		{Terms{Kind: Policy}, policyFS, "names its operator"},
		{Terms{Kind: Policy, Operator: "north"}, ruleFS, "no place in a policy"},
		{Terms{Kind: "orders"}, ruleFS, "no kind of a pack"},
		{Terms{Operator: "North"}, ruleFS, "cannot be the name of an operator"},
		{Terms{Sensors: []string{"b", "a"}}, ruleFS, "not sorted"},
		{Terms{Sensors: []string{"a", "a"}}, ruleFS, "not sorted"},
		{Terms{Sensors: make([]string, maxSensors+1)}, ruleFS, "leave them out"},
	} {
		b, err := Seal("grid", 1, created, c.terms, c.files, owner)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.terms, err, c.want)
		}
		if err != nil {
			continue
		}
		p, err := Open(b)
		if err != nil || p.Kind != c.terms.Kind || p.Operator != c.terms.Operator || len(p.Sensors) != len(c.terms.Sensors) || !p.Expires.Equal(c.terms.Expires.UTC().Truncate(time.Second)) {
			t.Errorf("%+v is read as %+v, %v", c.terms, p, err)
		}
	}
}

// TestFor: a pack is for whom it names, until it expires; each refusal has a word.
func TestFor(t *testing.T) {
	until := created.Add(time.Hour)
	for _, c := range []struct {
		terms    Terms
		operator string
		at       time.Time
		want     string
	}{
		{Terms{}, "north", created, ""},
		{Terms{Operator: "north"}, "north", created, ""},
		{Terms{Operator: "north"}, "south", created, "foreign"},
		{Terms{Operator: "north"}, "", created, "foreign"},
		{Terms{Sensors: []string{"site-a", "x"}}, "north", created, ""},
		{Terms{Sensors: []string{"id-1"}}, "north", created, ""},
		{Terms{Sensors: []string{"site-b"}}, "north", created, "foreign"},
		{Terms{Expires: until}, "north", until.Add(-1), ""},
		{Terms{Expires: until}, "north", until, "expired"},
		{Terms{Expires: until}, "north", time.Time{}, ""},
	} {
		err := c.terms.For(c.operator, []string{"id-1", "site-a"}, c.at)
		if (err == nil) != (c.want == "") || err != nil && Reason(err) != c.want {
			t.Errorf("%+v for %q at %v: %v, want %q", c.terms, c.operator, c.at, err, c.want)
		}
	}
	p, err := Open(sealed(t, 7))
	if err != nil {
		t.Fatal(err)
	}
	for err, want := range map[error]string{
		p.Verify(public(stranger)): "forged", p.After(8, batch.Hash{}): "older", p.After(7, batch.Hash{1}): "replayed", errors.New("x"): "faulty",
	} {
		if got := Reason(err); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
}

// TestOver: what a centre and a site say holds together; of a severity the site has the last word.
func TestOver(t *testing.T) {
	v, set := fixtures(t)
	read := func(text string) *Overrides {
		o, err := Load(v, "site.yaml", []byte(text), set)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	centre := read("disable: [{rule: X02-many, reason: r, author: a}]\nseverity: [{rule: X01-restart, severity: low, reason: r, author: a}]")
	local := read("severity: [{rule: X01-restart, severity: critical, reason: r, author: a}]\nexceptions: [{rule: X03-steps, where: code == 4, until: 2030-01-01, reason: r, author: a}]")
	both := centre.Over(local)
	got := map[string]rules.Severity{}
	for _, r := range both.Apply(set, time.Time{}) {
		got[r.ID] = r.Severity
	}
	if len(got) != 2 || got["X01-restart"] != rules.Critical || len(both.Exceptions) != 1 {
		t.Errorf("in force are %v, %+v", got, both)
	}
	if len(centre.Exceptions) != 0 || len(local.Disabled) != 0 {
		t.Error("a part was changed")
	}
	var none *Overrides
	if none.Over(local) != local || centre.Over(none) != centre || none.Over(none) != nil {
		t.Error("with nothing, the other one is not what counts")
	}
}

// FuzzOpen: whatever the bytes, a pack that is read has one form, and terms that can be.
func FuzzOpen(f *testing.F) {
	for _, terms := range []Terms{{}, {Operator: "north", Sensors: []string{"a"}, Expires: created}} {
		b, err := Seal("grid", 1, created, terms, ruleFS, owner)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Open(b)
		if err != nil {
			return
		}
		if err := p.check(); err != nil {
			t.Errorf("read and cannot be: %v", err)
		}
		again, err := Seal(p.Name, p.Version, p.Created, p.Terms, p.FS(), owner)
		if p.Verify(public(owner)) == nil && (err != nil || !bytes.Equal(again, b)) {
			t.Errorf("two forms of one pack: %v", err)
		}
	})
}
