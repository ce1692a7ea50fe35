package account

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
)

func TestHash(t *testing.T) {
	hash := Hash("correct horse battery")
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %s", hash)
	}
	if other := Hash("correct horse battery"); other == hash {
		t.Error("two hashes of one password are the same: no salt")
	}
	parts := strings.Split(hash, "$")
	with := func(i int, text string) string {
		changed := append([]string{}, parts...)
		changed[i] = text
		return strings.Join(changed, "$")
	}
	for _, c := range []struct {
		name, hash, password string
		want                 bool
	}{
		{"right", hash, "correct horse battery", true},
		{"wrong", hash, "correct horse batterz", false},
		{"empty password", hash, "", false},
		{"too long", hash, strings.Repeat("x", passwordMost+1), false},
		// what the reference program says: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32
		{"by the reference", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", true},
		{"no hash", "", "", false},
		{"another scheme", "$2a$10$abcdefghijklmnopqrstuv", "x", false},
		{"another version", with(2, "v=16"), "correct horse battery", false},
		{"memory without bound", with(3, "m=4294967295,t=2,p=1"), "correct horse battery", false},
		{"no passes", with(3, "m=19456,t=0,p=1"), "correct horse battery", false},
		{"no lanes", with(3, "m=19456,t=2,p=0"), "correct horse battery", false},
		{"a short key", with(5, "AAAA"), "correct horse battery", false},
		{"no base64", with(4, "!"), "correct horse battery", false},
	} {
		if got := Verify(c.hash, c.password); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	for password, want := range map[string]bool{
		"": false, "short": false, "elevenchars": false, "twelve chars": true, "dvanaest čšž": true, strings.Repeat("a", 30): false,
		strings.Repeat("ab", 513): false, "Administrator": false,
	} {
		if got := CheckPassword("administrator", password) == nil; got != want {
			t.Errorf("%.20q: %v, want %v", password, got, want)
		}
	}
	seen := map[string]bool{}
	for range 100 {
		p := OneTime()
		if err := CheckPassword("admin", p); err != nil || seen[p] || len(p) != 23 {
			t.Errorf("one-time password %q: %v", p, err)
		}
		seen[p] = true
	}
}

func TestCredential(t *testing.T) {
	for _, c := range []struct {
		name, header, value  string
		wantName, wantSecret string
		ok                   bool
	}{
		{"basic", "Authorization", "Basic Y2VydDphIGxvbmcgcGFzc3dvcmQ=", "cert", "a long password", true},
		{"basic, lower case", "Authorization", "basic Y2VydDphIGxvbmcgcGFzc3dvcmQ=", "cert", "a long password", true},
		{"bearer", "Authorization", "Bearer cert:a long password", "cert", "a long password", true},
		{"bearer in base64", "Authorization", "Bearer Y2VydDphIGxvbmcgcGFzc3dvcmQ=", "cert", "a long password", true},
		{"token", "Authorization", "Token cert:a:b", "cert", "a:b", true},
		{"key", "X-Api-Key", "cert:a long password", "cert", "a long password", true},
		{"digest", "Authorization", "Digest username=cert", "", "", false},
		{"nothing", "Authorization", "Basic ", "", "", false},
		{"no colon", "Authorization", "Bearer abc", "", "", false},
		{"none", "X-Other", "cert:x", "", "", false},
	} {
		h := http.Header{}
		h.Set(c.header, c.value)
		name, secret, ok := credential(h)
		if ok != c.ok || ok && (name != c.wantName || secret != c.wantSecret) {
			t.Errorf("%s: %q %q %v, want %q %q %v", c.name, name, secret, ok, c.wantName, c.wantSecret, c.ok)
		}
	}
}

// TestDesk holds the answers to right and wrong credentials, and that a change of the account is seen at once although
// right credentials are remembered.
func TestDesk(t *testing.T) {
	db, scope := specimen.Store(t)
	now := specimen.Start
	desk := NewDesk(db, scope, NewCover([32]byte{1}, scope), func() time.Time { return now })
	ctx := t.Context()
	password, err := Add(ctx, db, scope, "ann", store.Analyst, "test", now)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if u, err := desk.SignIn(ctx, "ann", password, "192.0.2.1"); err != nil || u.Role != store.Analyst || !u.MustChange {
			t.Fatalf("right: %+v, %v", u, err)
		}
	}
	u, err := db.GetUser(ctx, scope, "ann")
	if err != nil {
		t.Fatal(err)
	}
	u.Hash = Hash("another password")
	if err := db.PutUser(ctx, scope, u, "test", now); err != nil {
		t.Fatal(err)
	}
	if _, err := desk.SignIn(ctx, "ann", password, "192.0.2.1"); !errors.Is(err, ErrWrong) {
		t.Errorf("the old password after a change: %v", err)
	}
	u.Disabled = true
	if err := db.PutUser(ctx, scope, u, "test", now); err != nil {
		t.Fatal(err)
	}
	if _, err := desk.SignIn(ctx, "ann", "another password", "192.0.2.1"); !errors.Is(err, ErrWrong) {
		t.Errorf("a disabled account: %v", err)
	}
	if _, err := desk.SignIn(ctx, "nobody", "another password", "192.0.2.1"); !errors.Is(err, ErrWrong) {
		t.Errorf("an unknown name: %v", err)
	}
	for name, want := range map[string]error{"ann": store.ErrExists, "": ErrName, "a b": ErrName, "-a": ErrName, strings.Repeat("a", 65): ErrName} {
		if _, err := Add(ctx, db, scope, name, store.Viewer, "test", now); !errors.Is(err, want) {
			t.Errorf("add %.10q: %v, want %v", name, err, want)
		}
	}
	if _, err := Add(ctx, db, scope, "bob", "root", "test", now); !errors.Is(err, ErrRole) {
		t.Errorf("add a root: %v", err)
	}
}

