package sector_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/audit"
	"github.com/roje-ot/roje/collector/own"
	"github.com/roje-ot/roje/collector/sector"
	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/postgres"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/testdata/need"
)

var discard = slog.New(slog.DiscardHandler)

const cert = "grid-cert"

// TestStores runs what must hold in each store there is.
func TestStores(t *testing.T) {
	tests := []struct {
		name string
		run  func(*testing.T, store.Store)
	}{{"consent", consent}, {"watch", watch}}
	t.Run("sqlite", func(t *testing.T) {
		for _, c := range tests {
			t.Run(c.name, func(t *testing.T) {
				db, _ := specimen.Store(t)
				c.run(t, db)
			})
		}
	})
	t.Run("postgres", func(t *testing.T) {
		cluster := need.Postgres(t)
		for _, c := range tests {
			t.Run(c.name, func(t *testing.T) {
				db, err := postgres.Open(t.Context(), cluster.URL("roje", cluster.Database()))
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				c.run(t, db)
			})
		}
	})
}

func finder(db store.Store, least int, scopes ...store.Scope) *sector.Finder {
	f := &sector.Finder{CERT: cert, AtLeast: least, Logger: discard}
	for _, s := range scopes {
		f.Operators = append(f.Operators, sector.Operator{Scope: s, Store: db})
	}
	return f
}

