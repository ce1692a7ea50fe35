package audit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
)

// TestKeeper holds that every act comes into the log once, over new starts, and is signed within a minute and at the end.
func TestKeeper(t *testing.T) {
	db, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	scope, err := store.For("north")
	if err != nil {
		t.Fatal(err)
	}
	act := func(n int) {
		for i := range n {
			if err := db.PutUser(t.Context(), scope, store.User{Name: fmt.Sprint("user", i), Role: store.Viewer, Created: start}, "ann", start.Add(time.Duration(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := filepath.Join(t.TempDir(), FolderName)
	for round, n := range []int{3, 0, 700} {
		act(n)
		l, err := Open(db, scope, dir, start)
		if err != nil {
			t.Fatal(err)
		}
		k := &Keeper{Log: l, Acts: db, Scope: scope, Now: func() time.Time { return start }, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
		for range 2 {
			if err := k.Follow(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		k.sign()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		compare := &Compare{Ctx: t.Context(), Acts: db, Leaves: db, Scope: scope}
		r, err := VerifyFolder(dir, Expect{}, compare.Entry)
		if want := int64([]int{3, 3, 703}[round]) + 1; err != nil || len(r.Problems)+len(compare.Problems) > 0 || r.Entries != want || r.Signed != want {
			t.Errorf("round %d: %+v, %q, %v; want %d entries", round, r, compare.Problems, err, want)
		}
	}
	other := tampered{db, func(acts []store.NumberedAct) []store.NumberedAct {
		acts[1].Who = "eve"
		return slices.Delete(acts, 2, 3)
	}}
	compare := &Compare{Ctx: t.Context(), Acts: other, Scope: scope}
	if _, err := VerifyFolder(dir, Expect{}, compare.Entry); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(compare.Problems, "\n"); !strings.Contains(text, "act 2 is user of user1 by ann in the log, and user of user1 by eve in the store") || !strings.Contains(text, "act 3 (user by ann, 2026-03-01T08:00:00Z) is in the log and not in the store") {
		t.Errorf("the store was changed, and the comparison says\n%s", text)
	}
}

// tampered is a store that somebody changed.
type tampered struct {
	store.Chronicle
	change func([]store.NumberedAct) []store.NumberedAct
}

func (s tampered) ActsAfter(ctx context.Context, sc store.Scope, n int64, limit int) ([]store.NumberedAct, error) {
	acts, err := s.Chronicle.ActsAfter(ctx, sc, n, limit)
	if n == 0 {
		acts = s.change(acts)
	}
	return acts, err
}

// TestKeeperSigns holds when Run signs.
func TestKeeperSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLog(t, filepath.Join(t.TempDir(), FolderName))
		acts := &told{}
		k := &Keeper{Log: l, Acts: acts, Now: time.Now, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { k.Run(ctx); close(ended) }()
		began := time.Now()
		for _, c := range []struct {
			at     time.Duration
			tell   int
			signed int64
		}{{0, 5, 1}, {30 * time.Second, 0, 1}, {61 * time.Second, 2, 6}, {122 * time.Second, 3, 8}} {
			time.Sleep(c.at - time.Since(began))
			synctest.Wait()
			if got := l.Latest().Size; got != c.signed {
				t.Errorf("after %v: %d entries are signed, want %d", c.at, got, c.signed)
			}
			acts.n.Add(int64(c.tell))
		}
		stop()
		<-ended
		if got := l.Latest().Size; got != 11 {
			t.Errorf("at the end: %d entries are signed, want all 11: the key and 10 acts", got)
		}
	})
}

// told is a chronicle of n acts.
type told struct{ n atomic.Int64 }

func (a *told) ActsAfter(_ context.Context, _ store.Scope, n int64, _ int) (acts []store.NumberedAct, err error) {
	for ; n < a.n.Load(); n++ {
		acts = append(acts, store.NumberedAct{N: n + 1, Act: store.Act{At: start, Who: "ann", What: "user"}})
	}
	return acts, nil
}

// TestRefusals holds which answers are entries, and that a flood of them is few.
func TestRefusals(t *testing.T) {
	l := openLog(t, filepath.Join(t.TempDir(), FolderName))
	now := start
	r := &Refused{Log: l, Operator: "north", Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, c := range []struct {
		method, path string
		status       int
		auth         bool
		want         string // "" is no entry
	}{
		{"GET", "/api/v1/alerts", 200, true, ""},
		{"GET", "/api/v1/alerts", 401, false, ""},
		{"GET", "/api/v1/alerts", 401, true, SignInRefused},
		{"POST", "/signin", 401, false, SignInRefused},
		{"POST", "/signin", 429, false, SignInRefused},
		{"GET", "/users", 403, false, Denied},
		{"GET", "/none", 404, true, ""},
	} {
		before, _ := l.Size()
		req := httptest.NewRequest(c.method, c.path, nil)
		if c.auth {
			req.Header.Set("Authorization", "Basic secret-of-ann")
		}
		r.Console(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status) })).ServeHTTP(httptest.NewRecorder(), req)
		after, _ := l.Size()
		if (after > before) != (c.want != "") {
			t.Errorf("%s %s answered with %d: %d entries, want %q", c.method, c.path, c.status, after-before, c.want)
		}
	}
	refuse := r.Sensors(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }))
	for range 1000 {
		refuse.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/enrol", nil))
	}
	now = now.Add(2 * time.Minute)
	r.settle()
	text, err := os.ReadFile(filepath.Join(l.dir, fileLeaves))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n != mostRefused+2 || !bytes.Contains(text, []byte("944 more refusals")) {
		t.Errorf("1004 refusals and a key are %d entries, want %d, the last for the rest:\n%s", n, mostRefused+2, text[max(0, len(text)-300):])
	}
	if bytes.Contains(text, []byte("secret-of-ann")) {
		t.Error("a credential is in the log")
	}
}
