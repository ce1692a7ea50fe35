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

// joins walks the tokens that a person must approve.
func joins(t *testing.T, st store.Store) {
	sc, ctx := For(t, "north"), t.Context()
	secret := [32]byte{7}
	for _, id := range []string{"t1", "t2", "t3"} {
		k := store.Token{ID: id, Secret: secret, Who: "ana", Created: Start, Expires: Start.Add(time.Hour), Approve: id != "t3"}
		if err := st.CreateToken(ctx, sc, k); err != nil {
			t.Fatal(err)
		}
	}
	try := func(name, token, key string, want error, says string) {
		t.Helper()
		c := cert("s-"+token, 1)
		c.Key = key
		err := st.Enrol(ctx, sc, token, secret, store.Sensor{ID: c.Sensor, Name: "Alpha", Enrolled: Start}, c, Start)
		if !errors.Is(err, want) || want != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %v that says %q", name, err, want, says)
		}
	}
	ask := func(name, token, key string, secret [32]byte, at time.Time, state store.JoinState) {
		t.Helper()
		got, err := st.AskJoin(ctx, sc, secret, store.Join{Token: token, Key: key, Words: "lusab", Name: "Alpha", Remote: "192.0.2.9", Asked: at})
		if (state == "") != errors.Is(err, store.ErrToken) || got.State != state && state != "" {
			t.Errorf("%s: got %+v, %v; want %q", name, got, err, state)
		}
	}
	try("nobody asked", "t1", "k1", store.ErrToken, "waits")
	ask("a wrong secret", "t1", "k1", [32]byte{8}, Start, "")
	ask("too late", "t1", "k1", secret, Start.Add(time.Hour), "")
	ask("the first", "t1", "k1", secret, Start, store.Waiting)
	ask("again", "t1", "k1", secret, Start.Add(time.Minute), store.Waiting)
	ask("another key", "t1", "k2", secret, Start, "")
	ask("to be rejected", "t2", "k2", secret, Start.Add(time.Second), store.Waiting)
	ask("a token that needs no approval, asked for by the collector's settings", "t3", "k3", secret, Start.Add(2*time.Second), store.Waiting)
	try("before it is approved", "t1", "k1", store.ErrToken, "waits")
	try("a token that needs none, which was asked for", "t3", "k3", store.ErrToken, "waits")
	for _, c := range []struct {
		token string
		state store.JoinState
		want  error
	}{{"t9", store.Approved, store.ErrNotFound}, {"t1", store.Approved, nil}, {"t1", store.Rejected, store.ErrChanged}, {"t2", store.Rejected, nil}, {"t2", store.Approved, store.ErrChanged}} {
		if err := st.JudgeJoin(ctx, sc, c.token, c.state, "eva", Start); !errors.Is(err, c.want) {
			t.Errorf("%s %s: got %v, want %v", c.token, c.state, err, c.want)
		}
	}
	if err := st.JudgeJoin(ctx, sc, "t3", store.Waiting, "eva", Start); err == nil {
		t.Error("judged to be waiting")
	}
	try("approved, and another key comes", "t1", "k2", store.ErrToken, "another key")
	try("approved", "t1", "k1", nil, "")
	try("rejected", "t2", "k2", store.ErrToken, "eva rejected")
	all, err := st.Joins(ctx, sc)
	if err != nil || len(all) != 3 || all[0].Token != "t3" || all[2].State != store.Approved || all[2].Who != "eva" || all[2].At == nil || all[2].Words != "lusab" {
		t.Errorf("joins %+v, %v", all, err)
	}
	if other, err := st.Joins(ctx, For(t, "south")); err != nil || len(other) != 0 {
		t.Errorf("another operator sees %+v, %v", other, err)
	}
	if acts, err := st.Acts(ctx, sc, "s-t1", 10); err != nil || len(acts) != 1 || acts[0].Who != "eva" {
		t.Errorf("acts %+v, %v; want that eva enrolled it", acts, err)
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
	if err != nil || len(acts) != 4 || acts[0].What != "allow" || acts[1].What != "deny" || acts[2].What != "renew" || acts[3].What != "enrol" {
		t.Errorf("acts %+v, %v", acts, err)
	}
}