// TestGuessing holds that guessing is slowed for the name at that address and, later, for the address, and that it is
// forgotten.
func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		now := time.Now()
		const name, free = "name ann at 192.0.2.1", freeForName
		for i := range free {
			if wait := l.wait(name, now); wait != 0 {
				t.Errorf("after %d failures: wait %v", i, wait)
			}
			l.failed(name, free, now)
		}
		if got := l.wait(name, now); got != firstWait {
			t.Errorf("after %d failures: wait %v, want %v", free, got, firstWait)
		}
		if got := l.wait("name bob at 192.0.2.1", now); got != 0 {
			t.Errorf("another name waits %v", got)
		}
		last := time.Duration(0)
		for range 30 {
			now = now.Add(l.wait(name, now))
			l.failed(name, free, now)
			if wait := l.wait(name, now); wait < last || wait > longestWait {
				t.Errorf("wait %v after %v", wait, last)
			} else {
				last = wait
			}
		}
		if last != longestWait {
			t.Errorf("it waits %v at last, want %v", last, longestWait)
		}
		now = now.Add(forgetAfter + time.Second)
		l.failed(name, free, now)
		if got := l.wait(name, now); got != 0 {
			t.Errorf("after a long while: wait %v", got)
		}
		for i := range mostKeys + 10 {
			l.failed(strings.Repeat("k", i%7)+time.Duration(i).String(), free, now)
		}
		if len(l.fail) > mostKeys {
			t.Errorf("%d keys are kept, at most %d", len(l.fail), mostKeys)
		}
	})
}

// TestSlowedSignIn holds that the desk counts: after too many wrong passwords even the right one waits.
func TestSlowedSignIn(t *testing.T) {
	db, scope := specimen.Store(t)
	now := specimen.Start
	desk := NewDesk(db, scope, NewCover([32]byte{1}, scope), func() time.Time { return now })
	password, err := Add(t.Context(), db, scope, "ann", store.Viewer, "test", now)
	if err != nil {
		t.Fatal(err)
	}
	for range freeForName {
		if _, err := desk.SignIn(t.Context(), "Ann", "a wrong password", "192.0.2.1"); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
	}
	var wait Wait
	if _, err := desk.SignIn(t.Context(), "ann", password, "192.0.2.1"); !errors.As(err, &wait) {
		t.Errorf("the right password after %d wrong ones: %v, want a wait", freeForName, err)
	}
	if _, err := desk.SignIn(t.Context(), "ann", password, "192.0.2.2"); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	now = now.Add(time.Duration(wait))
	if _, err := desk.SignIn(t.Context(), "ann", password, "192.0.2.1"); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}
