package cmd

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/ingest"
	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
	"github.com/roje-ot/roje/sensor/enrol"
	"github.com/roje-ot/roje/sensor/ship"
	"github.com/roje-ot/roje/sensor/spool"
	"github.com/roje-ot/roje/testdata/need"
)

// A centre is a collector's side of enrolment in this process, on loopback, with a clock.
type centre struct {
	t       *testing.T
	at      atomic.Int64 // Unix nanoseconds
	db      *sqlite.DB
	ca      *pki.CA
	handler *ingest.Handler
	address string
	scope   store.Scope
}

func newCentre(t *testing.T, change ...func(*ingest.Config)) *centre {
	c := &centre{t: t}
	c.set(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC))
	var err error
	if c.db, err = sqlite.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if c.ca, err = pki.Open(filepath.Join(t.TempDir(), "pki"), c.clock); err != nil {
		t.Fatal(err)
	}
	if c.scope, err = store.For(operator); err != nil {
		t.Fatal(err)
	}
	cfg := ingest.Config{Store: c.db, CA: c.ca, Now: c.clock, Log: quiet()}
	for _, do := range change {
		do(&cfg)
	}
	c.handler = ingest.New(cfg)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.address = l.Addr().String()
	server := ingest.Server(c.handler)
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(l, "", "") }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		c.db.Close()
	})
	return c
}

func (c *centre) clock() time.Time { return time.Unix(0, c.at.Load()).UTC() }
func (c *centre) set(at time.Time) { c.at.Store(at.UnixNano()) }

