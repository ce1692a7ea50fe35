package sensor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/strict"
	"github.com/roje-ot/roje/sensor/coverage"
	"github.com/roje-ot/roje/sensor/evidence"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/maintenance"
	"github.com/roje-ot/roje/sensor/oneway"
	"github.com/roje-ot/roje/sensor/plant"
)

// Config is the sensor's configuration file. The zero value of every field but one source (interfaces or replay) works.
type Config struct {
	Name        string           `yaml:"name"`          // of the sensor, in alert ids; default: the enrolled name, or the host's
	State       string           `yaml:"state"`         // folder of the baseline and the spool; default /var/lib/roje-sensor
	Interfaces  []string         `yaml:"interfaces"`    // the SPAN ports
	Taps        []string         `yaml:"taps"`          // names of the paths that they watch; the collector compares commands of sensors that name the same one
	Prefilter   []string         `yaml:"prefilter"`     // those of them so fast that what nobody wants is dropped in the driver; see sources_prefilter.go
	Replay      Recorded         `yaml:"replay"`        // capture files instead of interfaces, for demos
	Phase       string           `yaml:"phase"`         // learn, enforce (default) or off
	Rules       string           `yaml:"rules"`         // further rules beside the built-in pack: a folder, or a signed pack
	RulesSite   string           `yaml:"rules_site"`    // what the site says about rules: off, severity, exceptions
	RulesKey    string           `yaml:"rules_key"`     // public key (PEM) that packs must be signed with; then nothing else is taken
	Central     bool             `yaml:"rules_central"` // take packs of rules and policies that the collector hands out, signed with rules_key
	Points      []plant.File     `yaml:"points"`        // point lists and device profiles: what points are called; read anew with the rules
	Enrolment   string           `yaml:"enrolment"`     // folder that `roje-sensor enrol` made; default STATE/enrolment. Without one, alerts stay in the spool
	SpoolBytes  int64            `yaml:"spool_bytes"`
	LedgerBytes int64            `yaml:"ledger_bytes"`          // what the record of control actions may take on disk; default 256 MiB
	Events      string           `yaml:"events"`                // folder for what was judged, to try changed rules on; default STATE/events. off: none is kept
	EventsBytes int64            `yaml:"events_bytes"`          // what it may take on disk; default 512 MiB
	EventsDays  int              `yaml:"events_days"`           // after which it is dropped; default 30
	Evidence    string           `yaml:"evidence"`              // folder for the frames that alerts stand on; empty: none are kept
	Sending     evidence.Sending `yaml:"evidence_to_collector"` // which of it is sent to the collector, and how much a day
	Coverage    coverage.Config  `yaml:"coverage"`              // after how long blindness is said
	Budget      Budget           `yaml:"budget"`                // incidents in a day; see docs/incidents.md
	Alerts      string           `yaml:"alerts"`                // also write each alert as a JSON line to this file
	OneWay      oneway.Config    `yaml:"oneway"`                // deliver over a link that has no way back, instead of over HTTPS
	Admin       string           `yaml:"admin"`                 // address of /metrics and /healthz, loopback only; empty: none

	Maintenance []maintenance.Window `yaml:"maintenance"` // work that is planned: who, why, from, until, hosts, links

	path string // of the file that it was read from; empty: of none
}

// Recorded names capture files that stand in for an interface.
type Recorded struct {
	Files []string `yaml:"files"`
	Pace  float64  `yaml:"pace"` // packet seconds per second; 0 is as fast as possible
}

const (
	defaultState      = "/var/lib/roje-sensor"
	defaultSpoolBytes = 256 << 20
	flushEvery        = 30 * time.Second // learning that a crash may lose, at most
)

// LoadConfig reads and checks a configuration file. The error holds all that is wrong with it.
func LoadConfig(path string) (Config, error) {
	var cfg Config
	text, err := os.ReadFile(path)
	if err != nil {
		return cfg, fmt.Errorf("read config: %w", err)
	}
	if err := strict.Decode(text, &cfg); err != nil {
		return cfg, fmt.Errorf("config %s: %w", path, err)
	}
	cfg.path = path
	cfg.setDefaults()
	if err := cfg.Check(); err != nil {
		return cfg, fmt.Errorf("config %s: %w", path, err)
	}
	return cfg, nil
}

