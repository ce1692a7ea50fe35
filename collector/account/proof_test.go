package account

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/sqlite"
)

// TestHOTP holds the codes to the test values of RFC 4226, appendix D, and RFC 6238, appendix B (of whose eight digits we
// take the last six).
func TestHOTP(t *testing.T) {
	secret := []byte("12345678901234567890")
	for counter, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := hotp(secret, int64(counter)); got != want {
			t.Errorf("counter %d: %s, want %s", counter, got, want)
		}
	}
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if step := codeStep(secret, want, time.Unix(at, 0), 0); step != at/30 {
			t.Errorf("at %d, %s is of step %d, want %d", at, want, step, at/30)
		}
	}
	u, err := url.Parse(SecretURL("Roje", "ana", secret))
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Roje:ana" || u.Query().Get("secret") != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" || u.Query().Get("issuer") != "Roje" {
		t.Errorf("%s: %v", u, err)
	}
}

// A desk with a user whose clock can be moved.
func secondRig(t *testing.T) (desk *Desk, db store.Users, scope store.Scope, now *time.Time) {
	st, scope := specimen.Store(t)
	at := specimen.Start
	now = &at
	desk = NewDesk(st, scope, NewCover([32]byte{1}, scope), func() time.Time { return *now })
	if err := st.PutUser(t.Context(), scope, store.User{Name: "ana", Role: store.Admin, Hash: Hash("a long password"), Created: at}, "test", at); err != nil {
		t.Fatal(err)
	}
	return desk, st, scope, now
}

