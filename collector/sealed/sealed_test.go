package sealed

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/proof"
)

func keyOf(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

var day = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// seal is one of a ledger whose record of each number has a hash of its own; other is a ledger that was written anew.
func seal(days int, number uint64, other byte, before *proof.LedgerSeal) *proof.LedgerSeal {
	return proof.SealLedger(keyOf(5), day.AddDate(0, 0, days), number, sha256.Sum256([]byte{byte(number), other}), before)
}

// certify gives a sensor certificates for keys, one after the other.
func certify(t *testing.T, db store.Fleet, scope store.Scope, sensor string, keys ...byte) {
	for n, seed := range keys {
		public := keyOf(seed).Public().(ed25519.PublicKey)
		issued := day.AddDate(0, 0, 3*n)
		cert := store.Cert{Sensor: sensor, Serial: fmt.Sprint("02", sensor, n), Key: batch.KeyID(public), Public: public, Issued: issued, Expires: issued.Add(time.Hour)}
		if err := db.AddCert(t.Context(), scope, cert); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCheck holds that each way to change a ledger behind its seals shows, and that nothing else does.
func TestCheck(t *testing.T) {
	one := seal(0, 10, 0, nil)
	two := seal(1, 20, 0, one)
	three := seal(2, 20, 0, two) // nobody commanded anything
	renewed := proof.SealLedger(keyOf(7), day.AddDate(0, 0, 3), 30, [32]byte{}, three)
	after := proof.SealLedger(keyOf(7), day.AddDate(0, 0, 4), 40, [32]byte{1}, renewed)
	anew := proof.SealLedger(keyOf(7), day.AddDate(0, 0, 3), 30, [32]byte{}, nil)
	foreign := proof.SealLedger(keyOf(6), day.AddDate(0, 0, 3), 30, [32]byte{}, three)
	falsified := *three
	falsified.Number++
	introduced := func(key, by byte, days int, number uint64, before *proof.LedgerSeal) *proof.LedgerSeal {
		s := proof.SealLedger(keyOf(key), day.AddDate(0, 0, days), number, [32]byte{}, before)
		s.Introduce(keyOf(by))
		return s
	}
	unenrolled := proof.SealLedger(keyOf(8), day.AddDate(0, 0, -1), 5, [32]byte{}, nil)
	badly := introduced(5, 8, 0, 10, unenrolled)
	badly.Introduced.Signature[0]++
	old := func(days int, number uint64) *proof.LedgerSeal { // of a sensor that does not name the seal before
		s := seal(days, number, 0, nil)
		s.Before = ""
		s.Signature = ed25519.Sign(keyOf(5), []byte("roje-ledger-1 "+s.At.Format(time.RFC3339Nano)+" "+map[uint64]string{5: "5", 10: "10", 20: "20"}[number]+" "+s.Head))
		return s
	}
	db, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	scope, err := store.For("operator")
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		name  string
		seals []*proof.LedgerSeal
		want  string // that the only problem says
	}{
		{"none", nil, ""},
		{"as they were made", []*proof.LedgerSeal{one, two, three}, ""},
		{"sent again", []*proof.LedgerSeal{one, two, one, two, three}, ""},
		{"of an old sensor", []*proof.LedgerSeal{old(0, 5), old(1, 10), old(2, 20)}, ""},
		{"of an old sensor, and then of a new one", []*proof.LedgerSeal{old(0, 5), seal(1, 20, 0, old(0, 5))}, ""},
		{"an old sensor's cut back", []*proof.LedgerSeal{old(0, 20), old(1, 10)}, "ended at record 10, and record 20"},
		{"cut back", []*proof.LedgerSeal{one, two, seal(3, 15, 0, one)}, "ended at record 15, and record 20"},
		{"cut back, and then more than before", []*proof.LedgerSeal{one, two, seal(3, 40, 0, one)}, "does not follow that of"},
		{"cut back and written again, as many", []*proof.LedgerSeal{one, two, seal(3, 20, 1, one)}, "is not the one that was sealed"},
		{"made anew", []*proof.LedgerSeal{one, two, seal(3, 40, 0, nil)}, "began anew"},
		{"one is missing", []*proof.LedgerSeal{one, three}, "one between them did not arrive"},
		{"of another key", []*proof.LedgerSeal{one, two, three, foreign}, "which the sensor never had"},
		{"of a new key that the sensor was given", []*proof.LedgerSeal{one, two, three, renewed, after}, ""},
		{"made anew with a new key", []*proof.LedgerSeal{one, two, three, anew}, "began anew"},
		{"of another key, and then on", []*proof.LedgerSeal{one, two, three, foreign, renewed, after}, "which the sensor never had"},
		{"from before the sensor was enrolled", []*proof.LedgerSeal{unenrolled, introduced(5, 8, 0, 10, unenrolled)}, ""},
		{"from before, and nothing since", []*proof.LedgerSeal{unenrolled}, "which the sensor never had"},
		{"from before, not introduced", []*proof.LedgerSeal{unenrolled, seal(0, 10, 0, unenrolled)}, "which the sensor never had"},
		{"from before, by way of another", []*proof.LedgerSeal{unenrolled, introduced(6, 8, 0, 5, unenrolled), introduced(5, 6, 1, 10, introduced(6, 8, 0, 5, unenrolled))}, ""},
		{"by a former key, after it introduced the next", []*proof.LedgerSeal{introduced(5, 8, 0, 10, nil), proof.SealLedger(keyOf(8), day.AddDate(0, 0, 1), 20, [32]byte{}, introduced(5, 8, 0, 10, nil))}, "which the sensor never had"},
		{"from before, cut back since", []*proof.LedgerSeal{unenrolled, introduced(5, 8, 0, 4, unenrolled)}, "ended at record 4, and record 5"},
		{"falsified", []*proof.LedgerSeal{one, two, &falsified}, "not as it was signed"},
		{"the introduction falsified", []*proof.LedgerSeal{seal(0, 5, 0, nil), badly}, "the introduction of key"},
	} {
		sensor := fmt.Sprint("s", i)
		spool := &specimen.Spool{Sensor: sensor}
		spool.Enrol(t, db, scope, day, sensor)
		certify(t, db, scope, sensor, 5, 7)
		for _, s := range c.seals {
			spool.Say(t, db, scope, s.At, batch.KindLedgerSeal, s)
		}
		list, err := Of(t.Context(), db, scope, sensor)
		if err != nil {
			t.Fatal(err)
		}
		wrong, err := Check(t.Context(), db, scope, sensor, list)
		if err != nil {
			t.Fatal(err)
		}
		if c.want == "" && len(wrong) > 0 || c.want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0].Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, wrong, c.want)
		}
	}
}
