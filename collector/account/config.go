package account

import (
	"errors"
	"fmt"
	"slices"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/strict"
)

// Config is how people sign in. The zero value is by password, with a second factor for who wants one.
type Config struct {
	// SecondFactor are the roles that need a second factor: who has none sets it up at the next sign-in.
	SecondFactor []store.Role `yaml:"second_factor"`
}

// Check says all that is wrong.
func (c *Config) Check() error {
	var errs []error
	for _, role := range c.SecondFactor {
		errs = append(errs, checkRole("second_factor", role))
	}
	return errors.Join(errs...)
}

// checkRole is nil for a role of people.
func checkRole(where string, role store.Role) error {
	if slices.Contains(People, role) {
		return nil
	}
	names := make([]string, len(People))
	for i, r := range People {
		names[i] = string(r)
	}
	return fmt.Errorf("%s: %w", where, strict.Unknown("role of people", string(role), names))
}
