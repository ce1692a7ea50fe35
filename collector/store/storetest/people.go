package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// enrol makes a token and uses it for a sensor.
func enrol(t testing.TB, st store.Store, sc store.Scope, sensor string) {
	t.Helper()
	k := store.Token{ID: "t-" + sensor, Secret: [32]byte{1}, Who: "ana", Created: Start, Expires: Start.Add(time.Hour)}
	if err := st.CreateToken(t.Context(), sc, k); err != nil {
		t.Fatal(err)
	}
	if err := st.Enrol(t.Context(), sc, k.ID, k.Secret, store.Sensor{ID: sensor, Name: "Site " + sensor, Enrolled: Start}, cert(sensor, 1), Start); err != nil {
		t.Fatal(err)
	}
}

func cert(sensor string, n int) store.Cert {
	return store.Cert{Sensor: sensor, Serial: fmt.Sprintf("%s-%02d", sensor, n), Key: "key-" + sensor, Public: []byte{1, 2}, Issued: Start, Expires: Start.AddDate(0, 0, 30*n)}
}

func tokens(t *testing.T, st store.Store) {
	sc, ctx := For(t, "north"), t.Context()
	secret := [32]byte{7}
	made := store.Token{ID: "t1", Secret: secret, Site: "Alpha", Who: "ana", Created: Start, Expires: Start.Add(72 * time.Hour)}
	for _, id := range []string{"t1", "t2"} {
		k := made
		k.ID = id
		if err := st.CreateToken(ctx, sc, k); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.CreateToken(ctx, sc, made); !errors.Is(err, store.ErrExists) {
		t.Errorf("the same token again: got %v, want %v", err, store.ErrExists)
	}
	try := func(id string, secret [32]byte, sensor string, at time.Time) error {
		return st.Enrol(ctx, sc, id, secret, store.Sensor{ID: sensor, Name: "Alpha", Enrolled: at}, cert(sensor, 1), at)
	}
	for _, c := range []struct {
		name, id, says string
		secret         [32]byte
		sensor         string
		at             time.Time
		want           error
	}{
		{"an unknown id", "t9", "unknown", secret, "s1", Start, store.ErrToken},
		{"a wrong secret", "t1", "unknown", [32]byte{8}, "s1", Start, store.ErrToken},
		{"expired", "t1", "expired on 2026-03-04", secret, "s1", Start.Add(72 * time.Hour), store.ErrToken},
		{"good", "t1", "", secret, "s1", Start.Add(71 * time.Hour), nil},
		{"used", "t1", "used on 2026-03-04", secret, "s2", Start.Add(71 * time.Hour), store.ErrToken},
		{"a sensor that exists", "t2", "exists", secret, "s1", Start, store.ErrExists},
		{"the token is not used up by that", "t2", "", secret, "s2", Start, nil},
	} {
		err := try(c.id, c.secret, c.sensor, c.at)
		if !errors.Is(err, c.want) || c.want != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %v that says %q", c.name, err, c.want, c.says)
		}
	}
	k, err := st.Token(ctx, sc, "t1")
	if err != nil || k.Used == nil || k.Sensor != "s1" || k.Site != "Alpha" || k.Secret != secret {
		t.Errorf("token %+v, %v; want it used by s1", k, err)
	}
}

func denied(t *testing.T, st store.Store) {
	sc, ctx := For(t, "north"), t.Context()
	enrol(t, st, sc, "s1")
	if err := st.AddCert(ctx, sc, cert("s1", 2)); err != nil {
		t.Fatal(err)
	}
	got, err := st.GetSensor(ctx, sc, "s1")
	if err != nil || got.Serial != "s1-02" || !got.Expires.Equal(Start.AddDate(0, 0, 60)) || got.Denied != nil || got.Name != "Site s1" {
		t.Errorf("sensor %+v, %v", got, err)
	}
	c, err := st.FindCert(ctx, sc, "s1", "key-s1")
	if err != nil || c.Serial != "s1-02" {
		t.Errorf("certificate %+v, %v; want the one that expires last", c, err)
	}
	if err := st.Deny(ctx, sc, "s1", "ana", Start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := st.GetSensor(ctx, sc, "s1"); err != nil || got.Denied == nil || !got.Denied.Equal(Start.Add(time.Hour)) {
		t.Errorf("denied sensor %+v, %v", got, err)
	}
	if err := st.Allow(ctx, sc, "s1", "ana", Start); err != nil {
		t.Fatal(err)
	}
	if got, err := st.GetSensor(ctx, sc, "s1"); err != nil || got.Denied != nil {
		t.Errorf("allowed sensor %+v, %v", got, err)
	}
	acts, err := st.Acts(ctx, sc, "s1", 10)
	if err != nil || len(acts) != 3 || acts[0].What != "allow" || acts[1].What != "deny" || acts[2].What != "enrol" {
		t.Errorf("acts %+v, %v", acts, err)
	}
}

func users(t *testing.T, st store.Store) {
	sc, ctx := For(t, "north"), t.Context()
	u := store.User{Name: "ana", Role: store.Admin, Hash: "$argon2id$x", MustChange: true, Created: Start, Language: "sq"}
	if err := st.PutUser(ctx, sc, u, "setup", Start); err != nil {
		t.Fatal(err)
	}
	if err := st.SignedIn(ctx, sc, "ana", Start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	u.MustChange, u.Disabled, u.Role = false, true, store.Analyst
	if err := st.PutUser(ctx, sc, u, "ana", Start); err != nil {
		t.Fatal(err)
	}
	at := Start.Add(time.Minute)
	u.SignedIn = &at
	got, err := st.GetUser(ctx, sc, "ana")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "user", got, u)
	if err := st.PutUser(ctx, sc, store.User{Name: "", Role: store.Viewer}, "ana", Start); err == nil {
		t.Error("a user without a name was made")
	}
	list, err := st.ListUsers(ctx, sc)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "users", list, []store.User{u})
}

func sessions(t *testing.T, st store.Store) {
	now := Start
	s := st.Sessions(func() time.Time { return now })
	find := func(token, want string, wantFound bool) {
		t.Helper()
		data, found, err := s.Find(token)
		if err != nil || found != wantFound || string(data) != want {
			t.Errorf("session %s: got %q, %t, %v; want %q, %t", token, data, found, err, want, wantFound)
		}
	}
	for _, c := range []struct {
		token, data string
		expiry      time.Time
	}{{"a", "1", now.Add(time.Hour)}, {"b", "2", now.Add(2 * time.Hour)}, {"a", "3", now.Add(time.Hour)}} {
		if err := s.Commit(c.token, []byte(c.data), c.expiry); err != nil {
			t.Fatal(err)
		}
	}
	find("a", "3", true)
	find("b", "2", true)
	find("c", "", false)
	now = now.Add(time.Hour)
	find("a", "", false)
	if err := s.Prune(); err != nil {
		t.Fatal(err)
	}
	now = Start
	find("a", "", false)
	find("b", "2", true)
	if err := s.Delete("b"); err != nil {
		t.Fatal(err)
	}
	find("b", "", false)
}
