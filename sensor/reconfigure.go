package sensor

import (
	"reflect"
	"slices"
	"strings"
)

// reloaded are the keys of the configuration that a reload takes up. All others need a restart.
var reloaded = []string{"phase", "maintenance"}

// readConfig reads the configuration anew; nil where it came from no file.
func (d *daemon) readConfig() (*Config, error) {
	if d.cfg.path == "" {
		return nil, nil
	}
	cfg, err := LoadConfig(d.cfg.path)
	if err != nil {
		return nil, err
	}
	return &cfg, nil
}

// reconfigure takes up the phase and the maintenance of a configuration that was checked, and says what else of it waits for a
// restart. It is called with the turn of the rules.
func (d *daemon) reconfigure(cfg *Config) {
	if cfg == nil {
		return
	}
	phase, _ := ParsePhase(cfg.Phase) // checked by LoadConfig
	d.mu.Lock()
	before := d.base.Phase()
	d.base.SetPhase(phase)
	err := d.works.Configure(cfg.Maintenance)
	d.mu.Unlock()
	if before != phase {
		d.log.Info("the phase has changed", "from", before, "to", phase)
	}
	if err != nil {
		d.log.Error("the maintenance of before goes on", "err", err)
	}
	d.turnMaintenance()
	if waits := d.cfg.differs(cfg); len(waits) > 0 {
		d.log.Warn("the configuration has changed in what only a restart takes up", "keys", strings.Join(waits, ", "))
	}
}

// differs names the keys in which next differs from what the sensor was started with, those that a reload takes up aside.
func (c *Config) differs(next *Config) (keys []string) {
	was, is := reflect.ValueOf(c).Elem(), reflect.ValueOf(next).Elem()
	for i := range was.NumField() {
		field := was.Type().Field(i)
		key := field.Tag.Get("yaml")
		switch {
		case key == "" || reflect.DeepEqual(was.Field(i).Interface(), is.Field(i).Interface()):
		case key == "name" && next.Name == "": // the sensor has found one by itself
		case slices.Contains(reloaded, key):
		default:
			keys = append(keys, key)
		}
	}
	return keys
}

// phase is the phase in force.
func (d *daemon) phase() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.base.Phase().String()
}
