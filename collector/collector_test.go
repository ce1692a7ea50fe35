package collector

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/testdata/need"
)

var discard = slog.New(slog.DiscardHandler)

// A running is a collector that runs during a test, and its folder.
type running struct {
	Started
	t    testing.TB
	data string
	stop func() error // ends it and waits
}

// start runs a collector on free ports.
func start(t testing.TB, cfg Config) *running {
	t.Helper()
	if cfg.Data == "" {
		cfg.Data = filepath.Join(t.TempDir(), "data")
	}
	if cfg.Console.Address == "" {
		cfg.Console.Address = "127.0.0.1:0"
	}
	cfg.Ingest.Address = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(context.Background())
	up, ended := make(chan Started, 1), make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, discard, func(s Started) { up <- s }) }()
	r := &running{t: t, data: cfg.Data}
	var once bool
	var last error
	r.stop = func() error {
		cancel()
		if !once {
			once, last = true, <-ended
		}
		return last
	}
	t.Cleanup(func() { r.stop() })
	select {
	case r.Started = <-up:
	case err := <-ended:
		once, last = true, err
		t.Fatalf("collector did not start: %v", err)
	}
	return r
}

// store opens the collector's store beside it.
func (r *running) store() (*sqlite.DB, store.Scope) {
	r.t.Helper()
	db, err := sqlite.Open(r.data)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { db.Close() })
	scope, err := store.For(DefaultOperator)
	if err != nil {
		r.t.Fatal(err)
	}
	return db, scope
}

// userIn makes a user of an operator, with the tests' password.
func (r *running) userIn(scope store.Scope, name string, role store.Role) {
	r.t.Helper()
	db, _ := r.store()
	u := store.User{Name: name, Role: role, Hash: account.Hash(testPassword), Created: specimen.Start}
	if err := db.PutUser(r.t.Context(), scope, u, "test", specimen.Start); err != nil {
		r.t.Fatal(err)
	}
}

