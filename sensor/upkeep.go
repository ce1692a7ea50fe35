package sensor

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/strict"
	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/maintenance"
)

// withheldFile is the list of alerts that maintenance has kept back, in the state folder; beyond withheldBytes it begins
// anew, and the one before stays beside it.
const (
	withheldFile  = "maintenance-alerts.jsonl"
	withheldBytes = 16 << 20
)

func (d *daemon) openMaintenance() (func() error, error) {
	works, err := maintenance.Open(d.cfg.State, d.cfg.Maintenance)
	if works == nil {
		return nil, err
	}
	if err != nil {
		d.log.Warn("what was known of maintenance is lost", "err", err)
	}
	d.works = works
	d.base.Pause(d.atWork)
	d.rehearsal.pause = d.atWork
	return nil, nil
}

// atWork tells whether work is done on either host at a packet time.
func (d *daemon) atWork(client, server netip.Addr, at int64) bool {
	_, ok := d.works.Of(client, server, at)
	return ok
}

// quiet marks an alert that falls into maintenance, and tells whether it is kept back: up to medium severity, if its last
// event falls into it too. It is called under the lock.
func (d *daemon) quiet(a *rules.Alert) bool {
	client, _ := netip.ParseAddr(a.Client)
	server, _ := netip.ParseAddr(a.Server)
	w, ok := d.works.Of(client, server, a.First.UnixNano())
	if !ok {
		return false
	}
	a.Maintenance = w.String()
	withheld := a.Severity <= rules.Medium && a.Last.Before(w.Until)
	d.works.Count(w.ID, withheld)
	if withheld {
		if err := d.withhold(a); err != nil {
			d.log.Error("an alert is raised that maintenance would keep back", "err", err)
			return false
		}
	}
	return withheld
}

// withhold writes an alert into the list.
func (d *daemon) withhold(a *rules.Alert) error {
	path := filepath.Join(d.cfg.State, withheldFile)
	if info, err := os.Stat(path); err == nil && info.Size() > withheldBytes {
		if err := os.Rename(path, path+".1"); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(f).Encode(a), f.Close())
}

// named puts the maintenance into which a control action falls into its record.
func (d *daemon) named(r *ledger.Record) {
	client, _ := netip.ParseAddr(r.Client)
	server, _ := netip.ParseAddr(r.Server)
	if w, ok := d.works.Of(client, server, d.judgeTime()); ok {
		r.Maintenance = w.String()
	}
}

// turnMaintenance says what has begun and what is over, and saves the book. Over recorded files the time is the packets'.
func (d *daemon) turnMaintenance() {
	d.mu.Lock()
	now := time.Now()
	if len(d.cfg.Interfaces) == 0 {
		now = time.Unix(0, d.judgeTime())
	}
	begun, over := d.works.Turn(now)
	for _, w := range begun {
		d.sayWork(&w, "sensor-maintenance-begun", w.From, fmt.Sprintf("Maintenance of %s by %s begins and lasts until %s: %s. Nothing is learned there, and alerts up to medium severity are kept back.",
			w.Where(), w.Who, w.Until.Format("2006-01-02 15:04"), w.Why))
	}
	for _, w := range over {
		d.sayWork(&w, "sensor-maintenance-over", w.Until, fmt.Sprintf("Maintenance of %s by %s is over: %s. %d alerts were kept back, %d were raised.", w.Where(), w.Who, w.Why, w.Withheld, w.Raised))
	}
	d.mu.Unlock()
	d.keepMaintenance()
}

func (d *daemon) keepMaintenance() {
	d.saving.Lock()
	defer d.saving.Unlock()
	if err := writeMaintenance(d.cfg.State, d.works); err != nil {
		d.log.Error("maintenance is not saved", "err", err)
	}
}

func writeMaintenance(dir string, works *maintenance.Book) error {
	if len(works.Windows()) == 0 {
		return nil
	}
	text, err := works.Text()
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, maintenance.FileName), text, 0o600)
}

