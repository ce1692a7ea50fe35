package api

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/proof"
)

var sensorKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))

// bring has sensor s1 send the evidence of an alert and a statement, and returns the evidence.
func bring(t *testing.T, db store.Store, scope store.Scope, spool *specimen.Spool, now time.Time) []byte {
	t.Helper()
	public := sensorKey.Public().(ed25519.PublicKey)
	cert := store.Cert{Sensor: "s1", Serial: "02", Key: batch.KeyID(public), Public: public, Issued: now, Expires: now.Add(time.Hour)}
	if err := db.AddCert(t.Context(), scope, cert); err != nil {
		t.Fatal(err)
	}
	file := proof.SealCapture(proof.Block(nil, proof.SectionBlock, make([]byte, 64)), sensorKey)
	seal, err := proof.CheckCapture(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(file); at += 100 {
		p := batch.Piece{Alert: "a-104", Size: int64(len(file)), SHA256: seal.SHA256, At: int64(at), Data: file[at:min(at+100, len(file))]}
		if err := db.PutEvidence(t.Context(), scope, "s1", p, now); err != nil {
			t.Fatal(err)
		}
	}
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s := &proof.Statement{Type: proof.StatementType, Form: 1, Sensor: "north-1", From: day, To: day.AddDate(0, 0, 1), Watched: []proof.Span{}, Sources: []proof.SourceDay{}, Links: []proof.LinkDay{},
		Not: []proof.Span{{From: day, To: day.AddDate(0, 0, 1), Why: "the sensor did not run"}}}
	text, err := proof.Sign(s, sensorKey)
	if err != nil {
		t.Fatal(err)
	}
	spool.Say(t, db, scope, now, batch.KindStatement, json.RawMessage(text))
	return file
}

// readCapture holds that the file is there, whole and by a part.
func readCapture(t *testing.T, address string, want []byte) {
	t.Helper()
	for _, part := range []struct {
		ask    string
		status int
		want   []byte
	}{{"", http.StatusOK, want}, {"bytes=10-19", http.StatusPartialContent, want[10:20]}} {
		ask, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if part.ask != "" {
			ask.Header.Set("Range", part.ask)
		}
		resp, err := http.DefaultClient.Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != part.status || resp.Header.Get("Content-Type") != CaptureType || !bytes.Equal(got, part.want) {
			t.Errorf("%s %q: %s, %d bytes of %s, %v", address, part.ask, resp.Status, len(got), resp.Header.Get("Content-Type"), err)
		}
	}
}

// TestStatements holds that a statement is listed with what it says, as valid, and is given out as it was signed.
func TestStatements(t *testing.T) {
	address, db, scope := newServer(t)
	now := time.Now()
	spool := specimen.Spool{Sensor: "s1"}
	spool.Deliver(t, db, scope, now, specimen.Alerts()...)
	spool.Enrol(t, db, scope, now, "site")
	bring(t, db, scope, &spool, now)
	for _, path := range []string{"/api/v1/coverage", "/api/v1/coverage?sensor=s1&limit=1"} {
		_, body := get(t, address+path)
		all := body.(map[string]any)["statements"].([]any)
		if len(all) != 1 {
			t.Fatalf("%s: %v", path, body)
		}
		if one := all[0].(map[string]any); one["valid"] != true || one["sensor"] != "s1" || one["not_watched_s"].(json.Number) != "86400" {
			t.Errorf("%v", one)
		}
	}
	resp, err := http.Get(address + "/api/v1/coverage/s1.20260302T000000Z")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if s, seal, err := proof.Verify(text); err != nil || s.Sensor != "north-1" || !seal.Key.Equal(sensorKey.Public()) {
		t.Errorf("%s: %v", text, err)
	}
	for path, want := range map[string]int{"/api/v1/coverage?rule=x": 400, "/api/v1/coverage/s1.x": 404, "/api/v1/coverage/s9.x": 404, "/api/v1/alerts/a-bare/evidence": 404, "/api/v1/alerts/a-bare/evidence.pcapng": 404} {
		if status, _ := get(t, address+path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}
