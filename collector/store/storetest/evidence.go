package storetest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/proof"
)

// Capture is a capture of about n bytes that key has signed, with the alert that names it.
func Capture(key ed25519.PrivateKey, a rules.Alert, n int) ([]byte, rules.Alert) {
	file := proof.SealCapture(proof.Block(nil, 0x0bad, bytes.Repeat([]byte(a.ID[:4]), n/4)), key)
	sum := sha256.Sum256(file)
	a.Evidence = &rules.Evidence{File: a.ID + ".pcapng", SHA256: hex.EncodeToString(sum[:])}
	return file, a
}

// Pieces cuts the evidence of an alert.
func Pieces(file []byte, a rules.Alert, n int) (all []batch.Piece) {
	for at := 0; at < len(file); at += n {
		all = append(all, batch.Piece{Alert: a.ID, Size: int64(len(file)), SHA256: a.Evidence.SHA256, At: int64(at), Data: file[at:min(at+n, len(file))]})
	}
	return all
}

var sensorKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))

// giveKey gives a sensor a certificate for sensorKey.
func giveKey(t testing.TB, st store.Store, sc store.Scope, sensor string) {
	t.Helper()
	public := sensorKey.Public().(ed25519.PublicKey)
	cert := store.Cert{Sensor: sensor, Serial: "0e", Key: batch.KeyID(public), Public: public, Issued: Start, Expires: Start.AddDate(1, 0, 0)}
	if err := st.AddCert(t.Context(), sc, cert); err != nil {
		t.Fatal(err)
	}
}