func get(t *testing.T, users store.Users, scope store.Scope, name string) store.User {
	t.Helper()
	u, err := users.GetUser(t.Context(), scope, name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestSecondFactor walks a second factor from its set-up to its end.
func TestSecondFactor(t *testing.T) {
	desk, db, scope, now := secondRig(t)
	ctx, secret := t.Context(), NewSecret()
	code := func(after time.Duration) string { return hotp(secret, now.Add(after).Unix()/totpStep) }
	u := get(t, db, scope, "ana")
	if _, err := desk.AddSecond(ctx, &u, secret, "000000x"); !errors.Is(err, ErrCode) || HasSecond(&u) {
		t.Errorf("set up with a wrong code: %v", err)
	}
	if err := desk.Code(ctx, u, code(0)); !errors.Is(err, ErrCode) {
		t.Errorf("a code where there is no second factor: %v", err)
	}
	recovery, err := desk.AddSecond(ctx, &u, secret, code(0))
	if err != nil || len(recovery) != recoveryCodes || !HasSecond(&u) || RecoveryLeft(&u) != recoveryCodes {
		t.Fatalf("set up: %v, %v", recovery, err)
	}
	for _, c := range []struct {
		name  string
		after time.Duration // the clock moves first
		code  func() string
		want  error
	}{
		{"the code it was set up with", 0, func() string { return code(0) }, ErrCode},
		{"the next, before its time", 0, func() string { return code(30 * time.Second) }, nil},
		{"again", 0, func() string { return code(30 * time.Second) }, ErrCode},
		{"one that was passed over", 30 * time.Second, func() string { return code(-30 * time.Second) }, ErrCode},
		{"a new one, with a space in it", 30 * time.Second, func() string { c := code(0); return c[:3] + " " + c[3:] }, nil},
		{"too late", 2 * time.Minute, func() string { return code(-time.Minute) }, ErrCode},
		{"too early", 0, func() string { return code(time.Minute) }, ErrCode},
		{"a recovery code", 0, func() string { return recovery[3] }, nil},
		{"the same again", 0, func() string { return recovery[3] }, ErrCode},
		{"another, as one writes it", 0, func() string { return " " + plainCode(recovery[4]) }, nil},
		{"nothing", 0, func() string { return "" }, ErrCode},
		{"a code still opens", 0, func() string { return code(0) }, nil},
	} {
		*now = now.Add(c.after)
		if err := desk.Code(ctx, get(t, db, scope, "ana"), c.code()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	*now = now.Add(time.Minute)
	old := get(t, db, scope, "ana") // as it was read before the code is used
	if err := desk.Code(ctx, old, code(0)); err != nil {
		t.Error(err)
	}
	if err := desk.Code(ctx, old, code(0)); !errors.Is(err, ErrCode) {
		t.Errorf("a code again, upon what was read before: %v", err)
	}
	if u = get(t, db, scope, "ana"); RecoveryLeft(&u) != recoveryCodes-2 {
		t.Errorf("%d recovery codes are left", RecoveryLeft(&u))
	}
	*now = now.Add(time.Minute)
	for i := range freeForName - 1 { // one was counted above
		if err := desk.Code(ctx, u, "no"); !errors.Is(err, ErrCode) {
			t.Errorf("wrong code %d: %v", i, err)
		}
	}
	var wait Wait
	if err := desk.Code(ctx, u, code(0)); !errors.As(err, &wait) {
		t.Errorf("after %d wrong codes: %v, want to wait", freeForName, err)
	}
	if err := RemoveSecond(ctx, db, scope, &u, "eva", *now); err != nil || HasSecond(&u) {
		t.Error(err)
	}
	acts, err := db.(store.Alerts).Acts(ctx, scope, "ana", 10)
	if err != nil || len(acts) != 5 || acts[0].Who != "eva" || acts[0].Detail != "removed" || acts[1].Detail != "a recovery code was used, 8 are left" || acts[3].Detail != "set up" {
		t.Errorf("acts %+v, %v", acts, err)
	}
}

// TestCodeOnce holds that of many who come with the same code at the same time, one is let in.
func TestCodeOnce(t *testing.T) {
	desk, db, scope, now := secondRig(t)
	secret := NewSecret()
	u := get(t, db, scope, "ana")
	recovery, err := desk.AddSecond(t.Context(), &u, secret, hotp(secret, now.Unix()/totpStep))
	if err != nil {
		t.Fatal(err)
	}
	other := NewDesk(db, scope, NewCover([32]byte{1}, scope), desk.now) // another collector
	for _, code := range []string{recovery[0], hotp(secret, now.Unix()/totpStep+1)} {
		errs := make([]error, 4)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() {
				d := desk
				if i%2 == 1 {
					d = other
				}
				errs[i] = d.Code(t.Context(), u, code)
			})
		}
		all.Wait()
		in := 0
		for _, err := range errs {
			if err == nil {
				in++
			} else if !errors.Is(err, ErrCode) {
				t.Error(err)
			}
		}
		if in != 1 {
			t.Errorf("%d were let in with one code", in)
		}
	}
}

// TestGlass walks a sealed account from its envelope to its next.
func TestGlass(t *testing.T) {
	desk, db, scope, now := secondRig(t)
	ctx := t.Context()
	if _, err := Seal(ctx, db, scope, "ana", "test", *now); !errors.Is(err, store.ErrExists) {
		t.Errorf("a person's account was sealed: %v", err)
	}
	password, err := Seal(ctx, db, scope, "glass", "eva", *now)
	if err != nil {
		t.Fatal(err)
	}
	u, err := desk.SignIn(ctx, "glass", password, "192.0.2.1")
	if err != nil || u.Role != store.Admin || u.Disabled || byPassword(&u) {
		t.Fatalf("%+v, %v", u, err)
	}
	for _, c := range []struct {
		reason string
		want   error
	}{{"", ErrReason}, {"  x          y ", ErrReason}, {"night shift, nobody answers", nil}, {"night shift, nobody answers", ErrSpent}} {
		if err := desk.Break(ctx, &u, c.reason, "192.0.2.1"); !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.reason, err, c.want)
		}
	}
	open, err := OpenGlass(ctx, db, scope)
	if err != nil || len(open) != 1 || open[0].Name != "glass" || open[0].Reason != "night shift, nobody answers" || !open[0].Until.Equal(now.Add(GlassTime)) || open[0].Over(*now) || !open[0].Over(open[0].Until) {
		t.Errorf("opened: %+v, %v", open, err)
	}
	acts, err := db.(store.Alerts).Acts(ctx, scope, "glass", 1)
	if err != nil || acts[0].What != BreakGlass || acts[0].Who != "glass" || acts[0].Detail != "critical: opened from 192.0.2.1 until 2026-11-21T09:30:00Z: night shift, nobody answers" {
		t.Errorf("acts %+v, %v", acts, err)
	}
	again, err := Seal(ctx, db, scope, "glass", "eva", *now)
	if err != nil || again == password {
		t.Fatal(err)
	}
	if _, err := desk.SignIn(ctx, "glass", password, "192.0.2.1"); !errors.Is(err, ErrWrong) {
		t.Errorf("the password of the old envelope: %v", err)
	}
	if open, err := OpenGlass(ctx, db, scope); err != nil || len(open) != 0 {
		t.Errorf("sealed anew, and shown as opened: %+v, %v", open, err)
	}
}

// FuzzProof holds that whatever is stored as a proof, nobody is let in who has not the key.
func FuzzProof(f *testing.F) {
	for _, text := range []string{"", "{}", `{"totp":"` + base64.StdEncoding.EncodeToString([]byte("12345678901234567890")) + `","step":5,"recovery":["x"]}`, `{"glass":{"sealed":"2026-11-21T08:30:00Z"}}`, `{"totp":""}`, "null", "[]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u := store.User{Name: "ana", Proof: text}
		p, err := proofOf(&u)
		if err != nil {
			if !HasSecond(&u) || byPassword(&u) || mark(u) != "" {
				t.Errorf("a proof that cannot be read opens: %q", text)
			}
			return
		}
		again, err := proofOf(&store.User{Proof: p.text()})
		if err != nil || again.text() != p.text() {
			t.Errorf("%q becomes %q: %v", text, p.text(), err)
		}
		if byPassword(&u) == (HasSecond(&u) || p.Glass != nil) {
			t.Errorf("%q: by password %v, second factor %v, seal %v", text, byPassword(&u), HasSecond(&u), p.Glass)
		}
	})
}

