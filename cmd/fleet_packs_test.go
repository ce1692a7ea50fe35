package cmd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/roje-ot/roje/collector/fleet"
	"github.com/roje-ot/roje/collector/ingest"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	packs "github.com/roje-ot/roje/rules/site"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/testdata/need"
)

// A tapped store tells which health records come in.
type tapped struct {
	ingest.Store
	health chan batch.Health
}

func (s tapped) Ingest(ctx context.Context, sc store.Scope, name string, batches []store.Batch, at time.Time) (store.Receipt, error) {
	got, err := s.Store.Ingest(ctx, sc, name, batches, at)
	for _, b := range batches {
		for _, r := range b.Records {
			var h batch.Health
			if err == nil && r.Kind == batch.KindHealth && json.Unmarshal(r.Body, &h) == nil {
				s.health <- h
			}
		}
	}
	return got, err
}

// TestPacksTravel takes packs the whole way: signed for a sensor, kept and assigned at the collector, fetched over mutual
// TLS by a sensor that runs, and in force there; one that somebody else signed is refused, which the audit log hears.
func TestPacksTravel(t *testing.T) {
	news := make(chan batch.Health, 1000)
	c := newCentre(t, func(cfg *ingest.Config) { cfg.Store = tapped{cfg.Store, news} })
	c.set(time.Now())
	dir := t.TempDir()
	id, err := c.enrol(c.token(c.address), filepath.Join(dir, "enrolment"), nil)
	if err != nil {
		t.Fatal(err)
	}
	author := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	stranger := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	der, err := x509.MarshalPKIXPublicKey(author.Public())
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "author.pub")
	config := filepath.Join(dir, "sensor.yaml")
	for path, text := range map[string]string{
		key: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		config: "state: " + dir + "\nphase: off\nrules_central: true\nrules_key: " + key +
			"\nreplay: {files: [" + filepath.Join(need.Root(t), "testdata", "demo.pcap") + "], pace: 0.001}\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []struct {
		kind packs.Kind
		file string
		key  ed25519.PrivateKey
		text string
	}{
		{packs.Rules, "mine.yaml", author, "# no rule\n"},
		{packs.Policy, "site.yaml", stranger, "disable: [{rule: D01-dnp3-restart, reason: r, author: a}]\n"},
	} {
		b, err := packs.Seal("grid", 7, time.Now(), packs.Terms{Kind: p.kind, Operator: operator, Sensors: []string{id.Sensor}}, fstest.MapFS{p.file: {Data: []byte(p.text)}}, p.key)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := fleet.Add(t.Context(), c.db, c.scope, b, p.key.Public().(ed25519.PublicKey), "test", time.Now())
		if err == nil {
			err = c.db.Assign(t.Context(), c.scope, store.TargetSite(id.Name), kept.SHA256, "test", time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := sensor.LoadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sensor.Run(ctx, cfg, "test", quiet()) }()
	late := time.After(3 * time.Minute)
	for there := false; !there; {
		select {
		case h := <-news:
			there = h.Rules != nil && h.Rules.PackVersion == 7 && h.Rules.Policy == "" && strings.Contains(h.Rules.Refused, "signature") && h.ClockMS != nil
		case err := <-ended:
			t.Fatalf("the sensor ended: %v", err)
		case <-late:
			t.Fatal("no health record says that the one pack is in force and the other refused")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	members, err := fleet.Members(t.Context(), c.db, c.scope, time.Now())
	if err != nil || len(members) != 1 || len(members[0].Packs) != 2 || members[0].Packs[0].State != fleet.Current {
		t.Fatalf("fleet %+v, %v", members, err)
	}
	acts, err := c.db.Acts(t.Context(), c.scope, id.Sensor, 10)
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	for _, a := range acts {
		said = a.What + " " + a.Detail + "; " + said
	}
	if !strings.Contains(said, "pack-refused policy grid 7") || !strings.Contains(said, ": forged: ") {
		t.Errorf("acts of the sensor: %s", said)
	}
}
