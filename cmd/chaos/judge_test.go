package chaos

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/postgres"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/spool"
)

// judge compares what the store has with what the spools took.
func (w *world) judge() {
	for _, c := range w.centres { // they end in order
		if err := c.proc.Stop(); err != nil {
			w.t.Errorf("collector %d ends with %v\n%s", c.n, err, c.tail())
		}
	}
	db, err := postgres.Open(context.Background(), w.pg.URL("roje", w.pgName))
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	scope, err := store.For(operator)
	if err != nil {
		w.t.Fatal(err)
	}
	stored := w.stored(db, scope)
	sum := tally{}
	for _, s := range w.sites {
		w.judgeSite(db, scope, s, stored[s.id], &sum)
		delete(stored, s.id)
	}
	for sensor, ids := range stored {
		w.t.Errorf("%d alerts are stored of %s, who is nobody", len(ids), sensor)
	}
	if n := w.pg.SQL(w.pgName, `SELECT count(*) FROM (SELECT lo - lag(hi) OVER (PARTITION BY operator, sensor, epoch, lane ORDER BY hi) AS step FROM envelopes) e WHERE step <= 0`); n != "0" {
		w.t.Errorf("%s envelopes claim numbers that another has", n)
	}
	for _, c := range w.centres {
		out, err := c.run("audit", "verify")
		if err != nil {
			w.t.Errorf("the audit log of collector %d: %v\n%s", c.n, err, out)
		}
		w.t.Logf("audit log of collector %d: %s", c.n, out)
	}
	w.t.Logf("%d alerts were put into spools: %d are stored, %d were dropped by full spools and named; of the sensors' own, %d are stored", sum.fed, sum.fed-sum.missing, sum.missing, sum.own)
	if *lasts >= 10*time.Minute && (sum.missing == 0 || w.gate.Repeated.Load() == 0 || w.gate.Dropped.Load() == 0 || sum.own == 0 || w.acts == 0) {
		w.t.Errorf("too little has happened: the test shows nothing. %v", w)
	}
}

// A tally counts alerts.
type tally struct{ fed, missing, own int }

// stored lists the ids of all alerts by sensor, as often as they are there.
func (w *world) stored(db store.Store, scope store.Scope) map[string]map[string]int {
	all := map[string]map[string]int{}
	for cursor := ""; ; {
		page, next, err := db.ListAlerts(w.t.Context(), scope, store.Filter{}, cursor, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, a := range page {
			if all[a.Sensor] == nil {
				all[a.Sensor] = map[string]int{}
			}
			all[a.Sensor][strings.TrimSuffix(a.ID, "@"+a.Sensor)]++ // which two sensors that saw the same may share
			if strings.HasPrefix(a.ID, "fed-") && a.Count != 1 {
				w.t.Errorf("alert %s counts %d events", a.ID, a.Count)
			}
		}
		if cursor = next; next == "" {
			return all
		}
	}
}

// judgeSite holds that what a sensor's spool took is in the store once, or in a gap that loss records name exactly; and
// that the chain of hashes at the store is the one that the spool has.
func (w *world) judgeSite(db store.Store, scope store.Scope, s *site, stored map[string]int, sum *tally) {
	missing := map[batch.Lane]uint64{}
	for id, lane := range s.fed {
		sum.fed++
		if n := stored[id]; n > 1 {
			w.t.Errorf("alert %s is stored %d times", id, n)
		} else if n == 0 {
			missing[lane]++
			sum.missing++
		}
		delete(stored, id)
	}
	for _, id := range s.last {
		if stored[id] != 1 && s.budget > spoolLeast {
			w.t.Errorf("%s: alert %s, which it raised in a life that ended in order, is stored %d times", s.name, id, stored[id])
		}
	}
	for id, n := range stored {
		sum.own++
		if !s.raised[id] || n > 1 {
			w.t.Errorf("%s: alert %s is stored %d times; raised: %v", s.name, id, n, s.raised[id])
		}
	}
	lost := w.losses(db, scope, s)
	streams, err := db.Streams(w.t.Context(), scope, s.id)
	if err != nil {
		w.t.Fatal(err)
	}
	state := readSpool(w, s)
	gaps := map[batch.Lane]uint64{}
	for _, st := range streams {
		if st.Epoch != state.Epoch || st.Breaks > 0 {
			w.t.Errorf("%s, lane %s: the chain broke %d times; epoch %s, the spool's is %s", s.name, st.Lane, st.Breaks, st.Epoch, state.Epoch)
		}
		l := state.Lanes[st.Lane]
		if l.Sealed == 0 && l.Prev != st.Head || st.High >= l.Next {
			w.t.Errorf("%s, lane %s: the store's chain ends at %d with %x, the spool's at %d with %x", s.name, st.Lane, st.High, st.Head, l.Next-1, l.Prev)
		}
		if (st.Lane == batch.Urgent || st.Lane == batch.Routine) && l.Count+l.Sealed > 0 && !s.live {
			w.t.Logf("%s, lane %s: %d records were spooled after all was delivered", s.name, st.Lane, l.Count+l.Sealed)
		}
		for _, g := range st.Gaps {
			gaps[g.Lane] += g.To - g.From + 1
			if !lost.covers(g) {
				w.t.Errorf("%s, lane %s: %d to %d are missing, and no loss record names them", s.name, g.Lane, g.From, g.To)
			}
		}
	}
	for lane := range batch.Lane(batch.Lanes) {
		if missing[lane] > gaps[lane] {
			w.t.Errorf("%s, lane %s: %d alerts that were on disk are not in the store, only %d numbers are missing", s.name, lane, missing[lane], gaps[lane])
		}
		if n := lost.count(lane); n != gaps[lane] {
			w.t.Errorf("%s, lane %s: loss records name %d, %d are missing", s.name, lane, n, gaps[lane])
		}
	}
}

// losses are what a sensor's loss records name.
type losses []batch.Loss

func (w *world) losses(db store.Store, scope store.Scope, s *site) (all losses) {
	for cursor := ""; ; {
		records, next, err := db.Records(w.t.Context(), scope, batch.KindLoss, s.id, cursor, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range records {
			var l batch.Loss
			if err := json.Unmarshal(r.Body, &l); err != nil {
				w.t.Fatal(err)
			}
			all = append(all, l)
		}
		if cursor = next; next == "" {
			return all
		}
	}
}

func (all losses) count(lane batch.Lane) (n uint64) {
	for _, l := range all {
		if l.Lane == lane {
			n += l.Count
		}
	}
	return n
}

// covers says whether each number of a gap is in the range of some record.
func (all losses) covers(g store.Gap) bool {
	for n := g.From; n <= g.To; n++ {
		named := false
		for _, l := range all {
			named = named || l.Lane == g.Lane && l.Epoch == g.Epoch && l.From <= n && n <= l.To
		}
		if !named {
			return false
		}
	}
	return true
}

// spooled is what a spool knows of itself.
type spooled struct {
	Epoch string `json:"epoch"`
	Lanes [batch.Lanes]struct {
		Next   uint64     `json:"next"`
		Prev   batch.Hash `json:"prev"`
		Count  uint64     `json:"count"`
		Sealed uint64     `json:"sealed_to"`
	} `json:"lanes"`
}

func readSpool(w *world, s *site) (state spooled) {
	db, err := bbolt.Open(filepath.Join(s.state, spool.FileName), 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Minute})
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		return json.Unmarshal(tx.Bucket([]byte("spool")).Get([]byte("state")), &state)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}
