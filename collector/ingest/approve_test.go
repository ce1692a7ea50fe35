package ingest

import (
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

// TestApproval walks the sensors that a person must approve, by their tokens or by the collector's settings.
func TestApproval(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Approve = true })
	first, other, third := newSensor(t), newSensor(t), newSensor(t)
	k, k2, late := r.token(), r.token(), r.token()
	ask := func(name string, s *sensor, k join.Token, status int, code batch.Code, says string) join.Response {
		t.Helper()
		got, no, yes := r.enrol(s, join.Request{ID: k.ID, Secret: k.SecretText(), CSR: s.csr(t), Name: "Alpha"})
		if got != status || no.Code != code || !strings.Contains(no.Message, says) {
			t.Errorf("%s: got %d, %+v; want %d %s that says %q", name, got, no, status, code, says)
		}
		return yes
	}
	judge := func(k join.Token, state store.JoinState) {
		t.Helper()
		if err := r.db.JudgeJoin(t.Context(), r.scope, k.ID, state, "eva", start); err != nil {
			t.Fatal(err)
		}
	}
	words := join.Words(first.key.Public().(ed25519.PublicKey))
	ask("the first", first, k, 202, batch.Waiting, words)
	ask("again", first, k, 202, batch.Waiting, words)
	ask("who stole the token", other, k, 403, batch.BadToken, "another key has asked")
	ask("the second", other, k2, 202, batch.Waiting, "must approve")
	ask("the third", third, late, 202, batch.Waiting, "must approve")
	if sensors, err := r.db.Sensors(t.Context(), r.scope); err != nil || len(sensors) != 0 {
		t.Errorf("%d sensors before anybody was approved, %v", len(sensors), err)
	}
	joins, err := r.db.Joins(t.Context(), r.scope)
	if err != nil || len(joins) != 3 || joins[0].Remote != "127.0.0.1" {
		t.Errorf("joins %+v, %v", joins, err)
	}
	judge(k, store.Approved)
	judge(k2, store.Rejected)
	ask("who stole the token, after the approval", other, k, 403, batch.BadToken, "another key has asked")
	ask("rejected", other, k2, 403, batch.BadToken, "eva rejected this sensor")
	if yes := ask("approved", first, k, 200, "", ""); !strings.HasPrefix(yes.Sensor, "s-") || yes.Name != "Alpha" {
		t.Errorf("enrolled as %+v", yes)
	}
	ask("approved, a second time", first, k, 403, batch.BadToken, "was used")
	r.clock(start.Add(73 * time.Hour))
	ask("a token that expired while it waited", third, late, 403, batch.BadToken, "expired")
	judge(late, store.Approved)
	ask("approved too late", third, late, 403, batch.BadToken, "expired")
	if acts, err := r.db.Acts(t.Context(), r.scope, k.ID, 10); err != nil || len(acts) != 3 || acts[0].What != "approved" || acts[0].Who != "eva" || acts[1].What != "join" {
		t.Errorf("acts %+v, %v", acts, err)
	}
	for _, secret := range []string{k.SecretText(), k2.SecretText()} {
		if strings.Contains(r.log.String(), secret) {
			t.Error("the log tells a secret")
		}
	}
}

// TestWaitingIsARefusal pins what a sensor gets that is from before there was approval: an answer other than 200 whose
// body says why, as every refusal.
func TestWaitingIsARefusal(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Approve = true })
	s, k := newSensor(t), r.token()
	body, err := json.Marshal(join.Request{ID: k.ID, Secret: k.SecretText(), CSR: s.csr(t), Name: "Alpha"})
	if err != nil {
		t.Fatal(err)
	}
	status, text, header := r.post(nil, batch.PathEnrol, body)
	var no struct{ Error, Message string }
	if err := json.Unmarshal(text, &no); err != nil || status != http.StatusAccepted || no.Error != "waiting" || no.Message == "" || header.Get("Retry-After") != "2" {
		t.Errorf("%d %s, retry after %q", status, text, header.Get("Retry-After"))
	}
	if n := r.h.Refused.Load(); n != 0 {
		t.Errorf("%d refusals counted", n)
	}
}
