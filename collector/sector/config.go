package sector

import (
	"errors"
	"fmt"

	"github.com/roje-ot/roje/collector/outward"
	"github.com/roje-ot/roje/rules/batch"
)

// A Config makes a collector that of a CERT. The zero value is an operator's collector.
type Config struct {
	// Operators are those who may be compared. They must consent too: see store.Consent.
	Operators []Member `yaml:"operators"`
	// AtLeast is how many operators must see the same act, 3 by default; never below 2.
	AtLeast int `yaml:"at_least"`
}

// A Member is an operator that may be compared.
type Member struct {
	Name string `yaml:"name"` // as its collector has it
	// Data is the data folder of its collector on this machine, URL its collector's console elsewhere; without either it is in
	// the same store as the CERT.
	Data string `yaml:"data"`
	URL  string `yaml:"url"`
	// Account is the CERT's account at URL, PasswordFile has its password on its first line, and CAFile the certificates to
	// trust beside the system's, such as the CA of that collector.
	Account      string `yaml:"account"`
	PasswordFile string `yaml:"password_file"`
	CAFile       string `yaml:"ca_file"`
}

// On says whether the collector is a CERT's.
func (c *Config) On() bool { return len(c.Operators) > 0 }

// Files are the paths in it.
func (c *Config) Files() (paths []*string) {
	for i := range c.Operators {
		m := &c.Operators[i]
		paths = append(paths, &m.Data, &m.PasswordFile, &m.CAFile)
	}
	return paths
}

// Complete puts in the default and says all that is wrong at once. own is the name of the collector's own operator.
func (c *Config) Complete(own string) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("sector: "+format, args...)) }
	if !c.On() {
		if c.AtLeast != 0 {
			wrong("at_least without operators: name those that may be compared")
		}
		return errors.Join(errs...)
	}
	if c.AtLeast == 0 {
		c.AtLeast = AtLeast
	}
	switch n := len(c.Operators); {
	case c.AtLeast < Fewest:
		wrong("at_least is %d or more, not %d: what one operator has is not shown", Fewest, c.AtLeast)
	case n > Most:
		wrong("%d operators are more than %d", n, Most)
	case n < c.AtLeast:
		wrong("%d operators can never be the %d that at_least asks for", n, c.AtLeast)
	}
	had := map[string]bool{}
	for _, o := range c.Operators {
		if err := batch.CheckName("an operator", o.Name); err != nil {
			wrong("operators: %w", err)
		}
		if o.Name == own {
			wrong("operators: %s is this collector's own operator; the CERT needs a name of its own", o.Name)
		}
		if err := o.check(); err != nil {
			wrong("operators: %s: %w", o.Name, err)
		}
		if had[o.Name] {
			wrong("operators: %s comes twice", o.Name)
		}
		had[o.Name] = true
	}
	return errors.Join(errs...)
}

// check says what is wrong with how an operator is reached.
func (m *Member) check() error {
	if m.URL == "" {
		if m.Account+m.PasswordFile+m.CAFile != "" {
			return errors.New("account, password_file and ca_file go with a url")
		}
		return nil
	}
	switch {
	case m.Data != "":
		return errors.New("it is reached by its url or by its data folder, not both")
	case m.Account == "" || m.PasswordFile == "":
		return errors.New("a url needs the account that the CERT has there, and a password_file")
	}
	return outward.Safe(m.URL, "anybody on the way could read the password")
}
