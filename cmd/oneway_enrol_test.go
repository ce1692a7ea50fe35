package cmd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector"
	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
	"github.com/roje-ot/roje/sensor/enrol"
)

// offline enrols a sensor at a collector's data folder by files alone.
func offline(t *testing.T, data string) *enrol.Identity {
	t.Helper()
	o := enrol.Options{Dir: filepath.Join(t.TempDir(), "enrolment"), Name: "Substation 7", Now: time.Now}
	return answered(t, o, data)
}

// answered carries the sensor's file to the collector and the answer back.
func answered(t *testing.T, o enrol.Options, data string) *enrol.Identity {
	t.Helper()
	text, key, words, err := enrol.AskOffline(o)
	if err != nil {
		t.Fatal(err)
	}
	ask, err := join.ParseAsk(text)
	if err != nil {
		t.Fatal(err)
	}
	if shown, err := pki.RequestKey(ask.CSR); err != nil || batch.KeyID(shown) != key || join.Words(shown) != words {
		t.Fatalf("the sensor shows key %s (%s), the collector %s (%s), %v", key, words, batch.KeyID(shown), join.Words(shown), err)
	}
	bundle, err := collector.EnrolOffline(t.Context(), data, ask, "", "ann")
	if err != nil {
		t.Fatal(err)
	}
	if text, err = json.Marshal(bundle); err != nil {
		t.Fatal(err)
	}
	id, err := enrol.InstallOffline(o, text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestEnrolOffline holds the way by files: enrolled, enrolled again under the same name with a certificate that lasts
// longer, and what is refused.
func TestEnrolOffline(t *testing.T) {
	data := t.TempDir()
	o := enrol.Options{Dir: filepath.Join(t.TempDir(), "enrolment"), Name: "Substation 7", Now: time.Now}
	first, err := os.ReadFile(ask(t, o))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(ask(t, o)); err != nil || keyIn(t, again) != keyIn(t, first) {
		t.Errorf("asked twice, the sensor asks for two keys (%v)", err)
	}
	id := answered(t, o, data)
	if left := time.Until(id.Expires()); left < 700*24*time.Hour {
		t.Errorf("the certificate is good for %v", left)
	}
	if again := answered(t, o, data); again.Sensor != id.Sensor || again.Name != "Substation 7" {
		t.Errorf("renewed by file: sensor %s (%s), want %s", again.Sensor, again.Name, id.Sensor)
	}
	other := enrol.Options{Dir: filepath.Join(t.TempDir(), "enrolment"), Name: "Substation 8", Now: time.Now}
	text, err := os.ReadFile(ask(t, other))
	if err != nil {
		t.Fatal(err)
	}
	a, err := join.ParseAsk(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*join.Bundle)
		o      enrol.Options
	}{
		"another's answer":  {func(*join.Bundle) {}, o},
		"another name":      {func(b *join.Bundle) { b.Sensor = id.Sensor }, other},
		"another root":      {func(b *join.Bundle) { b.CA = b.Cert }, other},
		"a damaged answer":  {func(b *join.Bundle) { b.Cert[100] ^= 1 }, other},
		"nothing was asked": {func(*join.Bundle) {}, enrol.Options{Dir: filepath.Join(t.TempDir(), "enrolment"), Now: time.Now}},
	} {
		bundle, err := collector.EnrolOffline(t.Context(), data, a, "", "ann")
		if err != nil {
			t.Fatal(err)
		}
		c.change(&bundle)
		text, err := json.Marshal(bundle)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := enrol.InstallOffline(c.o, text); err == nil {
			t.Errorf("%s was installed", name)
		}
	}
	if now, err := enrol.Load(o.Dir); err != nil || now.Sensor != id.Sensor {
		t.Errorf("after the refusals: %v", err)
	}
	db, scope := storeOf(t, data)
	if err := db.Deny(t.Context(), scope, id.Sensor, "ann", time.Now()); err != nil {
		t.Fatal(err)
	}
	denied, err := join.ParseAsk(first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := collector.EnrolOffline(t.Context(), data, denied, "", "ann"); err == nil || !strings.Contains(err.Error(), "deny list") {
		t.Errorf("a denied sensor asks again: %v", err)
	}
	acts, err := db.Acts(t.Context(), scope, id.Sensor, 10)
	if err != nil || len(acts) != 3 || acts[1].What != "renew" || acts[1].Who != "ann" || acts[2].What != "enrol" || acts[2].Who != "ann" {
		t.Errorf("acts on the sensor: %+v, %v; want its enrolment, the other certificate and the denial", acts, err)
	}
}

func ask(t *testing.T, o enrol.Options) (file string) {
	t.Helper()
	text, _, _, err := enrol.AskOffline(o)
	file = filepath.Join(t.TempDir(), "ask")
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func keyIn(t *testing.T, text []byte) string {
	t.Helper()
	a, err := join.ParseAsk(text)
	if err != nil {
		t.Fatal(err)
	}
	asking, err := pki.RequestKey(a.CSR)
	if err != nil {
		t.Fatal(err)
	}
	return batch.KeyID(asking)
}

func storeOf(t *testing.T, data string) (*sqlite.DB, store.Scope) {
	t.Helper()
	db, err := sqlite.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	scope, err := store.For(collector.DefaultOperator)
	if err != nil {
		t.Fatal(err)
	}
	return db, scope
}