func users(t *testing.T, st store.Store) {
	sc, ctx := For(t, "north"), t.Context()
	u := store.User{Name: "ana", Role: store.Admin, Hash: "$argon2id$x", MustChange: true, Created: Start, Language: "sq", Subject: "https://idp.example 7", Ceiling: store.Green, CERT: "grid-cert", Compare: store.CompareActs}
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
	for _, c := range []struct {
		name, was, is string
		want          error
	}{{"ana", "", "a", nil}, {"ana", "", "b", store.ErrChanged}, {"ana", "a", "c", nil}, {"bob", "", "d", store.ErrChanged}} {
		if err := st.SwapProof(ctx, sc, c.name, c.was, c.is, store.Act{At: Start, Who: "ana", What: "second-factor", Object: c.name, Detail: c.is}); !errors.Is(err, c.want) {
			t.Errorf("proof of %s from %q to %q: %v, want %v", c.name, c.was, c.is, err, c.want)
		}
	}
	if err := st.PutUser(ctx, sc, got, "ana", Start); err != nil { // as it was read before
		t.Fatal(err)
	}
	if got, err = st.GetUser(ctx, sc, "ana"); err != nil || got.Proof != "c" {
		t.Errorf("proof %q, %v; a change of the user must leave it", got.Proof, err)
	}
	u.Proof = "c"
	if acts, err := st.Acts(ctx, sc, "ana", 10); err != nil || len(acts) != 5 || acts[1].Detail != "c" || acts[2].Detail != "a" {
		t.Errorf("acts %+v, %v", acts, err)
	}
	if err := st.PutUser(ctx, sc, store.User{Name: "", Role: store.Viewer}, "ana", Start); err == nil {
		t.Error("a user without a name was made")
	}
	list, err := st.ListUsers(ctx, sc)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "users", list, []store.User{u})
}

// consents holds that a CERT may compare what an operator said it may, and that nothing else says so.
func consents(t *testing.T, st store.Store) {
	sc, ctx := For(t, "north"), t.Context()
	for _, u := range []store.User{
		{Name: "kos", Role: store.CERTAnalyst, Ceiling: store.Green, CERT: "grid-cert", Compare: store.CompareActs},
		{Name: "feed", Role: store.CERT, CERT: "grid-cert", Compare: store.CompareReleased},
		{Name: "other", Role: store.CERT, CERT: "other-cert", Compare: store.CompareActs},
		{Name: "none", Role: store.CERT, CERT: "grid-cert"},
		{Name: "gone", Role: store.CERT, CERT: "grid-cert", Compare: store.CompareActs, Disabled: true},
		{Name: "was", Role: store.Viewer, CERT: "grid-cert", Compare: store.CompareActs},
		{Name: "nobody's", Role: store.CERT, Compare: store.CompareActs},
	} {
		if err := st.PutUser(ctx, sc, u, "setup", Start); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		scope store.Scope
		cert  string
		want  []store.Consent
	}{
		{sc, "grid-cert", []store.Consent{{Account: "feed", Compare: store.CompareReleased}, {Account: "kos", Ceiling: store.Green, Compare: store.CompareActs}}},
		{sc, "other-cert", []store.Consent{{Account: "other", Compare: store.CompareActs}}},
		{sc, "third-cert", nil},
		{sc, "", nil},
		{For(t, "south"), "grid-cert", nil},
	} {
		got, err := st.Consents(ctx, c.scope, c.cert)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "consents of "+c.scope.Operator()+" to "+c.cert, got, c.want)
	}
	if acts, err := st.Acts(ctx, sc, "kos", 1); err != nil || len(acts) != 1 || !strings.Contains(acts[0].Detail, "grid-cert may compare: acts") {
		t.Errorf("acts %+v, %v", acts, err)
	}
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
