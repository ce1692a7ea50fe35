package sensor

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/testdata/need"
)

// TestReconfigure: a reload takes up the phase and the maintenance of the configuration, and says what else waits for a
// restart; a configuration that is wrong is refused whole, and the one before goes on.
func TestReconfigure(t *testing.T) {
	capture := filepath.Join(need.Root(t), "testdata", "demo.pcap")
	path := filepath.Join(t.TempDir(), "sensor.yaml")
	head := "state: " + t.TempDir() + "\nreplay: {files: [" + capture + "]}\n"
	const work = "maintenance: [{who: anna, why: firmware, from: 2030-01-01T08:00:00Z, until: 2030-01-01T%s:00:00Z, hosts: [10.0.0.1]}]\n"
	put(t, path, head+"phase: learn\n")
	cfg, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	log := hears{slog.DiscardHandler, make(chan string, 1000)}
	d := standing(t, cfg, slog.New(log))
	heard := func() (all string) {
		for {
			select {
			case said := <-log.said:
				all += said + "\n"
			default:
				return all
			}
		}
	}
	reload := func() error { // without the rules, whose tests take their time
		cfg, err := d.readConfig()
		if err == nil {
			d.reconfigure(cfg)
		}
		return err
	}
	for _, c := range []struct {
		name, text, refused, says string
		phase                     rules.Phase
		until                     int // hour at which the work ends; 0: there is none
	}{
		{"nothing has changed", "phase: learn\n", "", "", rules.Learn, 0},
		{"another phase, and work", "phase: enforce\n" + strings.Replace(work, "%s", "12", 1), "", "the phase has changed", rules.Enforce, 12},
		{"an unknown phase", "phase: enforced\n", `did you mean "enforce"`, "", rules.Enforce, 12},
		{"work that ends before it begins", "phase: learn\n" + strings.Replace(work, "%s", "07", 1), "before it begins", "", rules.Enforce, 12},
		{"an unknown key", "phase: learn\ncolour: red\n", "colour", "", rules.Enforce, 12},
		{"work that takes longer", "phase: enforce\n" + strings.Replace(work, "%s", "15", 1), "", "", rules.Enforce, 15},
		{"no more work", "phase: learn\n", "", "the phase has changed", rules.Learn, 0},
		{"what only a restart takes up", "phase: learn\nevents_days: 3\n", "", "only a restart takes up", rules.Learn, 0},
	} {
		heard()
		put(t, path, head+c.text)
		err := reload()
		if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %v", c.name, err)
		}
		if said := heard(); !strings.Contains(said, c.says) || c.says != "only a restart takes up" && strings.Contains(said, "only a restart takes up") {
			t.Errorf("%s: the log says %q", c.name, said)
		}
		if d.phase() != c.phase.String() {
			t.Errorf("%s: the phase is %s", c.name, d.phase())
		}
		until := 0
		for _, w := range d.works.Windows() {
			until = w.Until.Hour()
		}
		if until != c.until {
			t.Errorf("%s: work until %d, want %d", c.name, until, c.until)
		}
	}
	heard()
	put(t, path, head+"phase: of\n")
	if _, _, err := d.reloadRules(); err == nil || !strings.Contains(heard(), "those before go on") || d.phase() != "learn" {
		t.Errorf("%v, the phase is %s", err, d.phase())
	}
	put(t, path, head+"phase: off\n"+strings.Replace(work, "%s", "12", 1))
	if _, _, err := d.reloadRules(); err != nil || d.phase() != "off" {
		t.Fatal(err, d.phase())
	}
	w := d.works.Windows()[0]
	if _, err := d.works.End(w.ID, time.Date(2030, 1, 1, 9, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if err := reload(); err != nil {
		t.Fatal(err)
	}
	if got := d.works.Windows()[0]; !got.Over || got.Until.Hour() != 9 {
		t.Errorf("work that a person has ended goes on: %+v", got)
	}
}
