package sensor

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/enrol"
	"github.com/roje-ot/roje/sensor/evidence"
	"github.com/roje-ot/roje/sensor/ledger"
)

// openLedger opens the record of control actions: each is kept in the state folder and goes to the collector.
func (d *daemon) openLedger() (func() error, error) {
	key, err := d.ownKey()
	if err != nil {
		return nil, err
	}
	store, err := ledger.OpenStore(filepath.Join(d.cfg.State, ledger.FileName), d.cfg.LedgerBytes, key, FormerKeys(d.cfg.State, d.cfg.Enrolment)...)
	if err != nil {
		return nil, err
	}
	if old := store.Stranger(); old != "" {
		d.log.Warn("the ledger goes on under a key that the one before could not introduce: name both to ledger verify, by --key", "before", old)
	}
	d.acts = ledger.New(ledger.Config{Tell: d.decide}, func(r *ledger.Record) {
		d.named(r)
		if err := store.Keep(r); err != nil {
			d.log.Error("action is not kept", "err", err)
		}
		d.box.json(batch.KindLedger, batch.Routine, time.Unix(0, d.judgeTime()), r)
	})
	learned, err := store.Recalled()
	switch {
	case errors.Is(err, ledger.ErrForgotten):
		d.log.Warn("the ledger learns anew", "err", err)
	case err != nil:
		return store.Close, err
	case learned != nil:
		d.acts.Recall(learned, catalog.All)
	}
	d.actsFile = store
	return store.Close, nil
}

// keepActs saves what the ledger has learned, and puts new seals over its records on their way. The seal of the end goes
// when the sensor runs again.
func (d *daemon) keepActs() {
	d.mu.Lock()
	learned := d.acts.Memory()
	d.mu.Unlock()
	if err := d.actsFile.Remember(learned); err != nil {
		d.log.Error("what the ledger has learned is not saved", "err", err)
	}
	if err := d.actsFile.HandOver(func(seals []ledger.Seal) error {
		for i := range seals {
			d.box.json(batch.KindLedgerSeal, batch.Inventory, seals[i].At, &seals[i])
		}
		d.box.flush()
		return nil
	}); err != nil {
		d.log.Error("seals of the ledger are not sent", "err", err)
	}
}

// ownKey is the key that the sensor signs with: that of its enrolment, or without one its own.
func (d *daemon) ownKey() (ed25519.PrivateKey, error) {
	if d.identity != nil {
		return d.identity.Key, nil
	}
	return OwnKey(d.cfg.State, "", true)
}

// OwnKey is the key that a sensor with this state and enrolment signs with. make says that one is made where there is
// none.
func OwnKey(state, enrolment string, make bool) (ed25519.PrivateKey, error) {
	if enrolment != "" {
		switch identity, err := enrol.Load(enrolment); {
		case err == nil:
			return identity.Key, nil
		case !errors.Is(err, enrol.ErrNone):
			return nil, err
		}
	}
	dir := filepath.Join(state, coverageFolder)
	if make {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, err
		}
	}
	return evidence.LoadKey(filepath.Join(dir, evidence.KeyFile), make)
}

// FormerKeys are the keys that a sensor with this state and enrolment has signed with before, as far as they are still
// there: its own, from before it was enrolled, and those of earlier enrolments.
func FormerKeys(state, enrolment string) []ed25519.PrivateKey {
	if enrolment == "" {
		return nil
	}
	keys := enrol.Former(enrolment)
	if own, err := OwnKey(state, "", false); err == nil {
		keys = append(keys, own)
	}
	return keys
}
