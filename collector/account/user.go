package account

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/strict"
)

// What can be wrong with a new user.
var (
	ErrName = errors.New("a user's name has 1 to 64 letters, digits and . _ - @, and begins with a letter or a digit")
	ErrRole = errors.New("a role is one of " + Roles())
)

var userName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,63}$`)

// Add makes a user with a one-time password, which it returns and nobody can read again. A cert account is a program's,
// which cannot change a password: its password stays.
func Add(ctx context.Context, users store.Users, scope store.Scope, name string, role store.Role, who string, at time.Time) (password string, err error) {
	if !userName.MatchString(name) {
		return "", ErrName
	}
	if !slices.Contains(Everyone, role) {
		return "", ErrRole
	}
	switch _, err := users.GetUser(ctx, scope, name); {
	case err == nil:
		return "", fmt.Errorf("user %s: %w", name, store.ErrExists)
	case !errors.Is(err, store.ErrNotFound):
		return "", err
	}
	u := store.User{Name: name, Role: role, Created: at}
	password = Reset(&u)
	return password, users.PutUser(ctx, scope, u, who, at)
}

// Roles are the names of all roles, for messages.
func Roles() string { return strings.Join(names(Everyone), ", ") }

// CheckRole is nil for a role of people.
func CheckRole(role store.Role) error {
	if slices.Contains(People, role) {
		return nil
	}
	return strict.Unknown("role of people", string(role), names(People))
}

func names(roles []store.Role) []string {
	out := make([]string, len(roles))
	for i, role := range roles {
		out[i] = string(role)
	}
	return out
}

// ErrCeiling says that an account has no ceiling.
var ErrCeiling = errors.New("only a cert account has a ceiling, or compares")

// SetCeiling sets the strictest level that a cert account is shown, "" for any; the caller stores u.
func SetCeiling(u *store.User, level string) error {
	if !slices.Contains(CERTs, u.Role) {
		return ErrCeiling
	}
	if level == "" {
		u.Ceiling = ""
		return nil
	}
	tlp, err := store.ParseTLP(level)
	if err == nil {
		u.Ceiling = tlp
	}
	return err
}

// ErrCompare says what a consent is.
var ErrCompare = errors.New(`a CERT compares "released", "acts" or, with no CERT named, nothing`)

// SetCompare sets what the CERT whose account u is may compare with what it sees at other operators; an empty what is
// nothing, and forgets the CERT. The caller stores u.
func SetCompare(u *store.User, cert string, what store.Compare) error {
	switch {
	case !slices.Contains(CERTs, u.Role):
		return ErrCeiling
	case what == "":
		cert = ""
	case what != store.CompareReleased && what != store.CompareActs:
		return ErrCompare
	default:
		if err := batch.CheckName("a CERT", cert); err != nil {
			return err
		}
	}
	u.CERT, u.Compare = cert, what
	return nil
}

// Home is where a role's pages begin.
func Home(role store.Role) string {
	switch role {
	case store.Auditor:
		return "/audit"
	case store.Platform:
		return "/sensors"
	case store.CERTAnalyst:
		return "/cert"
	}
	return "/"
}

// Reset gives u a new one-time password and returns it; the caller stores u.
func Reset(u *store.User) (password string) {
	password = OneTime()
	u.Hash, u.MustChange = Hash(password), u.Role != store.CERT
	return password
}
