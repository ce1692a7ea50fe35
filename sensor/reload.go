package sensor

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/site"
	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/evidence"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/plant"
)

// inForce is the rulebook that a daemon judges by, and what became of attempts to exchange it.
type inForce struct {
	turn sync.Mutex // held while rules are exchanged: one at a time

	mu       sync.Mutex // guards the rest
	book     *Rulebook
	since    time.Time
	reloads  uint64
	failures uint64
	refused  string // why the last reload failed; empty if it did not
	declined string // why a pack of the collector's was refused; empty if none is
	central  bool   // packs of the collector are taken
}

// RuleFiles says where the configured rules come from.
func (c *Config) RuleFiles() RuleFiles {
	f := RuleFiles{Rules: c.Rules, Site: c.RulesSite, Key: c.RulesKey, State: c.State, Central: c.Central, Who: c.bearer()}
	if c.RulesKey != "" {
		f.Policy = filepath.Join(c.State, centralFolder, "policy"+site.PackExt)
	}
	if c.Central {
		f.Rules = filepath.Join(c.State, centralFolder, "rules"+site.PackExt)
	}
	return f
}

// loadRules reads the rules and the point lists and says what is worth saying about them.
func (d *daemon) loadRules() (*Rulebook, error) {
	book, err := LoadRulebook(d.cfg.RuleFiles(), time.Now())
	lists, bad := plant.Load(d.cfg.Points)
	if err := errors.Join(err, bad); err != nil {
		return nil, err
	}
	book.Points = lists
	if err := book.remember(d.cfg.State); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	if book.Pack != nil {
		d.log.Info("rule pack", "name", book.Pack.Name, "version", book.Pack.Version, "created", book.Pack.Created, "signature checked", book.Trusted, "in place of built-in rules", len(book.Updated))
	}
	if len(d.cfg.Points) > 0 {
		d.log.Info("point lists", "files", len(d.cfg.Points), "points", len(lists.Points))
	}
	if book.Policy != nil {
		d.log.Info("policy", "name", book.Policy.Name, "version", book.Policy.Version, "created", book.Policy.Created)
	}
	for _, x := range book.Expired {
		d.log.Warn("an exception of the site is over and does not apply", "rule", x.Rule, "until", x.Until.AddDate(0, 0, -1).Format(time.DateOnly), "reason", x.Reason, "author", x.Author, "line", x.Line)
	}
	return book, nil
}

// firstRules puts rules in force when a sensor starts.
func (d *daemon) firstRules() error {
	book, err := d.startRules()
	if err != nil {
		return err
	}
	if d.judge, err = d.recollect(book); err != nil {
		return err
	}
	useLists(book.Points, d.judge, d.acts, d.desk)
	d.base.Use(listsOf(book.Points))
	d.rules.book, d.rules.since = book, time.Now()
	d.courier.Use(book.Settings.sending(d.cfg.Sending))
	if err := d.openCentral(); err != nil {
		return err
	}
	return nil
}

// reloadRules reads the rules, and what of the configuration can change, anew and judges by them from the next message on.
// What unchanged rules remember stays. If anything is wrong, nothing changes, and the error says what.
func (d *daemon) reloadRules() (book *Rulebook, kept int, err error) {
	f := &d.rules
	f.turn.Lock()
	defer f.turn.Unlock()
	config, err := d.readConfig()
	if err == nil {
		book, err = d.loadRules()
	}
	if err != nil {
		f.mu.Lock()
		f.failures++
		f.refused = err.Error()
		f.mu.Unlock()
		d.log.Error("the rules are not reloaded: those before go on", "err", err)
		return nil, 0, err
	}
	next := engine.New(book.Rules, engine.Options{Sensor: d.cfg.Name, Emit: d.found})
	d.mu.Lock()
	if before := f.book.Points; before.Same(book.Points) { // the ledger goes on with what it knows of indications
		book.Points = before
		useLists(before, next, nil, d.desk)
	} else {
		useLists(book.Points, next, d.acts, d.desk)
	}
	d.base.Use(listsOf(book.Points))
	book.Site.Carry(f.book.Site)
	kept = next.Carry(d.judge)
	d.judge = next
	d.mu.Unlock()
	f.mu.Lock()
	f.book, f.since, f.refused = book, time.Now(), ""
	f.reloads++
	f.mu.Unlock()
	d.courier.Use(book.Settings.sending(d.cfg.Sending))
	d.reconfigure(config)
	d.log.Info("rules reloaded", "rules", len(book.Rules), "unchanged", kept)
	return book, kept, nil
}

