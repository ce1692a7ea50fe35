package collector

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/headers"
	"github.com/roje-ot/roje/rules/batch/proof"
	"github.com/roje-ot/roje/testdata/need"
)

// giveEvidence has sensor s1 send a capture for an alert.
func giveEvidence(t *testing.T, f *frontend, alert string, frames ...[]byte) (file []byte) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	cert := store.Cert{Sensor: "s1", Serial: alert, Key: batch.KeyID(public), Public: public, Issued: time.Now(), Expires: time.Now().Add(time.Hour)}
	if err := f.db.AddCert(t.Context(), f.scope, cert); err != nil {
		t.Fatal(err)
	}
	file = proof.SealCapture(specimen.Capture(headers.Ethernet, frames...), key)
	sum := sha256.Sum256(file)
	p := batch.Piece{Alert: alert, Size: int64(len(file)), SHA256: hex.EncodeToString(sum[:]), Data: file}
	if err := f.db.PutEvidence(t.Context(), f.scope, "s1", p, time.Now()); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestCERTAnalyst walks what a CERT and an operator write to each other: what is sent is seen and answered at the console,
// evidence leaves under pseudonyms unless somebody says otherwise, nothing above the ceiling is written about or given, what
// is retracted is given no more, and all of it is on record.
func TestCERTAnalyst(t *testing.T) {
	need.Long(t)
	f, address := newFrontend(t)
	spool := specimen.Spool{Sensor: "s1"}
	spool.Enrol(t, f.db, f.scope, time.Now(), "Substation North")
	spool.Deliver(t, f.db, f.scope, time.Now(), specimen.Alerts()...)
	f.person(t, "ana", store.Analyst)
	f.person(t, "eva", store.Viewer)
	f.person(t, "mne", store.CERTAnalyst)
	u := store.User{Name: "kos", Role: store.CERTAnalyst, Ceiling: store.Green, Created: f.now()}
	ks, err := f.db.GetUser(t.Context(), f.scope, "mne")
	if err != nil {
		t.Fatal(err)
	}
	u.Hash = ks.Hash
	if err := f.db.PutUser(t.Context(), f.scope, u, "test", f.now()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.db.ReleaseMasked(t.Context(), f.scope, "a-104", store.Green, "ana", f.now()); err != nil {
		t.Fatal(err)
	}
	for id, tlp := range map[string]store.TLP{"a-modbus": store.Amber, "a-arp": store.Green} {
		if _, err := f.db.Release(t.Context(), f.scope, id, tlp, "ana", f.now()); err != nil {
			t.Fatal(err)
		}
	}
	cert, other, ana, eva := newTab(t, address), newTab(t, address), newTab(t, address), newTab(t, address)
	ana.post("/signin", "name", "ana", "password", testPassword)
	eva.post("/signin", "name", "eva", "password", testPassword)
	other.post("/signin", "name", "mne", "password", testPassword)
	cert.post("/signin", "name", "kos", "password", testPassword).want("at home", "/cert", 200, "Released alerts", "answered from")
	for _, hidden := range []string{"10.20.0.66", "a-104", "a-modbus", "10.30.0.9", "Substation North"} {
		if strings.Contains(cert.text, hidden) {
			t.Errorf("the CERT's page says %q", hidden)
		}
	}
	if !strings.Contains(other.text, "10.30.0.9") {
		t.Error("who has no ceiling does not see what is amber")
	}
	shown := regexp.MustCompile(`/cert/alerts/([0-9a-f]{24})"`).FindStringSubmatch(cert.text)
	if shown == nil {
		t.Fatalf("no alert under pseudonyms:\n%s", cert.text)
	}
	page := "/cert/alerts/" + shown[1]
	cert.get(page).want("the alert", page, 200, "C_SC_NA_1", "Write to the operator")
	for _, c := range []struct {
		page   string
		fields []string
		status int
		says   string
	}{
		{"/cert/alerts/a-modbus", []string{"kind", "note", "tlp", "green", "text", "Above my ceiling."}, 404, ""},
		{"/cert/alerts/a-104", []string{"kind", "note", "tlp", "green", "text", "By its other name."}, 404, ""},
		{"/cert/alerts/a-bare", []string{"kind", "note", "tlp", "green", "text", "Not released."}, 404, ""},
		{page, []string{"kind", "note", "tlp", "red", "text", "For your ears."}, 422, "tlp red is never released"},
		{page, []string{"kind", "indicator", "tlp", "green", "text", "Without a pattern."}, 422, "Without a pattern."},
		{page, []string{"kind", "note", "tlp", "green", "text", "Seen <elsewhere> too."}, 200, "Seen <elsewhere> too."},
		{page, []string{"kind", "indicator", "tlp", "amber", "text", "Look for it.", "language", "stix", "pattern", "[ipv4-addr:value = '192.0.2.9']"}, 200, "192.0.2.9"},
		{page, []string{"kind", "evidence", "tlp", "green", "text", "The frames, please."}, 200, "asks for evidence"},
		{"/cert/alerts/a-arp", []string{"kind", "evidence", "tlp", "green", "text", "These too."}, 200, "asks for evidence"},
	} {
		cert.post(c.page, c.fields...).want(fmt.Sprint(c.fields), c.page, c.status, c.says)
	}
	other.get("/cert")
	if strings.Contains(other.text, "frames, please") {
		t.Error("one CERT reads the letters of another")
	}

	ana.get("/").want("the operator", "/", 200, "Letters (4)")
	ana.get("/letters").want("the operator", "/letters", 200, "Seen <elsewhere> too.", "The frames, please.", "/alerts/a-104", "Give the evidence")
	ana.get("/alerts/a-104").want("at the alert", "/alerts/a-104", 200, "The frames, please.")
	eva.get("/letters").want("a viewer reads", "/letters", 200, "The frames, please.")
	if eva.post("/letters/letter-3", "do", "released"); eva.status != 403 {
		t.Errorf("a viewer answers: %d", eva.status)
	}
	if cert.post("/letters/letter-3", "do", "released"); cert.status != 403 {
		t.Errorf("a CERT answers itself: %d", cert.status)
	}
	ana.post("/letters/letter-3", "do", "released").want("before it has come", "/letters/letter-3", 409, "The evidence is not here")
	file := giveEvidence(t, f, "a-104", specimen.Frame(headers.UDP, specimen.Datagram("on 10.20.0.7")...))
	plain := giveEvidence(t, f, "a-arp", specimen.Frame(headers.UDP, specimen.Datagram("x")...))
	get := "/cert/letters/letter-3/evidence.pcapng"
	cert.get(get).want("before it is given", get, 404)
	ana.post("/letters/letter-3", "do", "released", "plain", "yes").want("as it is", "/letters/letter-3", 409, "so must be its evidence")
	ana.post("/letters/letter-3", "do", "released", "text", "Here they are.").want("given", "/letters", 200)
	ana.post("/letters/letter-3", "do", "declined").want("another answer", "/letters/letter-3", 409, "answered it meanwhile")
	ana.post("/letters/letter-4", "do", "released", "plain", "yes").want("as it is", "/letters", 200)
	ana.post("/letters/letter-1", "do", "declined").want("a note is not declined", "/letters/letter-1", 409)
	ana.post("/letters/letter-1", "do", "read", "text", "Thank you.").want("read", "/letters", 200, "Look for it.")
	cert.get("/cert").want("answered", "/cert", 200, "Here they are.", "Thank you.", "under pseudonyms", get)
	if cert.get(get); cert.status != 200 || strings.Contains(cert.text, "10.20.0.7") || strings.Contains(cert.text, "Q0") || !strings.Contains(cert.text, "on xxxxxxxxx") || strings.Contains(cert.text, string(specimen.IPs[0])) {
		t.Errorf("under pseudonyms: %d %q, from %q", cert.status, cert.text, file)
	}
	if cert.get("/cert/letters/letter-4/evidence.pcapng"); cert.status != 200 || !strings.Contains(cert.text, string(specimen.IPs[0])) || len(cert.text) > len(plain) {
		t.Errorf("as it is: %d %q", cert.status, cert.text)
	}
	if other.get(get); other.status != 404 {
		t.Errorf("another CERT fetches it: %d", other.status)
	}
	if _, err := f.db.Retract(t.Context(), f.scope, "a-104", "ana", f.now()); err != nil {
		t.Fatal(err)
	}
	cert.get(get).want("after the retraction", get, 404)
	cert.get(page).want("after the retraction", page, 404)
	if _, err := f.db.Release(t.Context(), f.scope, "a-arp", store.Amber, "ana", f.now()); err != nil {
		t.Fatal(err)
	}
	cert.get("/cert/letters/letter-4/evidence.pcapng").want("above the ceiling since", "/cert/letters/letter-4/evidence.pcapng", 404)

	acts, err := f.db.Acts(t.Context(), f.scope, "a-104", 20)
	var said []string
	for _, a := range acts {
		said = append(said, a.Who+" "+a.What+" "+a.Detail)
	}
	for _, want := range []string{"kos letter letter-1: note, tlp green", "kos letter letter-3: evidence, tlp green", "ana letter-answer letter-3: released, under pseudonyms", "kos letter-fetch letter-3"} {
		if !slices.Contains(said, want) {
			t.Errorf("the record does not say %q: %q, %v", want, said, err)
		}
	}
}
