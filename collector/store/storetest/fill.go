package storetest

import (
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// Fill puts something of every kind into an empty store, for two operators.
func Fill(t testing.TB, st store.Store) {
	t.Helper()
	for _, name := range []string{"north", "south"} {
		sc, ctx := For(t, name), t.Context()
		enrol(t, st, sc, "s1")
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(st.CreateToken(ctx, sc, store.Token{ID: "unused", Secret: [32]byte{9}, Who: "ana", Created: Start, Expires: Start.Add(time.Hour)}))
		must(st.Deny(ctx, sc, "s1", "ana", Start))
		must(st.CreateToken(ctx, sc, store.Token{ID: "asked", Who: "ana", Created: Start, Expires: Start.Add(time.Hour), Approve: true}))
		_, err := st.AskJoin(ctx, sc, [32]byte{}, store.Join{Token: "asked", Key: "k", Words: "lusab", Name: "Alpha", Remote: "192.0.2.9", Asked: Start})
		must(err)
		must(st.PutUser(ctx, sc, store.User{Name: "ana", Role: store.Analyst, Hash: "$argon2id$x", MustChange: true, Created: Start, Language: "sr"}, "setup", Start))
		must(st.SignedIn(ctx, sc, "ana", Start))
		must(st.SwapProof(ctx, sc, "ana", "", "a proof", store.Act{}))
		must(st.PutUser(ctx, sc, store.User{Name: "bob", Role: store.CERT, Disabled: true, Created: Start}, "setup", Start))
		sp, vital := newSpool("s1", batch.Routine), newSpool("s1", batch.Vital)
		ingest(t, st, sc, sp.seal(t, alert(1, nil), alert(2, func(a *rules.Alert) { a.Title, a.Incident = "Прекидач \"7\" | \\N\n", "inc-1" })))
		sp.seal(t, alert(3, nil)) // lost
		ingest(t, st, sc, sp.seal(t, alert(4, nil)))
		ingest(t, st, sc, vital.sealKind(t, batch.KindHealth, batch.Health{At: Start, Version: "1"}))
		ingest(t, st, sc, vital.sealKind(t, "note", "one", "two"))
		must(st.SetStatus(ctx, sc, "alert-001", store.Acked, "ana", Start))
		must(st.AskEvidence(ctx, sc, "alert-001", "ana", Start))
		must(st.PutEvidence(ctx, sc, "s1", batch.Piece{Alert: "alert-001", Size: 9, SHA256: "0", Data: []byte{0, 1, 2, 255}}, Start))
		must(st.SetHeld(ctx, sc, "alert-002", true, "ana", Start))
		_, err = st.Release(ctx, sc, "alert-001", store.Green, "ana", Start)
		must(err)
		for _, tlp := range []store.TLP{store.Green, store.Amber} {
			_, err := st.Release(ctx, sc, "alert-004", tlp, "ana", Start)
			must(err)
		}
		_, err = st.Retract(ctx, sc, "alert-004", "ana", Start)
		must(err)
		must(st.PutPack(ctx, sc, pack("rules", "utility", 1, "r1"), []byte{0, 1, 2, 255}))
		must(st.Assign(ctx, sc, store.TargetAll, "r1", "ana", Start))
		must(st.PutOutcome(ctx, sc, store.Outcome{Sensor: "s1", Pack: "r1", Reason: "older", At: Start}))
		correlate(t, st, sc)
		opened, err := st.OpenCase(ctx, sc, "A case", "ana", Start)
		must(err)
		must(st.AddToCase(ctx, sc, opened.ID, store.ItemAlert, "alert-001", "ana", Start))
		must(st.NoteCase(ctx, sc, opened.ID, "a note", "ana", Start))
		_, err = st.ReleaseGroup(ctx, sc, store.ItemCase, opened.ID, store.Amber, false, "ana", Start)
		must(err)
		sent, err := st.SendLetter(ctx, sc, store.Letter{At: Start, From: "bob", Kind: store.LetterNote, Alert: "alert-001", TLP: store.Amber, Text: "wrote a register elsewhere too"})
		must(err)
		must(st.AnswerLetter(ctx, sc, sent.ID, store.LetterAnswer{State: store.LetterRead}, "ana", Start))
		must(st.AppendLeaves(ctx, sc, func(int64, int64) ([][]byte, int64, error) { return [][]byte{{0, 255}}, 3, nil }))
		must(st.AppendCheckpoint(ctx, sc, []byte("note")))
		_, err = st.Secret(ctx, sc, "x")
		must(err)
		must(st.Sessions(func() time.Time { return Start }).Commit(name, []byte{0, 1, 2, 255}, Start.Add(time.Hour)))
	}
}

// GoOn holds that a store that Fill has filled, wherever it has moved since, takes up where it was: replays change
// nothing, what was lost comes in, numbers go on. It can be used once on each store.
func GoOn(t testing.TB, st store.Store) {
	t.Helper()
	sc := For(t, "south")
	sp := newSpool("s1", batch.Routine)
	first := sp.seal(t, alert(1, nil), alert(2, func(a *rules.Alert) { a.Title, a.Incident = "Прекидач \"7\" | \\N\n", "inc-1" }))
	lost := sp.seal(t, alert(3, nil))
	got := ingest(t, st, sc, first, lost)
	if got.Ack[batch.Routine] != 4 || len(got.Want) != 0 {
		t.Errorf("receipt %+v, want 4 and nothing missing", got)
	}
	if ids := all(t, st, sc, store.Filter{}, 2); len(ids) != 4 || ids[0] != "alert-003" {
		t.Errorf("alerts %v, want 4, what came last first", ids)
	}
	if err := st.SetStatus(t.Context(), sc, "alert-003", store.Closed, "ana", Start); err != nil {
		t.Error(err)
	}
	if acts, err := st.Acts(t.Context(), sc, "", 1); err != nil || len(acts) != 1 || acts[0].Object != "alert-003" {
		t.Errorf("last act %+v, %v", acts, err)
	}
}