// listsOf is what a baseline takes for engineered; nil where there are no lists.
func listsOf(book *plant.Book) baseline.Lists {
	if len(book.Points) == 0 {
		return nil
	}
	return book
}

// useLists gives what the point lists say to those who name points. Who is nil has it already.
func useLists(book *plant.Book, judge *engine.Engine, acts *ledger.Ledger, desk *evidence.Desk) {
	var lists ledger.Points // nil where there are none: then nobody looks anything up
	if len(book.Points) > 0 {
		lists = book
	}
	judge.Use(lists)
	desk.Use(lists)
	if acts != nil {
		acts.Use(lists)
	}
}

// openReload reloads the rules whenever the process is sent SIGHUP.
func (d *daemon) openReload() (func() error, error) {
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range hangups {
			d.reloadRules() // says itself what became of it
		}
	}()
	return func() error {
		signal.Stop(hangups)
		close(hangups)
		<-done
		return nil
	}, nil
}

// reloadAction is POST /rules/reload of the admin address. It listens on the loopback only, and takes nothing that a
// browser was sent with by a page of somebody else's.
func (d *daemon) reloadAction() http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "ask for the loopback address", http.StatusForbidden)
			return
		}
		book, kept, err := d.reloadRules()
		if err != nil {
			http.Error(w, "the rules before go on: "+err.Error(), http.StatusUnprocessableEntity)
			return
		}
		fmt.Fprintf(w, "%d rules, of which %d go on with what they remember\n", len(book.Rules), kept)
	}))
}

// health says what is in force.
func (f *inForce) health() *batch.RuleHealth {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &batch.RuleHealth{Central: f.central, Rules: len(f.book.Rules), Since: f.since.UTC(), Refused: f.refused, Expired: len(f.book.Expired), Suppressed: f.book.Site.Suppressed()}
	if p := f.book.Pack; p != nil {
		h.Pack, h.PackVersion, h.PackSHA256 = p.Name, p.Version, f.book.hash.String()
	}
	if p := f.book.Policy; p != nil {
		h.Policy, h.PolicyVersion, h.PolicySHA256 = p.Name, p.Version, f.book.policyHash.String()
	}
	if h.Refused == "" {
		h.Refused = f.declined
	}
	return h
}

var (
	ruleCount  = prometheus.NewDesc("roje_rules", "Rules in force.", nil, nil)
	suppressed = prometheus.NewDesc("roje_rules_suppressed_total", "How often an exception of the site kept a rule from firing.", []string{"rule"}, nil)
	reloads    = prometheus.NewDesc("roje_rules_reloads_total", "Times that the rules were read anew.", []string{"outcome"}, nil)
	refusing   = prometheus.NewDesc("roje_rules_refused", "1 while the rules on disk were refused and those before them are in force.", nil, nil)
)

// collect gives the metrics of the rules.
func (f *inForce) collect(out chan<- prometheus.Metric) {
	h := f.health()
	f.mu.Lock()
	taken, failed := f.reloads, f.failures
	f.mu.Unlock()
	out <- prometheus.MustNewConstMetric(ruleCount, prometheus.GaugeValue, float64(h.Rules))
	for rule, n := range h.Suppressed {
		out <- prometheus.MustNewConstMetric(suppressed, prometheus.CounterValue, float64(n), rule)
	}
	out <- prometheus.MustNewConstMetric(reloads, prometheus.CounterValue, float64(taken), "taken")
	out <- prometheus.MustNewConstMetric(reloads, prometheus.CounterValue, float64(failed), "refused")
	old := 0.0
	if h.Refused != "" {
		old = 1
	}
	out <- prometheus.MustNewConstMetric(refusing, prometheus.GaugeValue, old)
}