// evidence holds that evidence that was asked for comes in pieces, in whatever order and however often, is whole only as
// its sensor signed it, and is kept as long as its alert, or a hold, says.
func evidence(t *testing.T, st store.Store) {
	north, south, ctx := For(t, "north"), For(t, "south"), t.Context()
	for _, sc := range []store.Scope{north, south} {
		enrol(t, st, sc, "s1")
	}
	enrol(t, st, north, "s2")
	giveKey(t, st, north, "s1")
	giveKey(t, st, north, "s2")
	var files [][]byte
	var alerts []rules.Alert
	for n := range 6 {
		file, a := Capture(sensorKey, alert(n, nil), 4000+100*n)
		files, alerts = append(files, file), append(alerts, a)
	}
	ingest(t, st, north, newSpool("s1", batch.Routine).seal(t, alerts...))
	ingest(t, st, north, newSpool("s2", batch.Routine).seal(t, alerts[0])) // the same id: alert-000@s2
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	state := func(sc store.Scope, id string, want store.EvidenceState, have int) {
		t.Helper()
		e, err := st.GetEvidence(ctx, sc, id)
		if err != nil || e.State != want || e.Have != int64(have) {
			t.Errorf("evidence of %s: %+v, %v; want %s with %d bytes", id, e, err, want, have)
		}
	}
	put := func(sensor string, at time.Time, all ...batch.Piece) {
		t.Helper()
		for _, p := range all {
			must(st.PutEvidence(ctx, north, sensor, p, at))
		}
	}

	if err := st.AskEvidence(ctx, south, "alert-000", "ana", Start); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another operator's: %v", err)
	}
	if _, err := st.GetEvidence(ctx, north, "alert-000"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("not asked for: %v", err)
	}
	for range 2 {
		must(st.AskEvidence(ctx, north, "alert-000", "ana", Start))
	}
	must(st.AskEvidence(ctx, north, "alert-000@s2", "ana", Start))
	state(north, "alert-000", store.EvidenceAsked, 0)
	for _, sensor := range []string{"s1", "s2"} {
		asks, err := st.WantedEvidence(ctx, north, sensor)
		must(err)
		same(t, "asks of "+sensor, asks, []batch.Ask{{Alert: "alert-000"}})
	}

	cut := Pieces(files[0], alerts[0], 1500)
	put("s1", Start, cut[0], cut[2], cut[0])
	state(north, "alert-000", store.EvidenceComing, 1500)
	asks, err := st.WantedEvidence(ctx, north, "s1")
	must(err)
	same(t, "asks", asks, []batch.Ask{{Alert: "alert-000", From: 1500}})
	if _, err := st.ReadEvidence(ctx, north, "alert-000"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("half of it is read: %v", err)
	}
	put("s1", Start, cut[1], cut[2], cut[2])
	state(north, "alert-000", store.EvidenceWhole, len(files[0]))
	got, err := st.ReadEvidence(ctx, north, "alert-000")
	must(err)
	if !bytes.Equal(got, files[0]) {
		t.Error("what came is not what was sent")
	}
	if asks, err := st.WantedEvidence(ctx, north, "s1"); err != nil || len(asks) != 0 {
		t.Errorf("asks %v, %v", asks, err)
	}
	must(st.AskEvidence(ctx, north, "alert-000", "ana", Start)) // it is here
	state(north, "alert-000", store.EvidenceWhole, len(files[0]))
	put("s2", Start, cut...)
	state(north, "alert-000@s2", store.EvidenceWhole, len(files[0]))

	for n, spoil := range map[int]func(file []byte) []byte{
		1: func(f []byte) []byte { f = bytes.Clone(f); f[40] ^= 1; return f },
		2: func([]byte) []byte { other, _ := Capture(sensorKey, alerts[3], 2000); return other }, // well signed, and not what the alert names
		3: func([]byte) []byte {
			own, _ := Capture(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), alerts[3], 2000)
			return own
		},
	} {
		file := spoil(files[n])
		a := alerts[n]
		if n == 3 { // a key of its own, and an alert that names it
			_, a = Capture(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), alert(3, func(a *rules.Alert) { a.Count = 2 }), 2000)
			sp := newSpool("s1", batch.Urgent)
			ingest(t, st, north, sp.seal(t, a))
		}
		sum := sha256.Sum256(file)
		for _, p := range Pieces(file, a, 1500) {
			p.SHA256 = hex.EncodeToString(sum[:])
			put("s1", Start, p)
		}
		state(north, a.ID, store.EvidenceRefused, 0)
		acts, err := st.Acts(ctx, north, a.ID, 9)
		if err != nil || len(acts) != 1 || acts[0].What != "evidence" || acts[0].Who != "sensor s1" {
			t.Errorf("acts %+v, %v; want that it was refused", acts, err)
		}
	}
	put("s1", Start, batch.Piece{Alert: "alert-004", Gone: "it made room"})
	state(north, "alert-004", store.EvidenceGone, 0)
	put("s1", Start, Pieces(files[5], alerts[5], 2000)[:2]...)
	state(north, "alert-005", store.EvidenceComing, 4000)
	file, anew := Capture(sensorKey, alert(5, func(a *rules.Alert) { a.Count = 3 }), 3000) // made anew at the sensor
	ingest(t, st, north, newSpool("s1", batch.Evidence).seal(t, anew))
	put("s1", Start, Pieces(file, anew, 2000)...)
	state(north, "alert-005", store.EvidenceWhole, len(file))
	put("s1", Start, batch.Piece{Alert: "alert-001", At: -1, Size: 9, Data: []byte("x")})
	if err := st.PutEvidence(ctx, north, "s2", cut[0], Start); err != nil {
		t.Errorf("a repeat: %v", err)
	}
	if err := st.PutEvidence(ctx, north, "s2", batch.Piece{Alert: "alert-001", Gone: "x"}, Start); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("evidence of another sensor's alert: %v", err)
	}

	must(st.SetHeld(ctx, north, "alert-000", true, "ana", Start))
	gone, err := st.Forget(ctx, north, store.Cutoff{Records: Start.Add(time.Hour)})
	if err != nil || gone.Evidence != 6 { // all but alert-000, which is held
		t.Errorf("forgotten %+v, %v", gone, err)
	}
	state(north, "alert-000", store.EvidenceWhole, len(files[0]))
	must(st.SetHeld(ctx, north, "alert-000", false, "ana", Start))
	if gone, err = st.Forget(ctx, north, store.Cutoff{Alerts: Start.AddDate(1, 0, 0)}); err != nil || gone.Evidence != 1 {
		t.Errorf("forgotten %+v, %v", gone, err)
	}
	if _, err := st.ReadEvidence(ctx, north, "alert-000"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("evidence without an alert: %v", err)
	}
}