func (c *Config) setDefaults() {
	if c.State == "" {
		c.State = defaultState
	}
	if c.Phase == "" {
		c.Phase = rules.Enforce.String()
	}
	if c.Enrolment == "" {
		c.Enrolment = filepath.Join(c.State, "enrolment")
	}
	if c.Events == "" {
		c.Events = filepath.Join(c.State, "events")
	}
	if c.EventsBytes == 0 {
		c.EventsBytes = defaultEventsBytes
	}
	if c.EventsDays == 0 {
		c.EventsDays = defaultEventsDays
	}
	if c.LedgerBytes == 0 {
		c.LedgerBytes = ledger.Budget
	}
	if c.SpoolBytes == 0 {
		c.SpoolBytes = defaultSpoolBytes
	}
}

// Check returns all that is wrong with c and can be known without opening anything.
func (c *Config) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case len(c.Interfaces) == 0 && len(c.Replay.Files) == 0:
		bad("nothing to watch: name one of interfaces or replay.files")
	case len(c.Interfaces) > 0 && len(c.Replay.Files) > 0:
		bad("interfaces and replay.files exclude each other")
	}
	if _, err := ParsePhase(c.Phase); err != nil {
		errs = append(errs, err)
	}
	for i, tap := range c.Taps {
		if err := batch.CheckName("a tap", tap); err != nil {
			errs = append(errs, fmt.Errorf("taps: %w", err))
		} else if slices.Contains(c.Taps[:i], tap) {
			bad("taps names %s twice", tap)
		}
	}
	if err := c.Budget.check(); err != nil {
		errs = append(errs, err)
	}
	if c.Replay.Pace < 0 {
		bad("replay.pace is %v; it is packet seconds per second, 0 or more", c.Replay.Pace)
	}
	if c.LedgerBytes < 1<<20 {
		bad("ledger_bytes is %d; the least is 1048576", c.LedgerBytes)
	}
	if c.EventsBytes < 1<<20 {
		bad("events_bytes is %d; the least is 1048576; to keep none, say events: off", c.EventsBytes)
	}
	if c.EventsDays < 1 || c.EventsDays > 3650 {
		bad("events_days is %d; it is 1 to 3650; to keep none, say events: off", c.EventsDays)
	}
	if c.SpoolBytes < 1<<20 {
		bad("spool_bytes is %d; the least is 1048576", c.SpoolBytes)
	}
	for i := range c.Points {
		if err := c.Points[i].Check(); err != nil {
			errs = append(errs, err)
		}
	}
	switch {
	case c.Central && c.RulesKey == "":
		bad("rules_central needs rules_key: the public key of whoever signs the packs")
	case c.Central && c.Rules != "":
		bad("rules and rules_central exclude each other: packs of the collector are kept in state")
	}
	if err := errors.Join(c.Coverage.Check(), c.Sending.Check()); err != nil {
		errs = append(errs, err)
	}
	for i := range c.Maintenance {
		if err := c.Maintenance[i].Prepare(); err != nil {
			errs = append(errs, err)
		}
	}
	if c.OneWay.Used() {
		if err := c.OneWay.Check(); err != nil {
			errs = append(errs, err)
		}
	}
	if c.Admin != "" {
		host, _, err := net.SplitHostPort(c.Admin)
		if err != nil {
			bad("admin: %w", err)
		} else if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			bad("admin is %q; it must be a loopback address, since it asks nobody who they are", c.Admin)
		}
	}
	for _, file := range c.Replay.Files {
		if _, err := os.Stat(file); err != nil {
			errs = append(errs, fmt.Errorf("replay: %w", err))
		}
	}
	for _, name := range c.Interfaces {
		if name == "" {
			bad("interfaces holds an empty name")
		}
	}
	for i, name := range c.Prefilter {
		switch {
		case !slices.Contains(c.Interfaces, name):
			bad("prefilter names %q, which is none of the interfaces", name)
		case slices.Contains(c.Prefilter[:i], name):
			bad("prefilter names %q twice", name)
		}
	}
	return errors.Join(errs...)
}

// ParsePhase reads the word of a phase.
func ParsePhase(word string) (rules.Phase, error) {
	words := map[string]rules.Phase{}
	for _, p := range []rules.Phase{rules.Off, rules.Learn, rules.Enforce} {
		words[p.String()] = p
	}
	if p, ok := words[word]; ok {
		return p, nil
	}
	return 0, strict.Unknown("phase", word, []string{"learn", "enforce", "off"})
}
