// Package sensor is the composition of the sensor: packets in, through flow, baseline, ledger and rules, to alerts in
// the spool and on their way to the collector; and the same pipeline over capture files.
package sensor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/sensor/asset"
	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/enrol"
	"github.com/roje-ot/roje/sensor/events"
	"github.com/roje-ot/roje/sensor/evidence"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/maintenance"
	"github.com/roje-ot/roje/sensor/oneway"
	"github.com/roje-ot/roje/sensor/recall"
	"github.com/roje-ot/roje/sensor/ship"
	"github.com/roje-ot/roje/sensor/spool"
)

// A daemon is a running sensor.
//
//	readers ──(mu)──▸ baseline, ledger, rules ──▸ outbox ──▸ spool ──▸ ship
//
// Each source has a reader with a flow table of its own; what they find goes one at a time, under mu, to the one
// baseline, ledger and engine.
type daemon struct {
	cfg     Config
	log     *slog.Logger
	version string
	began   time.Time

	mu       sync.Mutex // guards base, judge, acts, assets and what is below
	base     *baseline.Baseline
	judge    *engine.Engine
	acts     *ledger.Ledger
	actsFile *ledger.Store  // where they are kept
	desk     *evidence.Desk // nil where no evidence is kept
	cover    *blindness

	saving  sync.Mutex   // held while the baseline is written: one at a time and in order; taken before mu
	control net.Listener // for people on this host; nil where it could not be opened

	rehearsal rehearsal // guarded by mu
	works     *maintenance.Book
	staleDay  int64 // day of packet time on which stale items were said last; guarded by mu

	courier *evidence.Courier // nil where nothing is delivered
	assets  *asset.Registry

	stock    inventory
	box      *outbox
	spool    *spool.Spool
	identity *enrol.Identity      // nil where the sensor is not enrolled
	shipper  shipper              // nil likewise
	sent     func() []batch.Range // over a one-way link: what was sent; nil otherwise
	readers  []*reader
	passive  *passivity
	metrics  *metrics
	rules    inForce
	central  *central      // nil where the collector hands out no packs
	past     *events.Store // nil where no events are kept
	recall   *recall.Store // of what the rules remember
}

// A shipper takes what is in the spool to the collector until ctx ends.
type shipper interface {
	Run(ctx context.Context) error
}

// Run runs the sensor until ctx ends, or, over recorded files, until they are read and what they raised is delivered or
// ctx ends. It returns nil for an orderly end.
func Run(ctx context.Context, cfg Config, version string, log *slog.Logger) (err error) {
	d := &daemon{cfg: cfg, log: log, version: version, began: time.Now()}
	d.metrics = &metrics{d: d}
	for _, open := range d.parts() {
		closing, err := open()
		if closing != nil {
			defer func() { err = errors.Join(err, closing()) }()
		}
		if err != nil {
			return err
		}
	}
	d.announce()
	return d.serve(ctx)
}

// parts are what a daemon opens, in this order; each returns what closes it again, or nil.
func (d *daemon) parts() []func() (func() error, error) {
	return []func() (func() error, error){d.openBaseline, d.openRehearsal, d.openMaintenance, d.openAssets, d.openSpool, d.openLedger, d.openEvidence, d.openEvents, d.openRules, d.openCoverage, d.openControl, d.openSources, d.openReload, d.openAdmin, d.serveControl}
}

func (d *daemon) openBaseline() (func() error, error) {
	phase, err := ParsePhase(d.cfg.Phase)
	if err != nil {
		return nil, err
	}
	base, warning, err := baseline.Open(d.cfg.State, baseline.Options{Phase: phase})
	if err != nil {
		return nil, err
	}
	if warning != nil {
		d.log.Warn("baseline set aside", "kept", warning.Kept, "err", warning.Err)
	}
	d.base = base
	return base.Close, nil
}

func (d *daemon) openSpool() (func() error, error) {
	sp, err := spool.Open(spool.Config{Dir: d.cfg.State, Budget: d.cfg.SpoolBytes})
	if err != nil {
		return nil, err
	}
	d.spool = sp
	d.identity, err = enrol.Load(d.cfg.Enrolment)
	if errors.Is(err, enrol.ErrNone) {
		d.log.Warn("not enrolled: alerts stay in the spool", "enrolment", d.cfg.Enrolment)
		return sp.Close, nil
	}
	if err != nil {
		return sp.Close, err
	}
	if d.cfg.Name == "" {
		d.cfg.Name = d.identity.Name
	}
	return sp.Close, d.openDelivery()
}