// text is all that is told of a picture.
func text(t *testing.T, p sector.Picture) string {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// consent holds what is told of operators by what each consents to: nothing of the one that does not, not even that there
// is a campaign for want of it, no name without a release, and nothing at all once the consent is taken back.
func consent(t *testing.T, db store.Store) {
	now := time.Now()
	at := now.Add(-3 * time.Hour)
	north := specimen.Consenting(t, db, "north", cert, store.CompareActs, at, 2)
	south := specimen.Consenting(t, db, "south", cert, store.CompareReleased, at.Add(50*time.Minute), 3)
	east := specimen.Consenting(t, db, "east", "", "", at.Add(20*time.Minute), 5)
	west := specimen.Consenting(t, db, "west", "another-cert", store.CompareActs, at.Add(20*time.Minute), 5)
	f := finder(db, 2, north, south, east, west)
	look := func(want int, says string) sector.Picture {
		t.Helper()
		p, err := f.Look(t.Context(), now)
		if err != nil || len(p.Campaigns) != want {
			t.Fatalf("%s: %d campaigns, %v; want %d: %s", says, len(p.Campaigns), err, want, text(t, p))
		}
		return p
	}
	p := look(0, "one by its acts, one that has released nothing, two that do not consent")
	var states []string
	for _, s := range p.Operators {
		states = append(states, s.Operator+" "+s.State)
	}
	if want := []string{"north acts", "south released", "east none", "west none"}; !slices.Equal(states, want) {
		t.Errorf("states %q, want %q", states, want)
	}
	for _, id := range []string{"r-south-0", "r-south-2"} {
		if _, err := db.Release(t.Context(), south, id, store.Green, "ana", now); err != nil {
			t.Fatal(err)
		}
	}
	p = look(1, "south has released two")
	c := p.Campaigns[0]
	if c.Rule != "dnp3-cold-restart" || c.Technique != "T0816" || c.Sites != 4 || c.Alerts != 4 || len(c.Seen) != 2 ||
		c.Seen[0].Operator != "" || c.Seen[0].Sites != 2 || c.Seen[1].Operator != "south" || c.Seen[1].Sites != 2 || !c.First.Equal(at) {
		t.Errorf("campaign %+v", c)
	}
	told := text(t, p)
	for _, kept := range []string{"site-", "r-north", "r-south", "2001:db8", "stranger", "COLD_RESTART"} {
		if strings.Contains(told, kept) {
			t.Errorf("%q is told: %s", kept, told)
		}
	}
	if _, err := db.Release(t.Context(), north, "r-north-1", store.Amber, "ana", now); err != nil {
		t.Fatal(err)
	}
	if c := look(1, "north has released").Campaigns[0]; c.Seen[0].Operator != "north" || c.Seen[0].Sites != 2 {
		t.Errorf("campaign %+v", c)
	}
	change := func(scope store.Scope, do func(*store.User) error) {
		t.Helper()
		u, err := db.GetUser(t.Context(), scope, "cert")
		if err == nil {
			err = do(&u)
		}
		if err == nil {
			err = db.PutUser(t.Context(), scope, u, "ana", now)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change(north, func(u *store.User) error { return account.SetCeiling(u, "green") })
	if c := look(1, "above the ceiling").Campaigns[0]; c.Seen[0].Operator != "" {
		t.Errorf("campaign %+v", c)
	}
	f.AtLeast = 3
	look(0, "two are fewer than three")
	f.AtLeast = 0
	look(1, "never fewer than two")
	change(north, func(u *store.User) error { u.Disabled = true; return nil })
	look(0, "the account is disabled")
	change(north, func(u *store.User) error { u.Disabled = false; return account.SetCompare(u, "", "") })
	if p := look(0, "taken back"); p.Operators[0].State != sector.None {
		t.Errorf("operators %+v", p.Operators)
	}
}

// TestChains holds what is one campaign: acts within an hour of another one, from operator to operator, none that is older
// than the window, and none of an act that is not the same.
func TestChains(t *testing.T) {
	db, _ := specimen.Store(t)
	now := time.Now()
	for _, c := range []struct {
		name    string
		minutes []int // before now, by operator
		want    []int // operators of each campaign, the latest first
	}{
		{"a chain", []int{200, 150, 95}, []int{3}},
		{"two hours between", []int{300, 150, 95}, []int{2}},
		{"out of the window", []int{8 * 24 * 60, 8*24*60 - 10, 8*24*60 - 20}, nil},
		{"two campaigns", []int{1000, 990, 500, 480}, []int{2, 2}},
	} {
		var scopes []store.Scope
		for i, m := range c.minutes {
			name := fmt.Sprintf("op%d-%s", i, own.ID(c.name))
			scopes = append(scopes, specimen.Consenting(t, db, name, cert, store.CompareActs, now.Add(-time.Duration(m)*time.Minute), 1))
		}
		p, err := finder(db, 2, scopes...).Look(t.Context(), now)
		var got []int
		for _, one := range p.Campaigns {
			got = append(got, len(one.Seen))
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: campaigns of %v operators, %v; want %v", c.name, got, err, c.want)
		}
	}
}

// TestUnread holds that an operator that cannot be read is said to be, and stops none of the others.
func TestUnread(t *testing.T) {
	db, _ := specimen.Store(t)
	gone, _ := specimen.Store(t)
	now := time.Now()
	var scopes []store.Scope
	for _, name := range []string{"north", "south"} {
		scopes = append(scopes, specimen.Consenting(t, db, name, cert, store.CompareActs, now.Add(-time.Hour), 1))
	}
	f := finder(db, 2, scopes...)
	f.Operators = append(f.Operators, sector.Operator{Scope: specimen.Consenting(t, gone, "east", cert, store.CompareActs, now.Add(-time.Hour), 1), Store: gone})
	gone.Close()
	p, err := f.Look(t.Context(), now)
	if err != nil || len(p.Campaigns) != 1 || len(p.Campaigns[0].Seen) != 2 || p.Operators[2].State != sector.Unread {
		t.Errorf("%s, %v", text(t, p), err)
	}
}

// watch holds that a campaign is told once in the CERT's queue, and again when another operator joins; that it names nobody;
// that each operator's own record says that it was compared, and that of no other; and that each has one letter about it, which
// the CERT's account with it does not see: it would learn who those are that are not named.
func watch(t *testing.T, db store.Store) {
	now := time.Now()
	at := now.Add(-2 * time.Hour)
	mine := storetest.For(t, cert)
	north := specimen.Consenting(t, db, "north", cert, store.CompareActs, at, 1)
	south := specimen.Consenting(t, db, "south", cert, store.CompareActs, at.Add(time.Minute), 1)
	east := specimen.Consenting(t, db, "east", "", "", at.Add(2*time.Minute), 1)
	w := &sector.Watcher{Finder: finder(db, 2, north, south, east), Store: db, Scope: mine, Log: discard}
	look := func(want int, says string) {
		t.Helper()
		if n, err := w.Look(t.Context(), now); n != want || err != nil {
			t.Fatalf("%s: %d alerts, %v; want %d", says, n, err, want)
		}
	}
	look(1, "found")
	look(0, "again")
	again := &sector.Watcher{Finder: w.Finder, Store: db, Scope: mine, Log: discard}
	if n, err := again.Look(t.Context(), now); n != 0 || err != nil {
		t.Errorf("another collector of the CERT finds %d, %v", n, err)
	}
	specimen.Consenting(t, db, "east", cert, store.CompareActs, at.Add(-time.Minute), 0)
	look(1, "another one joins")
	specimen.Consenting(t, db, "east", "", "", at, 0)
	look(0, "it leaves again")
	alerts, _, err := db.ListAlerts(t.Context(), mine, store.Filter{}, "", 10)
	if err != nil || len(alerts) != 2 || alerts[0].Incident != alerts[1].Incident || alerts[0].Count != 3 || alerts[1].Count != 2 {
		t.Fatalf("alerts %+v, %v", alerts, err)
	}
	for _, a := range alerts {
		for _, kept := range []string{"north", "south", "east", "site-"} {
			if strings.Contains(string(a.Body), kept) {
				t.Errorf("the alert says %q: %s", kept, a.Body)
			}
		}
	}
	for _, c := range []struct {
		scope        store.Scope
		want, others int
	}{{north, 2, 1}, {south, 2, 1}, {east, 1, 2}} {
		leaves, err := db.Leaves(t.Context(), c.scope, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, leaf := range leaves {
			var e audit.Entry
			if err := json.Unmarshal(leaf, &e); err != nil {
				t.Fatal(err)
			}
			if e.What == audit.Compared && e.Who == cert && e.Object == "dnp3-cold-restart" && e.Operator == c.scope.Operator() {
				n++
			}
			for _, other := range []store.Scope{north, south, east} {
				if other != c.scope && strings.Contains(string(leaf), other.Operator()) {
					t.Errorf("the record of %s says %s", c.scope.Operator(), leaf)
				}
			}
		}
		if n != c.want {
			t.Errorf("%s: compared %d times by its record, want %d", c.scope.Operator(), n, c.want)
		}
		letters, _, err := db.ListLetters(t.Context(), c.scope, store.LetterFilter{}, "", 10)
		if err != nil || len(letters) != 1 || letters[0].From != sector.Sender(cert) || letters[0].Alert != "r-"+c.scope.Operator()+"-0" || letters[0].State != store.LetterWaiting {
			t.Fatalf("%s: letters %+v, %v", c.scope.Operator(), letters, err)
		}
		if want := fmt.Sprintf("dnp3-cold-restart (T0816 Device Restart/Shutdown), was seen at %d other operator", c.others); !strings.Contains(letters[0].Text, want) {
			t.Errorf("%s: %q, want %q", c.scope.Operator(), letters[0].Text, want)
		}
		for _, other := range []store.Scope{north, south, east} {
			if strings.Contains(letters[0].Text, other.Operator()) {
				t.Errorf("%s reads of %s: %s", c.scope.Operator(), other.Operator(), letters[0].Text)
			}
		}
		seen, err := share.Post{Store: db, Scope: c.scope}.Letters(t.Context(), share.Recipient{Name: "cert"}, 10)
		if err != nil || len(seen) != 0 {
			t.Errorf("the CERT's account at %s sees that it was written to: %+v, %v", c.scope.Operator(), seen, err)
		}
	}
}

// TestConfig holds what is wrong with a configuration.
func TestConfig(t *testing.T) {
	of := func(names ...string) (m []sector.Member) {
		for _, n := range names {
			m = append(m, sector.Member{Name: n})
		}
		return m
	}
	for _, c := range []struct {
		cfg  sector.Config
		want string
	}{
		{sector.Config{}, ""},
		{sector.Config{Operators: of("a", "b", "c")}, ""},
		{sector.Config{Operators: of("a", "b"), AtLeast: 2}, ""},
		{sector.Config{AtLeast: 2}, "at_least without operators"},
		{sector.Config{Operators: of("a", "b")}, "can never be the 3"},
		{sector.Config{Operators: of("a", "b"), AtLeast: 1}, "2 or more"},
		{sector.Config{Operators: of("a", "b", "a")}, "a comes twice"},
		{sector.Config{Operators: of("a", "b", cert)}, "own operator"},
		{sector.Config{Operators: of("a", "b", "C/D")}, "an operator"},
		{sector.Config{Operators: []sector.Member{{Name: "a"}, {Name: "b", Data: "d", URL: "https://b.example", Account: "x", PasswordFile: "p"}}, AtLeast: 2}, "not both"},
		{sector.Config{Operators: []sector.Member{{Name: "a"}, {Name: "b", URL: "https://b.example", Account: "x"}}, AtLeast: 2}, "a password_file"},
		{sector.Config{Operators: []sector.Member{{Name: "a"}, {Name: "b", URL: "http://b.example", Account: "x", PasswordFile: "p"}}, AtLeast: 2}, "not https"},
		{sector.Config{Operators: []sector.Member{{Name: "a"}, {Name: "b", Account: "x"}}, AtLeast: 2}, "go with a url"},
		{sector.Config{Operators: make([]sector.Member, sector.Most+1)}, "more than 64"},
	} {
		err := c.cfg.Complete(cert)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
	}
}
