package sensor

import (
	"os"
	"path/filepath"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/evidence"
)

// openEvidence opens the folder of the configuration, if it names one. It is signed with the sensor's key, or with one
// of its own where the sensor is not enrolled.
func (d *daemon) openEvidence() (func() error, error) {
	d.openCourier()
	if d.cfg.Evidence == "" {
		return nil, nil
	}
	o := evidence.Options{Dir: d.cfg.Evidence, Ready: func(a *rules.Alert) { d.box.alert(a); d.courier.Written(a.ID) },
		Failed: func(err error) { d.log.Error("evidence is not kept", "err", err) }}
	if d.identity != nil {
		o.Key = d.identity.Key
	}
	var err error
	d.desk, err = openDesk(o)
	return nil, err
}

// openDesk opens a desk that has a key.
func openDesk(o evidence.Options) (*evidence.Desk, error) {
	if o.Key == nil {
		if err := os.MkdirAll(o.Dir, 0o750); err != nil {
			return nil, err
		}
		key, err := evidence.LoadKey(filepath.Join(o.Dir, evidence.KeyFile), true)
		if err != nil {
			return nil, err
		}
		o.Key = key
	}
	return evidence.NewDesk(o)
}

// found takes an alert from the rules. It goes to the spool at once, and once more when its evidence is written.
func (d *daemon) found(a *rules.Alert) {
	if d.quiet(a) {
		return
	}
	d.desk.Alert(a)
	d.box.alert(a)
}
