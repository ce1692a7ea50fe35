package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/receive"
	"github.com/roje-ot/roje/collector/sealed"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch/proof"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/enrol"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/testdata/need"
)

// TestSensorOneWay holds the whole way by each carrier, from a capture to the alerts in the store, with the sensor's own
// configuration and its own end.
func TestSensorOneWay(t *testing.T) {
	for _, carrier := range []string{"udp", "tcp", "files"} {
		t.Run(carrier, func(t *testing.T) {
			data, dir, state := t.TempDir(), t.TempDir(), t.TempDir()
			db, scope := storeOf(t, data)
			id := answered(t, enrol.Options{Dir: filepath.Join(state, "enrolment"), Name: "Substation 7", Now: time.Now}, data)
			bound := make(chan net.Addr, 1)
			tell := func(a net.Addr) { bound <- a }
			bring, where := receive.Files(dir), dir
			switch carrier {
			case "udp":
				bring = receive.UDP("127.0.0.1:0", tell)
			case "tcp":
				bring = receive.TCP("127.0.0.1:0", tell)
			}
			r := receive.New(receive.Config{Store: db, Scope: scope, Now: time.Now, Log: textLog(t.Output())})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx, bring) }()
			if carrier != "files" {
				where = (<-bound).String()
			}
			alerts := filepath.Join(state, "alerts.jsonl")
			config := fmt.Sprintf("state: %s\nalerts: %s\nreplay: {files: [%s]}\noneway: {%s: %q}\n", state, alerts,
				filepath.Join(need.Root(t), "testdata", "act-iec104-industroyer2.pcap"), carrier, where)
			file := filepath.Join(state, "sensor.yaml")
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := sensor.LoadConfig(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := sensor.Run(t.Context(), cfg, "test", textLog(t.Output())); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(alerts)
			if err != nil {
				t.Fatal(err)
			}
			raised := map[string]bool{}
			for line := range bytes.Lines(text) {
				var a struct{ ID string }
				if err := json.Unmarshal(line, &a); err != nil {
					t.Fatal(err)
				}
				raised[a.ID] = true
			}
			var page []store.Alert
			for end := time.Now().Add(time.Minute); len(page) < len(raised); time.Sleep(5 * time.Millisecond) {
				if page, _, err = db.ListAlerts(t.Context(), scope, store.Filter{Sensor: id.Sensor}, "", 1000); err != nil {
					t.Fatal(err)
				}
				if time.Now().After(end) {
					t.Fatalf("%d alerts arrived of %d", len(page), len(raised))
				}
			}
			for _, a := range page {
				if !raised[a.ID] {
					t.Errorf("alert %s was never raised", a.ID)
				}
			}
			if len(raised) == 0 {
				t.Error("the capture raised no alert")
			}
			var seals []proof.LedgerSeal
			for end := time.Now().Add(time.Minute); len(seals) == 0; time.Sleep(5 * time.Millisecond) {
				if seals, err = sealed.Of(t.Context(), db, scope, id.Sensor); err != nil {
					t.Fatal(err)
				}
				if time.Now().After(end) {
					t.Fatal("no seal over the ledger arrived")
				}
			}
			if wrong, err := sealed.Check(t.Context(), db, scope, id.Sensor, seals); err != nil || len(wrong) > 0 {
				t.Errorf("the seals over the ledger: %v, %v", wrong, err)
			}
			if _, err := ledger.Verify(filepath.Join(state, ledger.FileName), nil, seals...); err != nil {
				t.Errorf("the ledger against the seals that arrived: %v", err)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// safeBuffer is a log that is read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
