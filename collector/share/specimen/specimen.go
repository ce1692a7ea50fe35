// Package specimen holds alerts as sensors send them, for the tests of the collector.
package specimen

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// Start is when the first specimen was seen.
var Start = time.Date(2026, 11, 21, 8, 30, 0, 250_000_000, time.UTC)

func pointer[T any](v T) *T { return &v }

// Alerts returns one alert of each shape there is: of the three protocols, over IPv4 and IPv6, of link-layer addresses,
// with runs of points, and without anything that can be left out.
func Alerts() []rules.Alert {
	at := func(minutes int) time.Time { return Start.Add(time.Duration(minutes) * time.Minute) }
	return []rules.Alert{
		{
			ID: "a-104", Rule: "iec104-command-new-client", Severity: rules.Critical, Techniques: []string{"T1692.001", "T0806"},
			Title: `10.20.0.66, never seen before, sent C_SC_NA_1 "on" to object 4001 of station 7 at 10.20.0.7: a breaker may have been switched by a stranger`,
			First: at(0), Last: at(1), Count: 12, Client: "10.20.0.66:49152", Server: "10.20.0.7:2404", Station: pointer(uint32(7)),
			Proto: "iec104", Code: pointer(uint16(45)), Name: "C_SC_NA_1", Learned: "commands from 10.20.0.5 only", Observed: "12 commands from 10.20.0.66",
			Points: []rules.Point{{Kind: "binary_out", Addr: 4001, N: 1, Value: pointer(1.0)}}, Frames: []uint64{101, 117, 233},
			Score: rules.Score{Impact: 0.9, Novelty: 1, Confidence: 0.95}, Incident: "i-1",
		},
		{
			ID: "a-modbus", Rule: "modbus-write-out-of-range", Severity: rules.High, Techniques: []string{"T0836"},
			Title: "10.30.0.9 wrote 3 registers from 100 of unit 1 at 10.30.0.20 with a value outside what was learned",
			First: at(2), Last: at(2), Count: 1, Client: "10.30.0.9:50000", Server: "10.30.0.20:502", Station: pointer(uint32(1)),
			Proto: "modbus", Code: pointer(uint16(16)), Name: "write_multiple_registers",
			Points: []rules.Point{{Kind: "analog_out", Addr: 100, N: 3}}, Score: rules.Score{Impact: 0.7, Novelty: 0.6, Confidence: 0.8}, Incident: "i-1",
		},
		{
			ID: "a-dnp3", Rule: "dnp3-cold-restart", Severity: rules.High, Techniques: []string{"T0816"},
			Title: "2001:db8::9 sent COLD_RESTART to outstation 10 at 2001:db8::a", First: at(3), Last: at(3).Add(123_456_789), Count: 2,
			Client: "[2001:db8::9]:40000", Server: "[2001:db8::a]:20000", Station: pointer(uint32(10)), Proto: "dnp3", Code: pointer(uint16(13)), Name: "COLD_RESTART",
			Score: rules.Score{Impact: 0.8, Novelty: 0.2, Confidence: 0.9},
		},
		{
			ID: "a-arp", Rule: "arp-binding-changed", Severity: rules.Medium, Techniques: []string{"T0830"},
			Title: "10.20.0.5 answered from 02:00:5e:10:00:66, where 02:00:5e:10:00:05 was learned", First: at(4), Last: at(9), Count: 40,
			Client: "10.20.0.5", Server: "10.20.0.7", Learned: "02:00:5e:10:00:05", Observed: "02:00:5e:10:00:66", Score: rules.Score{Impact: 0.5, Novelty: 1, Confidence: 0.7},
		},
		{
			ID: "a-bare", Rule: "sensor-blind", Severity: rules.Notice, Techniques: []string{}, Title: "No packet was seen for 10 minutes <& \u2028 so nothing can be said", First: at(10), Last: at(20), Count: 1,
		},
	}
}

// A Spool delivers alerts to a store as a sensor would, in order. It is not safe for concurrent use.
type Spool struct {
	Sensor string
	next   uint64
	prev   batch.Hash
}

// Deliver stores alerts, received at the given time.
func (s *Spool) Deliver(t testing.TB, st store.Intake, scope store.Scope, received time.Time, alerts ...rules.Alert) {
	t.Helper()
	bodies := make([]any, len(alerts))
	for i := range alerts {
		bodies[i] = &alerts[i]
	}
	s.deliver(t, st, scope, received, batch.KindAlert, bodies...)
}

// Report stores a sensor's health, received at the given time.
func (s *Spool) Report(t testing.TB, st store.Intake, scope store.Scope, received time.Time, health batch.Health) {
	t.Helper()
	s.deliver(t, st, scope, received, batch.KindHealth, health)
}

func (s *Spool) deliver(t testing.TB, st store.Intake, scope store.Scope, received time.Time, kind string, bodies ...any) {
	t.Helper()
	if s.next == 0 {
		s.next = 1
	}
	b := store.Batch{Header: batch.Header{
		Sensor: s.Sensor, Operator: scope.Operator(), Epoch: "00112233445566778899aabbccddeeff", Lane: batch.Urgent, Base: 1,
		From: s.next, To: s.next + uint64(len(bodies)) - 1, Prev: s.prev, Sealed: received,
	}}
	for i, body := range bodies {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		b.Records = append(b.Records, batch.Record{Seq: s.next + uint64(i), Kind: kind, Body: text})
	}
	copy(b.Hash[:], fmt.Sprintf("%032d", s.next)) // stands for the hash of the sealed bytes
	if _, err := st.Ingest(t.Context(), scope, s.Sensor, []store.Batch{b}, received); err != nil {
		t.Fatalf("deliver %d records: %v", len(bodies), err)
	}
	s.next, s.prev = b.To+1, b.Hash
}

// Enrol has the sensor join, under a name, with a certificate that is good for 30 days.
func (s *Spool) Enrol(t testing.TB, st store.Fleet, scope store.Scope, at time.Time, name string) {
	t.Helper()
	token := "t-" + s.Sensor
	if err := st.CreateToken(t.Context(), scope, store.Token{ID: token, Created: at, Expires: at.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	cert := store.Cert{Sensor: s.Sensor, Serial: "01", Key: "key-" + s.Sensor, Public: make([]byte, 32), Issued: at, Expires: at.Add(30 * 24 * time.Hour)}
	if err := st.Enrol(t.Context(), scope, token, [32]byte{}, store.Sensor{ID: s.Sensor, Name: name, Enrolled: at}, cert, at); err != nil {
		t.Fatal(err)
	}
}

// Store opens a store in a folder of the test, with its scope.
func Store(t testing.TB) (*sqlite.DB, store.Scope) {
	t.Helper()
	db, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	scope, err := store.For("north-grid")
	if err != nil {
		t.Fatal(err)
	}
	return db, scope
}

// Say stores something else that a sensor says, in one batch, received at the given time.
func (s *Spool) Say(t testing.TB, st store.Intake, scope store.Scope, received time.Time, kind string, bodies ...any) {
	t.Helper()
	s.deliver(t, st, scope, received, kind, bodies...)
}
