package ledger

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func keyFrom(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

// A tenure is a day of a sensor that signs with a key, and has others from before.
type tenure struct {
	key    byte
	former []byte
}

// days lets a sensor run for a day of each tenure in turn, with five records a day.
func days(t *testing.T, path string, list ...tenure) {
	t.Helper()
	today := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	if seals, err := Seals(path); err == nil {
		today = seals[len(seals)-1].At.Add(24 * time.Hour)
	}
	for _, d := range list {
		s := &Store{path: path, budget: Budget, key: keyFrom(d.key), now: func() time.Time { return today }}
		for _, seed := range d.former {
			s.former = append(s.former, keyFrom(seed))
		}
		var group [][]byte
		for i := range 5 {
			group = append(group, mustJSON(t, recordOf(i)))
		}
		for _, err := range []error{s.commit(nil), s.commit(group), s.put(nil, true)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		today = today.Add(24 * time.Hour)
	}
}

// TestKeys holds that a sensor's ledger verifies over a change of its key, and that a key which none of its keys has
// introduced is found out, in the store and in an export of it.
func TestKeys(t *testing.T) {
	const a, b, c, stranger = 1, 2, 3, 9
	once := []tenure{{a, nil}, {b, []byte{a}}}
	for _, k := range []struct {
		name  string
		days  []tenure
		given []byte // keys that are named
		keys  []byte // that sealed; nil where want is an error
		want  string
	}{
		{"one key", []tenure{{a, nil}, {a, nil}}, nil, []byte{a}, ""},
		{"introduced", once, nil, []byte{a, b}, ""},
		{"introduced, the old one named", once, []byte{a}, []byte{a, b}, ""},
		{"introduced, both named", once, []byte{b, a}, []byte{a, b}, ""},
		{"introduced, only the new one named", once, []byte{b}, nil, "none of those that should have"},
		{"two changes", []tenure{{a, nil}, {b, []byte{a}}, {b, []byte{a}}, {c, []byte{a, b}}}, []byte{a}, []byte{a, b, c}, ""},
		{"and the first again", append(once, tenure{a, []byte{a, b}}), nil, []byte{a, b, a}, ""},
		{"the old key is gone", []tenure{{a, nil}, {b, nil}}, nil, nil, "has not introduced"},
		{"the old key is gone, both named", []tenure{{a, nil}, {b, nil}}, []byte{a, b}, []byte{a, b}, ""},
		{"the old key is gone, one named", []tenure{{a, nil}, {b, nil}}, []byte{a}, nil, "has not introduced"},
		{"of a stranger, who has another key", []tenure{{a, nil}, {stranger, []byte{b, stranger}}}, []byte{a}, nil, "has not introduced"},
		{"of a stranger, after a change", append(once, tenure{stranger, nil}), []byte{a, b}, nil, "has not introduced"},
		{"of a stranger at first, who introduces the sensor's", []tenure{{stranger, nil}, {a, []byte{stranger}}}, []byte{a}, nil, "none of those that should have"},
		{"of a stranger at first and at the end", []tenure{{stranger, nil}, {a, []byte{stranger}}, {stranger, nil}}, nil, nil, "has not introduced"},
	} {
		path := filepath.Join(t.TempDir(), FileName)
		days(t, path, k.days...)
		var given, keys []string
		for _, seed := range k.given {
			given = append(given, fingerprint(seed))
		}
		for _, seed := range k.keys {
			keys = append(keys, fingerprint(seed))
		}
		v, err := Verify(path, given)
		if k.keys == nil {
			if !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), k.want) {
				t.Errorf("%s: %v, want %q", k.name, err, k.want)
			}
			continue
		}
		if err != nil || strings.Join(v.Keys, " ") != strings.Join(keys, " ") || v.Open != 0 {
			t.Errorf("%s: %+v, %v; want keys %v", k.name, v, err, keys)
		}
		var out bytes.Buffer
		last := k.days[len(k.days)-1]
		if err := Export(path, &out, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), keyFrom(last.key)); err != nil {
			t.Fatal(err)
		}
		if v, err := VerifyExport(&out, given); err != nil || v.Keys[len(v.Keys)-1] != fingerprint(last.key) {
			t.Errorf("%s: an export: %+v, %v", k.name, v, err)
		}
	}
}

// TestKeysKept holds that seals which were kept elsewhere over a change of key do not ask for more than the store, and that
// an export made with a key that has not sealed yet is introduced, too.
func TestKeysKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	days(t, path, tenure{1, nil})
	early, err := Seals(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Export(path, &out, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), keyFrom(2), keyFrom(1)); err != nil {
		t.Fatal(err)
	}
	if v, err := VerifyExport(&out, []string{fingerprint(1)}, early...); err != nil || len(v.Keys) != 2 {
		t.Errorf("an export by the new key: %+v, %v", v, err)
	}
	days(t, path, tenure{2, []byte{1}})
	late, err := Seals(path)
	if err != nil {
		t.Fatal(err)
	}
	bare := append([]Seal(nil), late...)
	for i := range bare {
		bare[i].Introduced = nil // as a collector gives them back that does not know of it
	}
	for name, kept := range map[string][]Seal{"early": early, "all": late, "all, without what introduces": bare} {
		if v, err := Verify(path, []string{fingerprint(1)}, kept...); err != nil || v.Seals != len(late) {
			t.Errorf("%s: %+v, %v; want %d seals", name, v, err, len(late))
		}
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	days(t, path, tenure{9, nil}) // who has put it back goes on with a key of his own
	if _, err := Verify(path, nil, late...); !errors.Is(err, ErrChain) {
		t.Errorf("put back and gone on with by a stranger: %v", err)
	}
	forged := late[len(late)-1]
	forged.Introduce(keyFrom(9))
	forged.Introduced.Key = keyFrom(1).Public().(ed25519.PublicKey)
	if _, err := Verify(path, nil, forged); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), "the introduction of key") {
		t.Errorf("a forged introduction: %v", err)
	}
}

// TestStranger holds that a store says when it goes on under a key that nobody has introduced, and only then.
func TestStranger(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	for _, c := range []struct {
		key    byte
		former []ed25519.PrivateKey
		want   string
	}{{1, nil, ""}, {1, nil, ""}, {2, []ed25519.PrivateKey{keyFrom(3), keyFrom(1)}, ""}, {2, nil, ""}, {4, []ed25519.PrivateKey{keyFrom(1)}, fingerprint(2)}, {4, nil, ""}} {
		s, err := OpenStore(path, 0, keyFrom(c.key), c.former...)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got := s.Stranger(); got != c.want {
			t.Errorf("key %d: %q, want %q", c.key, got, c.want)
		}
	}
}

func fingerprint(seed byte) string {
	s := sealed(keyFrom(seed), nil, time.Time{}, 0, [32]byte{}, nil)
	return s.Fingerprint()
}