// user makes a user with a password that need not be changed.
func (r *running) user(name string, role store.Role, password string) {
	r.t.Helper()
	db, scope := r.store()
	u := store.User{Name: name, Role: role, Hash: account.Hash(password), Created: specimen.Start}
	if err := db.PutUser(r.t.Context(), scope, u, "test", specimen.Start); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) get(path, name, password string) (status int, body string) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodGet, strings.TrimSuffix(r.Console, "/")+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if name != "" {
		req.SetBasicAuth(name, password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestInterop pulls what was released with the clients that CERTs use.
func TestInterop(t *testing.T) {
	python := need.Python(t, "taxii2client.v21, stix2")
	r := start(t, Config{})
	r.user("cert", store.CERT, "kos cert reads here")
	db, scope := r.store()
	spool := specimen.Spool{Sensor: "s1"}
	spool.Deliver(t, db, scope, time.Now(), specimen.Alerts()...)
	levels := []store.TLP{store.Clear, store.Green, store.Amber, store.AmberStrict}
	released := specimen.Alerts()
	released = append(released[:1], released[2:]...) // all but a-modbus
	for i, a := range released {
		if _, err := db.Release(t.Context(), scope, a.ID, levels[i%len(levels)], "ana", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Retract(t.Context(), scope, "a-arp", "ana", time.Now()); err != nil {
		t.Fatal(err)
	}
	campaign, opened := aCampaign(t, db, scope)
	for i := range 3 {
		if _, err := db.ReleaseMasked(t.Context(), scope, fmt.Sprint("c-", i), store.Green, "ana", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for kind, ref := range map[string]string{store.ItemCampaign: campaign, store.ItemCase: opened} {
		if _, err := db.ReleaseGroup(t.Context(), scope, kind, ref, store.Amber, true, "ana", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	sighted := len(released) + 3
	script := filepath.Join("share", "testdata", "pull.py")
	for _, page := range []int{1, 4, 100} {
		out, err := exec.Command(python, script, r.Console+"taxii2/", "cert", "kos cert reads here", strconv.Itoa(page)).Output()
		if err != nil {
			t.Fatalf("page %d: %v: %s", page, err, err.(*exec.ExitError).Stderr)
		}
		var seen struct {
			IDs       []string       `json:"ids"`
			Types     map[string]int `json:"types"`
			Pages     int            `json:"pages"`
			Wrong     []string       `json:"wrong"`
			Warnings  []string       `json:"warnings"`
			Validated int            `json:"validated"`
		}
		if err := json.Unmarshal(out, &seen); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range seen.Wrong {
			t.Errorf("page %d: %s", page, wrong)
		}
		if want := (len(seen.IDs) + page - 1) / page; seen.Pages != want {
			t.Errorf("page %d: %d pages of %d objects, want %d", page, seen.Pages, len(seen.IDs), want)
		}
		for kind, want := range map[string]int{"sighting": sighted, "note": sighted, "observed-data": sighted - 1, "campaign": 1, "incident": 1, "grouping": 2, "marking-definition": 4, "extension-definition": 1, "identity": 2} {
			if seen.Types[kind] != want {
				t.Errorf("page %d: %d %s, want %d", page, seen.Types[kind], kind, want)
			}
		}
		t.Logf("page %d: %d objects in %d pages, %d validated, warnings %q", page, len(seen.IDs), seen.Pages, seen.Validated, seen.Warnings)
	}
}

// TestFeedIsForCERTs holds that nobody but a cert account reads the feed, and that a cert account reads nothing else.
func TestFeedIsForCERTs(t *testing.T) {
	r := start(t, Config{})
	for _, role := range account.Everyone {
		r.user("the-"+string(role), role, "a long password")
	}
	for _, c := range []struct {
		path, name, password string
		want                 int
	}{
		{"/taxii2/", "", "", 401},
		{"/taxii2", "the-cert", "a long password", 200},
		{"/taxii2/", "the-cert", "a long password", 200},
		{"/taxii2/", "the-cert", "another password", 401},
		{"/taxii2/", "nobody", "a long password", 401},
		{"/taxii2/", "the-viewer", "a long password", 403},
		{"/taxii2/", "the-analyst", "a long password", 403},
		{"/taxii2/", "the-admin", "a long password", 403},
		{"/api/v1/alerts", "the-cert", "a long password", 403},
		{"/api/v1/sensors", "the-cert", "a long password", 403},
		{"/api/v1/alerts", "the-viewer", "a long password", 200},
		{"/api/v1/alerts", "", "", 401},
		{"/api/v1/nothing", "the-viewer", "a long password", 404},
		{"/api/v1/nothing", "", "", 401},
		{"/readyz", "", "", 200},
		{"/nothing", "", "", 404},
		{"/.git/config", "", "", 404},
	} {
		if got, body := r.get(c.path, c.name, c.password); got != c.want {
			t.Errorf("%s as %q: %d, want %d: %s", c.path, c.name, got, c.want, body)
		}
	}
}

// TestBadStarts holds what is said when a collector cannot start.
func TestBadStarts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inUse := start(t, Config{})
	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no folder", Config{}, "no data folder"},
		{"a file for a folder", Config{Data: filepath.Join(file, "data")}, "not a directory"},
		{"a folder in use", Config{Data: inUse.data}, "in use by another collector"},
		{"a taken port", Config{Data: filepath.Join(dir, "d"), Console: Listen{Address: taken.Addr().String()}}, "is taken; stop what uses it, or choose another with --console"},
		{"no port", Config{Data: filepath.Join(dir, "d"), Console: Listen{Address: "localhost"}}, "is not host:port"},
		{"an operator's name", Config{Data: filepath.Join(dir, "d"), Operator: "North Grid"}, "cannot be the name of an operator"},
		{"half a certificate", Config{Data: filepath.Join(dir, "d"), Console: Listen{Cert: "c.pem"}}, "cert and key go together"},
	} {
		err := Run(t.Context(), c.cfg, discard, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestConfigFile(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ text, want string }{
		{"data: d\nconsole:\n  address: 127.0.0.1:1\n  names: [a.example]\n", ""},
		{"", ""},
		{"dta: d\n", `did you mean "data"?`},
		{"console:\n  adress: x\n", `did you mean "address"?`},
		{"console: [\n", "yaml"},
	} {
		path := filepath.Join(dir, "c.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := ReadConfig(path)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%q: %v", c.text, err)
		case c.want == "" && strings.Contains(c.text, "data") && cfg.Data != filepath.Join(dir, "d"):
			t.Errorf("%q: data is %q, want it beside the file", c.text, cfg.Data)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) && c.want != "yaml"):
			t.Errorf("%q: got %v, want an error with %q", c.text, err, c.want)
		}
	}
}

// TestSecondStart holds that a restart keeps everything and prints no password again, and that a backup becomes the
// same collector.
func TestSecondStart(t *testing.T) {
	first := start(t, Config{})
	if first.Admin != FirstUser || len(first.Password) < account.PasswordLeast {
		t.Fatalf("first start gives %q %q", first.Admin, first.Password)
	}
	db, scope := first.store()
	spool := specimen.Spool{Sensor: "s1"}
	spool.Deliver(t, db, scope, time.Now(), specimen.Alerts()...)
	first.user("ann", store.Viewer, "a long password")
	out, restored := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "restored")
	if err := Backup(t.Context(), first.data, out); err != nil {
		t.Fatal(err)
	}
	if err := Backup(t.Context(), first.data, out); err == nil {
		t.Error("a backup overwrote a backup")
	}
	if err := Restore(out, restored); err != nil {
		t.Fatal(err)
	}
	if err := Restore(out, restored); err == nil {
		t.Error("a restore overwrote a data folder")
	}
	if err := first.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	for _, data := range []string{first.data, restored} {
		again := start(t, Config{Data: data})
		if again.Admin != "" || again.Password != "" {
			t.Errorf("%s: a later start made %q", data, again.Admin)
		}
		if status, body := again.get("/api/v1/alerts", "ann", "a long password"); status != 200 || strings.Count(body, `"id"`) != len(specimen.Alerts()) {
			t.Errorf("%s: %d %s", data, status, body)
		}
		if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v, want mode 0700", data, info.Mode(), err)
		}
		again.stop()
	}
}