// TestCover holds that the key of a second factor is in no row of the store, that what an earlier version left there is sealed,
// and that another key, or another's row, opens nothing but by a recovery code.
func TestCover(t *testing.T) {
	desk, db, scope, now := secondRig(t)
	ctx, secret := t.Context(), NewSecret()
	code := func() string { *now = now.Add(time.Minute); return hotp(secret, now.Unix()/totpStep) }
	open := proof{Secret: secret, Recovery: []string{codeHash("first"), codeHash("second")}}
	if err := db.SwapProof(ctx, scope, "ana", "", open.text(), store.Act{}); err != nil {
		t.Fatal(err)
	}
	u := get(t, db, scope, "ana")
	if err := desk.Code(ctx, u, code()); err != nil {
		t.Errorf("what an earlier version left: %v", err)
	}
	for i, want := range []int{1, 0} {
		if n, err := desk.Cover.SealAll(ctx, db, scope); err != nil || n != want {
			t.Errorf("time %d: sealed of %d users, %v, want %d", i, n, err, want)
		}
	}
	u = get(t, db, scope, "ana")
	if p, err := proofOf(&u); err != nil || len(p.Secret) > 0 || len(p.Sealed) == 0 || !HasSecond(&u) || byPassword(&u) {
		t.Errorf("after that %+v, %v", p, err)
	}
	rows := 0
	err := db.(book.Mover).Dump(ctx, func(table *book.Table, row []any) error {
		rows++
		text := fmt.Sprintf("%s %q", table.Name, row)
		for _, form := range []string{fmt.Sprintf("%q", secret), base64.StdEncoding.EncodeToString(secret), SecretText(secret)} {
			if strings.Contains(text, strings.Trim(form, `"`)) {
				t.Errorf("the key stands in %s", text)
			}
		}
		return nil
	})
	if err != nil || rows < 2 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	if err := desk.Code(ctx, u, code()); err != nil {
		t.Errorf("sealed: %v", err)
	}
	thief := NewDesk(db, scope, NewCover([32]byte{2}, scope), desk.now)
	if err := thief.Code(ctx, u, code()); !errors.Is(err, ErrCover) {
		t.Errorf("under another key: %v, want %v", err, ErrCover)
	}
	if err := thief.Code(ctx, u, "first"); err != nil {
		t.Errorf("a recovery code under another key: %v", err)
	}
	if err := db.PutUser(ctx, scope, store.User{Name: "eve", Role: store.Admin, Created: *now}, "test", *now); err != nil {
		t.Fatal(err)
	}
	if err := db.SwapProof(ctx, scope, "eve", "", get(t, db, scope, "ana").Proof, store.Act{}); err != nil {
		t.Fatal(err)
	}
	if err := desk.Code(ctx, get(t, db, scope, "eve"), code()); !errors.Is(err, ErrCover) {
		t.Errorf("in another's row: %v, want %v", err, ErrCover)
	}
}

// TestRawStore reads the bytes of a store's files: the key of a second factor is in none of them, nor in those of a backup, whose
// rows open with the same key.
func TestRawStore(t *testing.T) {
	dir, out, now := t.TempDir(), filepath.Join(t.TempDir(), "copy"), specimen.Start
	db, err := sqlite.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	scope, err := store.For("north")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.PutUser(t.Context(), scope, store.User{Name: "ana", Role: store.Admin, Created: now}, "test", now); err != nil {
		t.Fatal(err)
	}
	desk, secret, u := NewDesk(db, scope, NewCover([32]byte{1}, scope), func() time.Time { return now }), NewSecret(), get(t, db, scope, "ana")
	if _, err := desk.AddSecond(t.Context(), &u, secret, CodeAt(secret, now)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(t.Context(), filepath.Join(out, sqlite.FileName)); err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, folder := range []string{dir, out} {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if bytes.Contains(raw, []byte("sealed")) {
				looked++ // it has the row
			}
			for _, form := range []string{string(secret), base64.StdEncoding.EncodeToString(secret), SecretText(secret)} {
				if bytes.Contains(raw, []byte(form)) {
					t.Errorf("%s has the key", path)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if looked < 2 {
		t.Errorf("the row was seen in %d files, want it in the store and in the backup", looked)
	}
	restored, err := sqlite.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	now = now.Add(time.Minute)
	again := NewDesk(restored, scope, desk.Cover, func() time.Time { return now })
	if err := again.Code(t.Context(), get(t, restored, scope, "ana"), CodeAt(secret, now)); err != nil {
		t.Errorf("in the backup: %v", err)
	}
}
