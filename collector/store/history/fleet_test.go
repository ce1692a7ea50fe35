package history

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/storetest"
)

var members = flag.Int("sensors", 5000, "how many sensors the fleet of BenchmarkFleet has")

// makeFleet are the statements that make sensors of NUMBERS n, as enrolment and intake leave them: each with a certificate
// that was renewed once, its last health, three streams of which one in ten has a gap, and what it said of a pack.
var makeFleet = []string{`
INSERT INTO sensors (operator, id, name, enrolled, seen, health, alerts, lost)
SELECT 'north', 'member-' || n, 'Site ' || (n / 3), 1700000000000000000, 1700000000000000000, CAST('{"at":"2026-03-01T08:00:00Z","version":"1.4.2","uptime_s":86400,"phase":"enforce",' ||
	'"interfaces":["mirror0","mirror1"],"packets":123456789,"dropped":0,"messages":9876543,"alerts":12,"lost":0,"spool_bytes":0,"spooled":0,"passive":"no address, no route, filtered",' ||
	'"ports":[{"port":"mirror0","tier":"xdp"},{"port":"mirror1","tier":"ring"}],"rules":{"rules":61,"pack":"grid","pack_version":7,"pack_sha256":"aa","central":true},"clock_offset_ms":12}' AS BYTES), n, 0 FROM NUMBERS`, `
INSERT INTO certs (operator, sensor, serial, key, public, issued, expires)
SELECT 'north', 'member-' || (n / 2), 'serial-' || n, 'key-' || n, CAST('key' AS BYTES), 1700000000000000000, 1700000000000000000 + n FROM NUMBERS`, `
INSERT INTO streams (operator, sensor, epoch, lane, high, head, breaks, offset_ns)
SELECT 'north', 'member-' || (n / 3), '0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a', n % 3, 100000, CAST('0123456789abcdef0123456789abcdef' AS BYTES), 0, 12000000 FROM NUMBERS`, `
INSERT INTO gaps (operator, sensor, epoch, lane, lo, hi)
SELECT 'north', 'member-' || (n * 10), '0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a', 0, 40, 50 FROM NUMBERS`, `
INSERT INTO outcomes (operator, sensor, kind, pack, taken, reason, why, at)
SELECT 'north', 'member-' || n, 'rules', 'aa', TRUE, '', '', 1700000000000000000 FROM NUMBERS`}

// BenchmarkFleet prints the median of what the lists of a whole fleet take at the API.
func BenchmarkFleet(b *testing.B) {
	for _, open := range []func(testing.TB) *filled{inSQLite, inPostgres} {
		st := open(b)
		if *only != "" && *only != st.name {
			continue
		}
		sc := storetest.For(b, operator)
		if err := st.CreateToken(b.Context(), sc, store.Token{ID: "first", Created: storetest.Start, Expires: storetest.Start}); err != nil { // makes the operator's tables
			b.Fatal(err)
		}
		n := *members
		for i, rows := range []int{n, 2 * n, 3 * n, n / 10, n} {
			st.add(b, makeFleet[i], 0, rows-1)
		}
		served := serve(b, st, sc)
		for _, path := range []string{"/api/v1/sensors", "/api/v1/fleet"} {
			b.Run(fmt.Sprintf("%s/%d%s", st.name, n, strings.TrimPrefix(path, "/api/v1")), func(b *testing.B) {
				median(b, func() { get(b, served, path) })
			})
		}
	}
}

// median prints the median of what something takes, and the longest.
func median(b *testing.B, do func()) {
	var took []time.Duration
	for b.Loop() {
		took = took[:0]
		for range 25 {
			began := time.Now()
			do()
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "median-ms")
	b.ReportMetric(took[len(took)-1].Seconds()*1000, "worst-ms")
}