// openDelivery makes what the configuration asks for: HTTPS, or a one-way link.
func (d *daemon) openDelivery() error {
	if !d.cfg.OneWay.Used() {
		client, err := ship.Connect(d.identity, d.spool, time.Now, d.log)
		if err == nil {
			d.shipper = client
		}
		return err
	}
	if err := d.spool.Bind(d.identity.Operator, d.identity.Sensor); err != nil {
		return err
	}
	sender, err := oneway.New(oneway.Settings{
		Config: d.cfg.OneWay, Spool: d.spool, Key: d.identity.Key, Archive: filepath.Join(d.cfg.State, oneway.ArchiveName), Now: time.Now, Log: d.log,
	})
	if err != nil {
		return err
	}
	d.shipper, d.sent = sender, sender.Sent
	return nil
}

func (d *daemon) openRules() (func() error, error) {
	if d.cfg.Name == "" {
		var err error
		if d.cfg.Name, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	alerts, err := OpenLines(d.cfg.Alerts)
	if err != nil {
		return nil, err
	}
	d.box = newOutbox(d.spool, alerts, d.log)
	return d.box.close, d.firstRules()
}

// judgeTime is the packet time of what is being judged.
func (d *daemon) judgeTime() int64 {
	var last int64
	for _, r := range d.readers {
		last = max(last, r.pipeline.Last)
	}
	return last
}

// announce says in one line what runs and how.
func (d *daemon) announce() {
	collector := "none"
	if d.identity != nil {
		collector = d.identity.Collector
	}
	if name, ok := d.shipper.(fmt.Stringer); ok {
		collector = name.String()
	}
	for _, r := range d.readers {
		d.log.Info("watching", "source", r.name, "capture", r.tier, "passivity", d.passive.level(), "drops", d.passive.lasts(), "phase", d.cfg.Phase, "sensor", d.cfg.Name, "collector", collector)
	}
}

// serve runs every part until the sources end or ctx does.
func (d *daemon) serve(ctx context.Context) error {
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	shipping, stopShipping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopShipping()

	var readers, others sync.WaitGroup
	errs := make(chan error, len(d.readers))
	for _, r := range d.readers {
		readers.Go(func() { errs <- d.read(reading, r) })
	}
	others.Go(func() { d.tick(reading) })
	if d.shipper != nil {
		others.Go(func() {
			if err := d.shipper.Run(shipping); err != nil {
				d.log.Error("delivery ended", "err", err)
			}
		})
		if d.central != nil {
			others.Go(func() { d.central.run(shipping) })
		}
		others.Go(func() {
			if err := d.courier.Run(shipping); err != nil {
				d.log.Error("evidence is not sent any more", "err", err)
			}
		})
	}
	readers.Wait()
	close(errs)
	var failed []error
	for err := range errs {
		failed = append(failed, err)
	}
	stopReading()
	d.settle()
	d.keepLast(ctx.Err() == nil)
	if ctx.Err() == nil && d.shipper != nil {
		d.drain(ctx)
	}
	stopShipping()
	others.Wait()
	return errors.Join(failed...)
}

// settle emits what the rules and the ledger still hold, and writes the baseline.
func (d *daemon) settle() {
	d.mu.Lock()
	d.acts.Flush()
	d.judge.Flush()
	d.past.Flush()
	err := d.desk.Flush()
	d.mu.Unlock()
	err = errors.Join(err, d.saveBaseline())
	d.keepRules()
	d.keepRehearsal()
	d.turnMaintenance()
	d.takeStock(time.Now())
	d.keepActs()
	d.box.flush()
	if err != nil {
		d.log.Error("not all is saved", "err", err)
	}
}

// drain waits, after recorded files, until the collector has everything.
func (d *daemon) drain(ctx context.Context) {
	check := time.NewTicker(50 * time.Millisecond)
	defer check.Stop()
	for {
		idle := d.courier.Idle() // first: what it puts afterwards would be seen by neither
		if stats := d.spool.Stats(); idle && stats.Records() == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-check.C:
		}
	}
}

// tick saves the baseline, and reports health, until ctx ends.
func (d *daemon) tick(ctx context.Context) {
	save, health := time.NewTicker(flushEvery), time.NewTicker(healthEvery)
	defer save.Stop()
	defer health.Stop()
	d.reportHealth()
	for {
		select {
		case <-ctx.Done():
			d.reportHealth()
			return
		case <-save.C:
			d.mu.Lock()
			d.past.Flush()
			d.mu.Unlock()
			if err := d.saveBaseline(); err != nil {
				d.log.Error("baseline is not saved", "err", err)
			}
			d.keepRules()
			if err := d.prepareRehearsal(); err != nil {
				d.log.Error("what would be raised is not counted", "err", err)
			}
			d.keepRehearsal()
			d.turnMaintenance()
			d.sayStale()
			d.takeStock(time.Now())
			d.keepActs()
			d.keepLast(false)
		case <-health.C:
			d.reportHealth()
		}
	}
}

const healthEvery = time.Minute
