package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector"
	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/proof"
)

// TestLedger holds that the seals of sensors are printed, and that one that does not follow is said.
func TestLedger(t *testing.T) {
	data := t.TempDir()
	db, err := sqlite.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	scope, err := store.For(collector.DefaultOperator)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	spools := map[string]*specimen.Spool{}
	for _, name := range []string{"north", "south"} {
		spools[name] = &specimen.Spool{Sensor: "s-" + name}
		spools[name].Enrol(t, db, scope, at, name)
		cert := store.Cert{Sensor: "s-" + name, Serial: "02" + name, Key: batch.KeyID(public), Public: public, Issued: at, Expires: at.Add(time.Hour)}
		if err := db.AddCert(t.Context(), scope, cert); err != nil {
			t.Fatal(err)
		}
	}
	say := func(days int, number uint64, before *proof.LedgerSeal) *proof.LedgerSeal {
		s := proof.SealLedger(key, at.AddDate(0, 0, days), number, sha256.Sum256([]byte{byte(number)}), before)
		spools["north"].Say(t, db, scope, s.At, batch.KindLedgerSeal, s)
		return s
	}
	check := func(args string, code int, want ...string) {
		t.Helper()
		got, stdout, stderr := command(t.Context(), "", strings.Fields(args+" --data "+data)...)
		if got != code {
			t.Errorf("%s: exit %d, want %d: %s", args, got, code, stderr)
		}
		for _, w := range want {
			if !strings.Contains(stdout+stderr, w) {
				t.Errorf("%s: %s%s, want %q", args, stdout, stderr, w)
			}
		}
	}
	first := say(0, 10, nil)
	second := say(1, 20, first)
	check("ledger verify", 0, "north: 2 seals, 0 problems; sealed to record 20 on 2026-03-02", "south: no seal was received")
	check("ledger seals --sensor s-north", 0, `"number":10,`, `"number":20,`)
	check("ledger seals", 2, "--sensor NAME")
	check("ledger verify --sensor noth", 1, `did you mean "north"?`)
	say(2, 15, second)
	check("ledger verify --sensor south", 0)
	check("ledger verify", 1, "WRONG: north: ", "the ledger ended at record 15, and record 20 was sealed on 2026-03-02")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
