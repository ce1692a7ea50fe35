package spool

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules/batch"
)

// losses reads the vital lane to its end and returns the losses in it.
func losses(t testing.TB, s *Spool) (all []batch.Loss) {
	t.Helper()
	for {
		e, records := next(t, s, batch.Vital, Limit{})
		if e == nil {
			return all
		}
		for _, r := range records {
			if r.Kind == batch.KindLoss {
				var l batch.Loss
				if err := json.Unmarshal(r.Body, &l); err != nil {
					t.Fatal(err)
				}
				all = append(all, l)
			}
		}
		ack(t, s, e)
	}
}

func TestFullSpoolDropsTheLeastImportantFirst(t *testing.T) {
	dir := t.TempDir()
	item := func(lane batch.Lane, n int) Item { // larger than what an envelope costs
		it := item(lane, n)
		it.Body = fmt.Appendf(nil, `{"id":"%d-%06d","pad":"%s"}`, lane, n, strings.Repeat("x", 1000))
		return it
	}
	one := item(batch.Urgent, 0)
	cost := size(&one)
	s := open(t, Config{Dir: dir, Budget: 10 * cost})
	for lane := batch.Urgent; lane < batch.Lanes; lane++ {
		for i := range 2 {
			add(t, s, item(lane, i))
		}
	}
	health := item(batch.Vital, 0)
	add(t, s, health, health)
	waiting := func() [batch.Lanes]uint64 { return s.Stats().Waiting }
	for _, step := range []struct {
		lane batch.Lane
		n    int
		want [batch.Lanes]uint64
	}{
		{batch.Routine, 0, [...]uint64{2, 2, 2, 2, 2}},
		{batch.Routine, 1, [...]uint64{2, 2, 3, 2, 1}},
		{batch.Evidence, 2, [...]uint64{2, 2, 3, 2, 1}}, // the older of its own lane goes
		{batch.Urgent, 3, [...]uint64{2, 5, 3, 0, 0}},
		{batch.Inventory, 1, [...]uint64{2, 5, 3, 0, 0}}, // it goes itself
		{batch.Urgent, 3, [...]uint64{2, 8, 0, 0, 0}},
		{batch.Urgent, 3, [...]uint64{2, 8, 0, 0, 0}},
	} {
		for i := range step.n {
			add(t, s, item(step.lane, 100+i))
		}
		if got := waiting(); got != step.want {
			t.Errorf("after %d more of lane %s: waiting %v, want %v", step.n, step.lane, got, step.want)
		}
	}
	s.Close()
	s = open(t, Config{Dir: dir, Budget: 10 * cost})
	st := s.Stats()
	var told uint64
	got := map[batch.Lane]batch.Loss{}
	for _, l := range losses(t, s) {
		told += l.Count
		got[l.Lane] = l
		if l.Epoch != st.Epoch || l.First.After(l.Last) {
			t.Errorf("loss %+v", l)
		}
	}
	for lane, want := range map[batch.Lane][3]uint64{batch.Urgent: {1, 3, 3}, batch.Routine: {1, 3, 3}, batch.Inventory: {1, 3, 3}, batch.Evidence: {1, 4, 4}} {
		if l := got[lane]; [3]uint64{l.From, l.To, l.Count} != want {
			t.Errorf("lane %s: lost %d to %d, %d; want %v", lane, l.From, l.To, l.Count, want)
		}
	}
	if told != st.Lost || told != 13 {
		t.Errorf("records tell of %d lost, the spool of %d; want 13", told, st.Lost)
	}
	if again := losses(t, s); again != nil {
		t.Errorf("told again: %+v", again)
	}
}

// TestEveryRecordIsDeliveredOrNamed runs random stories, restarts in between, and holds the spool to its promise.
func TestEveryRecordIsDeliveredOrNamed(t *testing.T) {
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		budget := int64(2000 + rnd.IntN(20000))
		s := open(t, Config{Dir: dir, Budget: budget})
		var appended [batch.Lanes]int
		delivered := map[string]int{}
		high := map[string]uint64{}
		prev := map[string]batch.Hash{}
		lost := map[batch.Lane]uint64{}
		deliver := func(lane batch.Lane) bool {
			e, records := next(t, s, lane, Limit{Records: 1 + rnd.IntN(40)})
			if e == nil {
				return false
			}
			stream := fmt.Sprint(e.Epoch, lane)
			if e.Prev != prev[stream] || e.From <= high[stream] || e.From < e.Base {
				t.Fatalf("seed %d: envelope %d to %d of base %d does not follow %d", seed, e.From, e.To, e.Base, high[stream])
			}
			prev[stream], high[stream] = e.Hash, e.To
			for _, r := range records {
				if r.Kind != batch.KindLoss {
					delivered[string(r.Body)]++
					continue
				}
				var l batch.Loss
				if err := json.Unmarshal(r.Body, &l); err != nil {
					t.Fatal(err)
				}
				lost[l.Lane] += l.Count
			}
			ack(t, s, e)
			return true
		}
		for range 250 {
			lane := batch.Lane(rnd.IntN(batch.Lanes))
			switch rnd.IntN(12) {
			case 0:
				s.Close()
				s = open(t, Config{Dir: dir, Budget: budget})
			case 1, 2, 3:
				deliver(lane)
			case 4:
				if _, err := s.Next(lane, Limit{}, key, stamp); err != nil { // sealed, and not delivered for now
					t.Fatal(err)
				}
			case 5:
				if rnd.IntN(10) == 0 {
					if err := s.Renew(); err != nil {
						t.Fatal(err)
					}
				}
			default:
				var items []Item
				for range 1 + rnd.IntN(8) {
					items = append(items, item(lane, appended[lane]))
					appended[lane]++
				}
				add(t, s, items...)
			}
		}
		for again := true; again; {
			again = false
			for lane := range batch.Lane(batch.Lanes) {
				again = deliver(lane) || again
			}
		}
		var all uint64
		for lane, n := range appended {
			got := uint64(0)
			for i := range n {
				switch c := delivered[string(item(batch.Lane(lane), i).Body)]; c {
				case 1:
					got++
				case 0:
				default:
					t.Errorf("seed %d: lane %d record %d was delivered %d times", seed, lane, i, c)
				}
			}
			if got+lost[batch.Lane(lane)] != uint64(n) {
				t.Errorf("seed %d: lane %d: %d appended, %d delivered, %d named as lost", seed, lane, n, got, lost[batch.Lane(lane)])
			}
			all += lost[batch.Lane(lane)]
		}
		if st := s.Stats(); st.Records() != 0 || st.Bytes != 0 || st.Lost != all {
			t.Errorf("seed %d: in the end %+v, lost %d", seed, st, all)
		}
	}
}
