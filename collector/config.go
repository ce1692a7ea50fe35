package collector

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/account/openid"
	"github.com/roje-ot/roje/collector/sector"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/postgres"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/strict"
)

// Config is what a collector is told. The zero value needs only Data.
type Config struct {
	// Data is the folder that holds everything: store, keys, what was shared. It is made if it does not exist.
	Data string `yaml:"data"`
	// Store is where alerts, sensors and users are kept: "" is a file in Data, postgres://... a database, which several
	// collectors may share; Data holds the rest. The URL's password may be left out of it and put in ~/.pgpass or
	// PGPASSWORD. It is kept in Data, as Operator is.
	Store string `yaml:"store"`
	// Keep is for how long things are kept; zero is for ever. Alerts that are held or released stay.
	Keep Keep `yaml:"keep"`
	// Operator is whose network is watched; its name is what a CERT sees. It is kept in Data:
	// a later start need not say it again. "" at the first start is "default".
	Operator string `yaml:"operator"`
	// Console is where people and programs come in, by default 127.0.0.1:8470. Off loopback it is served over TLS.
	Console Listen `yaml:"console"`
	// Ingest is where sensors come in, by default 127.0.0.1:8471; always over TLS.
	Ingest Listen `yaml:"ingest"`
	// Enrolment is how sensors join.
	Enrolment Enrolment `yaml:"enrolment"`
	// SignIn is how people sign in.
	SignIn SignIn `yaml:"sign_in"`
	// Sector makes this the collector of a CERT, which sees what several operators see together.
	Sector sector.Config `yaml:"sector"`
}

// Enrolment is how sensors join.
type Enrolment struct {
	// Approve has a person approve every sensor that comes with a token, comparing its fingerprint words. A token may ask
	// for it where this does not.
	Approve bool `yaml:"approve"`
}

// SignIn is how people sign in. The zero value is by password, with a second factor for who wants one.
type SignIn struct {
	// SecondFactor are the roles that need a second factor: who has none sets it up at the next sign-in.
	SecondFactor []store.Role `yaml:"second_factor"`
	// OIDC is an identity provider where people may sign in too.
	OIDC openid.Config `yaml:"oidc"`
}

func (s *SignIn) check() error {
	var errs []error
	for _, role := range s.SecondFactor {
		if err := account.CheckRole(role); err != nil {
			errs = append(errs, fmt.Errorf("sign_in: second_factor: %w", err))
		}
	}
	if err := s.OIDC.Check(); err != nil {
		errs = append(errs, fmt.Errorf("sign_in: oidc: %w", err))
	}
	return errors.Join(errs...)
}

// Keep is for how long things are kept, such as 8760h; zero is for ever.
type Keep struct {
	Alerts    time.Duration `yaml:"alerts"`    // since a sensor last spoke of it
	Records   time.Duration `yaml:"records"`   // since they were received
	Envelopes time.Duration `yaml:"envelopes"` // hashes of deliveries: for so long a fork of a spool is told from a replay
}

// cutoff is what is forgotten at a time.
func (k Keep) cutoff(now time.Time) (c store.Cutoff) {
	for _, f := range []struct {
		age  time.Duration
		into *time.Time
	}{{k.Alerts, &c.Alerts}, {k.Records, &c.Records}, {k.Envelopes, &c.Envelopes}} {
		if f.age > 0 {
			*f.into = now.Add(-f.age)
		}
	}
	return c
}

// Listen is a listener.
type Listen struct {
	Address string `yaml:"address"` // host:port; port 0 takes a free one
	// Names are the host names and addresses that certificates of the collector's own CA are made for, beside that of
	// Address. The first is what tokens tell sensors to connect to.
	Names []string `yaml:"names"`
	// Cert and Key are PEM files of a certificate to use instead of the collector's own. Only the console has them.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// The defaults.
const (
	DefaultOperator = "default"
	DefaultConsole  = "127.0.0.1:8470"
	DefaultIngest   = "127.0.0.1:8471"
)

// leastKeep is below what nothing may be set to be forgotten: a slip of the unit would cost the evidence of the night.
const leastKeep = 24 * time.Hour

// ReadConfig reads a YAML file. A key it does not know is an error with a hint. A relative Data is taken from the
// file's folder.
func ReadConfig(path string) (Config, error) {
	var c Config
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read config: %w", err)
	}
	if err := strict.Decode(text, &c); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	for _, file := range append([]*string{&c.Data, &c.Console.Cert, &c.Console.Key}, append(c.SignIn.OIDC.Files(), c.Sector.Files()...)...) {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(filepath.Dir(path), *file)
		}
	}
	return c, nil
}

// complete puts in the defaults and says all that is wrong at once.
func (c *Config) complete() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Data == "" {
		wrong("no data folder; give --data DIR, or data: in the config file")
	}
	if c.Operator != "" {
		if err := batch.CheckName("an operator", c.Operator); err != nil {
			errs = append(errs, err)
		}
	}
	if c.Store != "" && !postgres.IsURL(c.Store) {
		wrong("store %q is not postgres://...; leave it out to keep everything in the data folder", c.Store)
	}
	for _, k := range []struct {
		what string
		age  time.Duration
	}{{"alerts", c.Keep.Alerts}, {"records", c.Keep.Records}, {"envelopes", c.Keep.Envelopes}} {
		if k.age < 0 || k.age > 0 && k.age < leastKeep {
			wrong("keep: %s: %v is below %v", k.what, k.age, leastKeep)
		}
	}
	for _, l := range []struct {
		what   string
		listen *Listen
		preset string
	}{{"console", &c.Console, DefaultConsole}, {"ingest", &c.Ingest, DefaultIngest}} {
		if l.listen.Address == "" {
			l.listen.Address = l.preset
		}
		if _, _, err := net.SplitHostPort(l.listen.Address); err != nil {
			wrong("%s address %q is not host:port, such as %s", l.what, l.listen.Address, l.preset)
		}
	}
	if (c.Console.Cert == "") != (c.Console.Key == "") {
		wrong("console: cert and key go together")
	}
	if c.Ingest.Cert != "" || c.Ingest.Key != "" {
		wrong("ingest: its certificate is always of the collector's own CA, which sensors pin; remove cert and key")
	}
	if err := c.Sector.Complete(c.Operator); err != nil {
		errs = append(errs, err)
	}
	if err := c.SignIn.check(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
