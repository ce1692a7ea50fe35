package sensor

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/proof"
	"github.com/roje-ot/roje/sensor/coverage"
	"github.com/roje-ot/roje/sensor/evidence"
)

// A blindness is the sensor's account of what it sees, and of what it does not. Its Book is guarded by the daemon's mu.
type blindness struct {
	book   *coverage.Book
	key    ed25519.PrivateKey      // that signs the statements
	raised map[string]*rules.Alert // what is blind now, by alert
}

// Names in the folder of the state.
const (
	coverageFile   = "coverage.json"
	coverageFolder = "coverage" // the statements, by day
)

// openCoverage makes the account and takes up what is known of the day so far.
func (d *daemon) openCoverage() (func() error, error) {
	b := &blindness{raised: map[string]*rules.Alert{}}
	b.book = coverage.New(d.cfg.Coverage, d.blind)
	if err := b.book.Load(filepath.Join(d.cfg.State, coverageFile)); err != nil {
		d.log.Warn("the account of coverage begins anew", "err", err)
	}
	b.book.Begin(time.Now())
	d.cover = b
	if d.identity != nil {
		b.key = d.identity.Key
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Join(d.cfg.State, coverageFolder), 0o750); err != nil {
		return nil, err
	}
	var err error
	b.key, err = evidence.LoadKey(filepath.Join(d.cfg.State, coverageFolder, evidence.KeyFile), true)
	return nil, err
}

// account takes what a reader's table has seen, and says what time it is. It is called under the lock, by the reader's
// goroutine, at least once a second.
func (d *daemon) account(r *reader, now int64) {
	r.cover.Look()
	d.cover.book.Tick(now)
}

// blind makes an alert of a way to be blind, or says that it is over. It is called under the lock. A silence that a rule
// has said of the same hosts is not said again.
func (d *daemon) blind(f coverage.Finding) {
	client, server := "", ""
	if f.Client.IsValid() {
		client = f.Client.String()
	}
	if f.Server.IsValid() {
		server = f.Server.String()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s\x00%s\x00%d", d.cfg.Name, f.Rule, client, server, f.Proto, f.First))
	id := hex.EncodeToString(sum[:8])
	if f.Over {
		if a := d.cover.raised[id]; a != nil {
			delete(d.cover.raised, id)
			again := *a
			again.Last, again.Count, again.Observed = time.Unix(0, f.Last).UTC(), f.Count, f.Observed
			d.found(&again)
		}
		return
	}
	if f.Silence && f.Server.IsValid() && d.judge.Silent(f.Client, f.Server, f.Last) {
		return
	}
	a := &rules.Alert{
		ID: id, Rule: f.Rule, Title: f.Title + ".", Severity: f.Severity, Techniques: []string{}, First: time.Unix(0, f.First).UTC(), Last: time.Unix(0, f.Last).UTC(),
		Count: f.Count, Client: client, Server: server, Proto: f.Proto, Learned: f.Learned, Observed: f.Observed, Score: rules.Score{Impact: 0.7, Novelty: 1, Confidence: 0.9},
	}
	d.judge.Place(a, f.Near[:]...)
	if len(d.cover.raised) < coverage.MaxLinks {
		kept := *a
		d.cover.raised[id] = &kept
	}
	d.found(a)
	d.log.Warn(a.Title, "rule", a.Rule, "observed", a.Observed)
}

// coverOf is the account of a source since the start.
func coverOf(s coverage.Sums) *batch.Cover {
	return &batch.Cover{Seen: s.Seen, Decoded: s.Decoded, Skipped: s.Skipped, Waiting: s.Waiting, Unframed: s.Unframed, TLS: s.TLS, Other: s.Other,
		Gaps: s.Gaps, GapBytes: s.GapBytes, Copies: s.Copies}
}

// coverHealth puts the account into a health record: of the sensor, and of each interface.
func (d *daemon) coverHealth(h *batch.Health) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all coverage.Sums
	ports := h.Ports
	for _, r := range d.readers {
		sum := r.cover.Total()
		all.Add(&sum)
		if r.port != nil && len(ports) > 0 {
			ports[0].Coverage, ports = coverOf(sum), ports[1:]
		}
	}
	h.Coverage = coverOf(all)
	h.Coverage.Links, h.Coverage.OneSided, h.Coverage.Dark, h.Coverage.Silent = d.cover.book.Ailing()
}

// keepCoverage saves the account, and signs and ships the statements of the days that are over. ended says that there is
// no more to come of today, so that its statement is made too.
func (d *daemon) keepCoverage(now time.Time, ended bool) error {
	d.mu.Lock()
	book := d.cover.book
	book.Runs(now)
	for _, r := range d.readers {
		a := r.account()
		frames := r.frames(&a)
		frames["waiting"] = a.Waiting
		r.cover.Frames(frames)
	}
	days := book.Days(d.cfg.Name, d.version, now)
	if ended {
		days = append(days, book.Statement(d.cfg.Name, d.version, now))
	}
	write := book.Snapshot(filepath.Join(d.cfg.State, coverageFile))
	d.mu.Unlock()
	for _, day := range days {
		if err := d.state(day); err != nil {
			return err
		}
	}
	if len(days) > 0 {
		d.box.flush()
	}
	return write()
}

// state signs a statement, writes it into the folder and puts it on its way.
func (d *daemon) state(s *coverage.Statement) error {
	text, err := proof.Sign(s, d.cover.key)
	if err != nil {
		return err
	}
	dir := filepath.Join(d.cfg.State, coverageFolder)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	path := filepath.Join(dir, s.From.Format(time.DateOnly)+".json")
	if err := os.WriteFile(path+".part", text, 0o640); err != nil {
		return err
	}
	if err := os.Rename(path+".part", path); err != nil {
		return err
	}
	d.box.json(batch.KindStatement, batch.Inventory, s.To, json.RawMessage(text))
	d.log.Info("the day's coverage is stated", "file", path, "links", len(s.Links))
	return nil
}

// serveCoverage answers with the account of the day so far, unsigned.
func (d *daemon) serveCoverage(w http.ResponseWriter, _ *http.Request) {
	now := time.Now()
	d.mu.Lock()
	s := d.cover.book.Statement(d.cfg.Name, d.version, now)
	d.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(s); err != nil {
		d.log.Debug("coverage was not sent", "err", err)
	}
}

// keepLast keeps the account and logs what went wrong.
func (d *daemon) keepLast(ended bool) {
	if err := d.keepCoverage(time.Now(), ended); err != nil {
		d.log.Error("the account of coverage is not kept", "err", err)
	}
}
