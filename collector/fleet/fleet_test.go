package fleet

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/site"
)

var now = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// TestMembers: each trouble that a sensor can be in is told, and a sensor that is well has none.
func TestMembers(t *testing.T) {
	db, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := store.For("north")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	author := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	public := author.Public().(ed25519.PublicKey)
	seal := func(version uint64, terms site.Terms) []byte {
		b, err := site.Seal("grid", version, now, terms, fstest.MapFS{"mine.yaml": {Data: []byte("# none")}}, author)
		must(err)
		return b
	}
	var kept [3]store.Pack
	for v := range kept[1:] {
		kept[v+1], err = Add(ctx, db, s, seal(uint64(v+1), site.Terms{}), public, "ana", now)
		must(err)
	}
	for why, b := range map[string][]byte{"foreign": seal(3, site.Terms{Operator: "south"}), "expired": seal(3, site.Terms{Expires: now}), "forged": append(seal(3, site.Terms{})[:100:100], seal(4, site.Terms{})[100:]...)} {
		if _, err := Add(ctx, db, s, b, public, "ana", now); err == nil {
			t.Errorf("a pack that is %s is kept", why)
		}
	}
	if p, err := Find(ctx, db, s, "rules", "grid", 0); err != nil || p.Version != 2 {
		t.Errorf("newest %+v, %v", p, err)
	}
	if _, err := Find(ctx, db, s, "policy", "grid", 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("found %v", err)
	}
	must(db.Assign(ctx, s, store.TargetAll, kept[2].SHA256, "ana", now))
	must(db.Assign(ctx, s, store.TargetSite("by hand"), kept[1].SHA256, "ana", now))

	ms := func(n int64) *int64 { return &n }
	well := batch.Health{Version: "1", Passive: "kernel", ClockMS: ms(20), Rules: &batch.RuleHealth{Rules: 9, Central: true, Pack: "grid", PackVersion: 2, PackSHA256: kept[2].SHA256}, Ports: []batch.Port{{Tier: "A"}, {Tier: "A"}}}
	with := func(change func(*batch.Health, *batch.RuleHealth)) batch.Health {
		h := well
		r := *well.Rules
		h.Rules = &r
		change(&h, &r)
		return h
	}
	older := func(h *batch.Health, r *batch.RuleHealth) { r.PackVersion, r.PackSHA256 = 1, kept[1].SHA256 }
	for i, c := range []struct {
		name    string
		health  batch.Health
		expires time.Duration
		more    func(id string)
		want    string
		trouble bool
	}{
		{"well", well, 30 * 24 * time.Hour, nil, "ok; rules current grid 2", false},
		{"lags", with(older), 30 * 24 * time.Hour, nil, "ok; rules lags grid 1", true},
		{"refuses", with(older), 30 * 24 * time.Hour, func(id string) {
			must(db.PutOutcome(ctx, s, store.Outcome{Sensor: id, Pack: kept[2].SHA256, Reason: "older", Why: "w", At: now}))
		}, "ok; rules refused grid 1 older", true},
		{"refused another one before", with(older), 30 * 24 * time.Hour, func(id string) {
			must(db.PutOutcome(ctx, s, store.Outcome{Sensor: id, Pack: kept[1].SHA256, Reason: "older", Why: "w", At: now}))
		}, "ok; rules lags grid 1", true},
		{"by hand", with(func(h *batch.Health, r *batch.RuleHealth) { r.Central = false }), 30 * 24 * time.Hour, nil, "ok; rules closed grid 2", true},
		{"certificate", well, 24 * time.Hour, nil, "ok late; rules current grid 2", true},
		{"expired", well, -time.Hour, nil, "expired late; rules current grid 2", true},
		{"clock", with(func(h *batch.Health, _ *batch.RuleHealth) { h.ClockMS = ms(-7000) }), 30 * 24 * time.Hour, nil, "ok clock -7000; rules current grid 2", true},
		{"policy of its own", with(func(_ *batch.Health, r *batch.RuleHealth) { r.Policy, r.PolicyVersion = "word", 3 }), 30 * 24 * time.Hour, nil, "ok; rules current grid 2; policy loose word 3", true},
		{"reload", with(func(_ *batch.Health, r *batch.RuleHealth) { r.Refused = "x" }), 30 * 24 * time.Hour, nil, "ok refused x; rules current grid 2", true},
		{"denied", well, 30 * 24 * time.Hour, func(id string) { must(db.Deny(ctx, s, id, "ana", now)) }, "denied; rules current grid 2", true},
		{"gap", well, 30 * 24 * time.Hour, nil, "ok missing 4; rules current grid 2", true},
	} {
		id := fmt.Sprint("s", i)
		must(db.CreateToken(ctx, s, store.Token{ID: id, Expires: now.Add(time.Hour)}))
		must(db.Enrol(ctx, s, id, [32]byte{}, store.Sensor{ID: id, Name: c.name, Enrolled: now}, store.Cert{Sensor: id, Serial: id, Key: id, Public: []byte{1}, Expires: now.Add(c.expires)}, now))
		body, err := json.Marshal(c.health)
		must(err)
		from := uint64(1)
		if c.name == "gap" {
			from = 5
		}
		_, err = db.Ingest(ctx, s, id, []store.Batch{{Header: batch.Header{Sensor: id, Epoch: "0", Lane: batch.Vital, Base: 1, From: from, To: from, Sealed: now}, Hash: batch.Hash{1}, Records: []batch.Record{{Seq: from, Kind: batch.KindHealth, Body: body}}}}, now)
		must(err)
		if c.more != nil {
			c.more(id)
		}
		members, err := Members(ctx, db, s, now.Add(time.Minute))
		must(err)
		for _, m := range members {
			if m.Sensor != id {
				continue
			}
			got := m.State
			if m.Late {
				got += " late"
			}
			if m.ClockOff {
				got += fmt.Sprint(" clock ", *m.ClockMS)
			}
			if m.Refused != "" {
				got += " refused " + m.Refused
			}
			if m.Missing > 0 {
				got += fmt.Sprint(" missing ", m.Missing)
			}
			for _, p := range m.Packs {
				got += fmt.Sprintf("; %s %s %s %d", p.Kind, p.State, p.Name, p.Version)
				if p.Reason != "" {
					got += " " + p.Reason
				}
			}
			if got != c.want || m.Trouble() != c.trouble || len(m.Tiers) != 1 || m.Passive != "kernel" || m.Rules != 9 {
				t.Errorf("%s: %q (trouble %v), want %q (%v); %+v", c.name, got, m.Trouble(), c.want, c.trouble, m)
			}
		}
		if i > 0 && (members[0].Name == "well" || members[len(members)-1].Name != "well") {
			t.Errorf("%s: the one that is well is not the last", c.name)
		}
	}
}