func (c *centre) token(address string) string {
	c.t.Helper()
	text, kept, err := c.ca.NewToken(c.scope, "", "test", address, 0)
	if err == nil {
		err = c.db.CreateToken(c.t.Context(), c.scope, kept)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

func (c *centre) used(token string) bool {
	c.t.Helper()
	k, err := join.Parse(token)
	if err != nil {
		c.t.Fatal(err)
	}
	kept, err := c.db.Token(c.t.Context(), c.scope, k.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	return kept.Used != nil
}

func (c *centre) enrol(token, dir string, change func(*enrol.Options)) (*enrol.Identity, error) {
	o := enrol.Options{Token: token, Dir: dir, Name: "Substation 7", Now: c.clock}
	if change != nil {
		change(&o)
	}
	return enrol.Enrol(context.Background(), o)
}

// files lists what is in a folder, hidden files too.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestEnrolment(t *testing.T) {
	c, parent := newCentre(t), t.TempDir()
	dir := filepath.Join(parent, "state", "enrolment")
	id, err := c.enrol(c.token(c.address), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); !slices.Equal(got, []string{"ca.pem", "cert.pem", "enrolment.json", "key.pem"}) {
		t.Errorf("the folder holds %v", got)
	}
	if got := files(t, filepath.Dir(dir)); !slices.Equal(got, []string{"enrolment"}) {
		t.Errorf("beside it is %v", got)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, "key.pem": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	if id.Operator != operator || id.Name != "Substation 7" || id.Collector != c.address || !id.Enrolled.Equal(c.clock()) || !id.Expires().Equal(c.clock().Add(pki.SensorLife)) {
		t.Errorf("identity %+v until %s", id.About, id.Expires())
	}
	sensors, err := c.db.Sensors(t.Context(), c.scope)
	if err != nil || len(sensors) != 1 || sensors[0].ID != id.Sensor {
		t.Errorf("the collector knows %+v, %v", sensors, err)
	}

	again, err := c.enrol(c.token(c.address), dir, func(o *enrol.Options) { o.Again = true })
	if err != nil {
		t.Fatal(err)
	}
	if got := files(t, filepath.Dir(dir)); again.Sensor == id.Sensor || !slices.Equal(got, []string{"enrolment", "enrolment.was-" + id.Sensor}) {
		t.Errorf("enrolled again as %s, after %s; there is %v", again.Sensor, id.Sensor, got)
	}

	empty := filepath.Join(parent, "empty") // as a package makes it, with its own rights
	if err := os.Mkdir(empty, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := c.enrol(c.token(""), empty, func(o *enrol.Options) { o.Collector = c.address }); err != nil {
		t.Errorf("into an empty folder, with the collector given beside the token: %v", err)
	}
}

func TestEnrolmentErrors(t *testing.T) {
	c, other := newCentre(t), newCentre(t)
	old := c.token(c.address)
	c.set(c.clock().Add(pki.TokenLife))
	reused := c.token(c.address)
	done := filepath.Join(t.TempDir(), "done")
	if _, err := c.enrol(reused, done, nil); err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	file, others := filepath.Join(base, "file"), filepath.Join(base, "others")
	for _, err := range []error{os.WriteFile(file, nil, 0o600), os.Mkdir(others, 0o700), os.WriteFile(filepath.Join(others, "x"), nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for _, row := range []struct {
		name, token, dir, collector, says string
	}{
		{"no token", "", "", "", "this is no token"},
		{"half a token", c.token(c.address)[:80], "", "", "token"},
		{"an expired token", old, "", "", "expired on 2026-03-04"},
		{"a reused token", reused, "", "", "was used on 2026-03-04"},
		{"a token of another collector", other.token(c.address), "", "", "another CA than the one the token was made for; nothing was sent"},
		{"another collector's address", c.token(c.address), "", other.address, "another CA than the one the token was made for; nothing was sent"},
		{"no collector", c.token(""), "", "", "give --collector"},
		{"a collector that is not an address", c.token(""), "", "nowhere", "not host:port"},
		{"a collector that is away", c.token(""), "", gone.Addr().String(), "connection refused"},
		{"a folder below a file", c.token(c.address), filepath.Join(file, "enrolment"), "", "not a directory"},
		{"a folder with other files", c.token(c.address), others, "", "holds other files"},
		{"a folder that is enrolled", c.token(c.address), done, "", "is enrolled already"},
	} {
		parent := t.TempDir()
		dir := row.dir
		if dir == "" {
			dir = filepath.Join(parent, "enrolment")
		}
		_, err := c.enrol(row.token, dir, func(o *enrol.Options) { o.Collector = row.collector })
		if err == nil || !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line that says %q", row.name, err, row.says)
		}
		if k, perr := join.Parse(row.token); perr == nil {
			if err != nil && strings.Contains(err.Error(), k.SecretText()) {
				t.Errorf("%s: the error tells the secret", row.name)
			}
			if k.CA == c.ca.Hash() && row.token != reused && c.used(row.token) {
				t.Errorf("%s: the token is used up", row.name)
			}
		}
		if got := files(t, parent); len(got) > 0 {
			t.Errorf("%s: left behind: %v", row.name, got)
		}
	}
	if got := files(t, base); !slices.Equal(got, []string{"file", "others"}) {
		t.Errorf("left behind: %v", got)
	}
	if n := other.handler.Refused.Load(); n != 0 {
		t.Errorf("%d requests reached a collector that is not the token's", n)
	}
	if _, err := enrol.Load(filepath.Join(base, "none")); !errors.Is(err, enrol.ErrNone) || !strings.Contains(err.Error(), "roje-sensor enrol") {
		t.Errorf("no enrolment: %v", err)
	}
}

// TestEnrolmentWithoutRoomOrRights holds that a token is not used up by a machine that cannot keep what it gives.
func TestEnrolmentWithoutRoomOrRights(t *testing.T) {
	need.Superuser(t)
	c := newCentre(t)
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	try := func(name, says string) {
		t.Helper()
		token := c.token(c.address)
		if _, err := c.enrol(token, filepath.Join(disk, "enrolment"), nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want it to say %q", name, err, says)
		}
		if c.used(token) {
			t.Errorf("%s: the token is used up", name)
		}
		if got := files(t, disk); slices.Contains(got, "enrolment") || slices.ContainsFunc(got, func(n string) bool { return strings.HasPrefix(n, ".enrol") }) {
			t.Errorf("%s: left behind: %v", name, got)
		}
	}
	if err := os.WriteFile(filepath.Join(disk, "filler"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk took all: %v", err)
	}
	try("a full disk", "no space left on device")
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	try("a folder that cannot be written", "read-only file system")
	remount(0)
	if _, err := c.enrol(c.token(c.address), filepath.Join(disk, "enrolment"), nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestCertificates holds that a sensor renews in time, comes back after its certificate has expired, and is kept out at
// once by the deny list; and that it speaks to nobody else.
func TestCertificates(t *testing.T) {
	c := newCentre(t)
	dir := filepath.Join(t.TempDir(), "enrolment")
	id, err := c.enrol(c.token(c.address), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	sp, err := spool.Open(spool.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	deliver := func(n int) {
		t.Helper()
		client, err := ship.Connect(id, sp, c.clock, quiet())
		if err != nil {
			t.Fatal(err)
		}
		client.Longest = time.Millisecond
		if err := sp.Append(spool.Item{Kind: batch.KindAlert, Lane: batch.Urgent, At: c.clock(), Body: bytes.Replace([]byte(`{"id":"x","severity":"high","count":1}`), []byte("x"), []byte{byte('a' + n)}, 1)}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- client.Run(ctx) }()
		for ctx.Err() == nil {
			if st := sp.Stats(); st.Records() == 0 {
				break
			}
			time.Sleep(time.Millisecond) // the deadline above decides
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if st := sp.Stats(); st.Records() != 0 {
			t.Fatalf("alert %d was not delivered", n)
		}
	}
	deliver(0)
	first := id.Expires()
	c.set(first.Add(-5 * 24 * time.Hour))
	deliver(1)
	second := id.Expires()
	if !second.After(first) {
		t.Errorf("the certificate still ends on %s", second)
	}
	c.set(second.Add(60 * 24 * time.Hour)) // the site was away
	deliver(2)
	if kept, err := enrol.Load(dir); err != nil || !kept.Expires().After(c.clock()) {
		t.Errorf("on disk: until %v, %v", kept.Expires(), err)
	}

	if err := c.db.Deny(t.Context(), c.scope, id.Sensor, "test", c.clock()); err != nil {
		t.Fatal(err)
	}
	if err := id.Renew(t.Context(), c.clock); err == nil || !strings.Contains(err.Error(), "deny list") {
		t.Errorf("a denied sensor renews: %v", err)
	}
	other := newCentre(t)
	id.Collector = other.address
	if err := id.Renew(t.Context(), c.clock); !errors.Is(err, enrol.ErrOther) {
		t.Errorf("at another collector: got %v, want %v", err, enrol.ErrOther)
	}
	if n := other.handler.Refused.Load(); n != 0 {
		t.Errorf("%d requests reached another collector", n)
	}
}
