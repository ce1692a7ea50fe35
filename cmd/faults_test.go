package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// TestDeliveryUnderFaults runs a sensor's and a collector's side of delivery as processes of their own, kills both with
// SIGKILL at random, cuts the network between them, delivers requests twice, and lets the spool overflow; and holds that
// every alert that the spool took is at the collector exactly once, or named by a loss record.
func TestDeliveryUnderFaults(t *testing.T) {
	decks := 5
	if testing.Short() {
		decks = 1
	}
	const seed = 1
	rnd := rand.New(rand.NewPCG(seed, seed))
	site := newSite(t)
	site.startCollector()
	site.enrol()
	site.startSensor()
	kinds := []string{"kill sensor", "kill sensor", "kill collector", "kill collector", "kill both", "kill both", "cut network", "cut network",
		"cut for a while", "repeat requests", "repeat requests", "flood"}
	faults := map[string]int{}
	rounds := decks * len(kinds)
	for round := range rounds {
		if round%len(kinds) == 0 { // each deck holds every kind
			rnd.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		}
		fault := kinds[round%len(kinds)]
		faults[fault]++
		site.appendSome(20 + rnd.IntN(200)) // and while they are under way
		switch fault {
		case "kill sensor":
			site.killSensor(100 + rnd.IntN(300))
			site.startSensor()
		case "kill collector":
			site.collector.Kill()
			site.appendSome(rnd.IntN(50))
			site.startCollector()
		case "kill both":
			site.collector.Kill()
			site.killSensor(100 + rnd.IntN(300))
			site.startSensor()
			site.startCollector()
		case "cut network":
			site.wire.Cut()
		case "cut for a while":
			site.wire.Down(true)
			site.appendSome(50 + rnd.IntN(200))
			site.wire.Down(false)
		case "repeat requests":
			site.repeatRequests()
		case "flood":
			site.wire.Down(true)
			site.appendSome(2500)
			site.wire.Down(false)
			site.drain()
		}
	}
	site.drain()
	site.sensor.Kill()
	site.collector.Kill()
	t.Logf("%d rounds: %v", rounds, faults)
	site.judge()
}

// order has the sensor append n alerts.
func (s *site) order(n int) {
	s.t.Helper()
	if _, err := fmt.Fprintf(s.sensor.In, "append %d %d\n", s.nextAlert, n); err != nil {
		s.t.Fatal(err)
	}
	s.nextAlert += n
}

// appendSome has the sensor append n alerts and waits until they are on disk.
func (s *site) appendSome(n int) {
	s.t.Helper()
	s.order(n)
	line := s.sensor.Expect("appended ")
	if want := fmt.Sprintf("appended %d %d", s.nextAlert-n, n); line != want {
		s.t.Fatalf("the sensor said %q, not %q", line, want)
	}
}

// killSensor kills the sensor while it appends: after it said so of at least a few runs. What it said is on disk, and
// what it did not say may be.
func (s *site) killSensor(n int) {
	s.t.Helper()
	s.order(n)
	for range n / 20 {
		s.sensor.Expect("disk ")
	}
	s.sensor.Kill()
	for s.sensor.Out.Scan() {
		s.heard(s.sensor.Out.Text())
	}
}

// heard notes what the sensor's process said.
func (s *site) heard(line string) {
	var from, step, n int
	if _, err := fmt.Sscanf(line, "disk %d %d %d", &from, &step, &n); err != nil {
		return
	}
	for i := range n {
		s.onDisk[from+i*step] = true
	}
}

// drain waits until the spool is empty: until everything in it was acknowledged.
func (s *site) drain() {
	s.t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; {
		fmt.Fprintln(s.sensor.In, "waiting")
		var n int
		fmt.Sscanf(s.sensor.Expect("waiting "), "waiting %d", &n)
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%d records still wait in the spool", n)
		}
	}
}

// judge opens the collector's store and compares it with what was appended.
func (s *site) judge() {
	t := s.t
	db, err := sqlite.Open(filepath.Join(s.dir, "collector"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	scope, err := store.For(operator)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for cursor := ""; ; {
		page, next, err := db.ListAlerts(ctx, scope, store.Filter{}, cursor, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page {
			count[a.ID]++
			if a.Count != 1 {
				t.Errorf("alert %s counts %d events", a.ID, a.Count)
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	lost, named := 0, map[batch.Lane]uint64{}
	records, _, err := db.Records(ctx, scope, batch.KindLoss, "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		var l batch.Loss
		if err := json.Unmarshal(r.Body, &l); err != nil {
			t.Fatal(err)
		}
		named[l.Lane] += l.Count
	}
	missing := map[batch.Lane]uint64{}
	all, urgent, unsaid := 0, 0, 0
	for n := range s.nextAlert {
		a := alertOf(n)
		id := a.ID
		stored := count[id]
		delete(count, id)
		switch {
		case stored > 1:
			t.Errorf("alert %s is stored %d times", id, stored)
		case stored == 0 && s.onDisk[n]:
			missing[batch.LaneOf(a.Severity)]++
			lost++
		case stored == 1 && !s.onDisk[n]:
			unsaid++
		}
		if s.onDisk[n] {
			all++
			if a.Severity >= rules.High {
				urgent++
			}
		}
	}
	for lane, n := range missing { // what was dropped may be of a run that was cut off before the sensor said it was on disk
		if n > named[lane] {
			t.Errorf("lane %s: %d alerts that were on disk are missing, loss records name only %d", lane, n, named[lane])
		}
	}
	for lane, n := range named {
		if most := missing[lane] + uint64(s.nextAlert-all-unsaid); n > most {
			t.Errorf("lane %s: loss records name %d, at most %d are missing", lane, n, most)
		}
	}
	if len(count) > 0 {
		t.Errorf("%d alerts are stored that were never appended", len(count))
	}
	if missing[batch.Urgent] > 0 {
		t.Errorf("%d urgent alerts were dropped while routine ones could have been", missing[batch.Urgent])
	}
	streams, err := db.Streams(ctx, scope, s.sensorID)
	if err != nil || len(streams) == 0 {
		t.Fatalf("streams %+v, %v", streams, err)
	}
	epochs := []string{}
	for _, st := range streams {
		if st.Breaks > 0 {
			t.Errorf("the chain of lane %s broke %d times", st.Lane, st.Breaks)
		}
		if !slices.Contains(epochs, st.Epoch) {
			epochs = append(epochs, st.Epoch)
		}
	}
	if len(epochs) != 1 {
		t.Errorf("epochs %v; want one, as nothing was restored", epochs)
	}
	t.Logf("%d alerts on disk, %d of them urgent; %d stored; %d dropped by the full spool and named; %d stored of runs that the sensor's end cut off", all, urgent, all-lost, lost, unsaid)
	t.Logf("faults that bit: %d connections cut, %d envelopes delivered again", s.wire.Cuts(), s.repeats)
	if !testing.Short() && (s.repeats == 0 || s.wire.Cuts() == 0) { // whether a cut meets a live connection is chance
		t.Error("no fault bit: the test shows nothing")
	}
	if all < 5000 && !testing.Short() {
		t.Errorf("only %d alerts went through", all)
	}
}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	os.Exit(m.Run())
}