// sayWork raises a notice of a window. It is called under the lock.
func (d *daemon) sayWork(w *maintenance.Window, rule string, at time.Time, title string) {
	a := d.notice(rule, w.ID, at, title)
	a.Maintenance = w.String()
	d.box.alert(a)
}

// notice makes an alert of the sensor's own about its baseline, and logs it; key tells one from another.
func (d *daemon) notice(rule, key string, at time.Time, title string) *rules.Alert {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", d.cfg.Name, rule, key))
	d.log.Info(title, "rule", rule)
	return &rules.Alert{ID: hex.EncodeToString(sum[:8]), Rule: rule, Title: title, Severity: rules.Notice, Techniques: []string{}, First: at.UTC(), Last: at.UTC(), Count: 1,
		Score: rules.Score{Confidence: 1}}
}

// A MaintenanceOrder asks for something about maintenance.
type MaintenanceOrder struct {
	Do     string             `json:"do"` // begin, end or list
	Who    string             `json:"who,omitempty"`
	Window maintenance.Window `json:"window,omitzero"` // to begin
	ID     string             `json:"id,omitempty"`    // to end
}

// MaintenanceOrders is the name under which a running sensor takes a MaintenanceOrder.
const MaintenanceOrders = "maintenance"

// carryOut does what is asked on a book.
func (o *MaintenanceOrder) carryOut(works *maintenance.Book, now time.Time) (baseline.Answer, error) {
	say := func(format string, args ...any) (baseline.Answer, error) {
		return func(out io.Writer) error { _, err := fmt.Fprintf(out, format, args...); return err }, nil
	}
	switch o.Do {
	case "begin":
		o.Window.Who = o.Who
		w, err := works.Add(o.Window)
		if err != nil {
			return nil, err
		}
		return say("%s\n", &w)
	case "end":
		w, err := works.End(o.ID, now)
		if err != nil {
			return nil, err
		}
		return say("%s\n", &w)
	case "list":
		return func(out io.Writer) error {
			for _, w := range works.Windows() {
				state := "to come"
				switch {
				case w.Over:
					state = "over"
				case w.Begun:
					state = "goes on"
				}
				fmt.Fprintf(out, "%-8s %s  from %s  on %s  %d kept back, %d raised\n", state, &w, w.From.Format("2006-01-02 15:04"), w.Where(), w.Withheld, w.Raised)
			}
			return nil
		}, nil
	}
	return nil, strict.Unknown("order about maintenance", o.Do, []string{"begin", "end", "list"})
}

// Maintain carries out an order on the state folder of a sensor that does not run.
func Maintain(dir string, o *MaintenanceOrder, out io.Writer) error {
	works, err := maintenance.Open(dir, nil)
	if err != nil {
		return err
	}
	answer, err := o.carryOut(works, time.Now())
	if err == nil && o.Do != "list" {
		err = writeMaintenance(dir, works)
	}
	if err != nil {
		return err
	}
	return answer(out)
}

// askMaintenance carries out an order on a running sensor.
func (d *daemon) askMaintenance(o *MaintenanceOrder, by func(string) string) (baseline.Answer, error) {
	o.Who = by(o.Who)
	answer, err := o.carryOut(d.works, time.Now())
	if err == nil && o.Do != "list" {
		d.log.Info("maintenance was decided over", "order", o.Do, "who", o.Who)
		d.turnMaintenance()
	}
	return answer, err
}

// workHealth is the maintenance that goes on.
func (d *daemon) workHealth() (all []batch.WindowHealth) {
	for _, w := range d.works.Windows() {
		if w.Begun && !w.Over {
			all = append(all, batch.WindowHealth{ID: w.ID, Who: w.Who, Why: w.Why, Until: w.Until, Withheld: w.Withheld, Raised: w.Raised})
		}
	}
	return all
}
