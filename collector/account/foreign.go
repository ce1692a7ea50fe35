package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// ErrTaken says that a name is another's already.
var ErrTaken = errors.New("the name is that of another account here")

// Welcome returns the user for whom an identity provider vouches, with the role that our settings give, making or changing
// the account where that is needed. It has no password, and is known by its subject, whatever it is called. A name that
// is another account's already is ErrTaken: nobody takes an account over by choosing its name at the provider. ErrWrong:
// an administrator disabled the account.
func Welcome(ctx context.Context, users store.Users, scope store.Scope, subject, name string, role store.Role, at time.Time) (u store.User, err error) {
	if err := CheckRole(role); err != nil {
		return u, err
	}
	all, err := users.ListUsers(ctx, scope)
	if err != nil {
		return u, err
	}
	if i := slices.IndexFunc(all, func(u store.User) bool { return u.Subject == subject }); i >= 0 {
		u = all[i]
	} else {
		if !userName.MatchString(name) {
			return u, ErrName
		}
		switch _, err := users.GetUser(ctx, scope, name); {
		case err == nil:
			return u, fmt.Errorf("%w: %s", ErrTaken, name)
		case !errors.Is(err, store.ErrNotFound):
			return u, err
		}
		u = store.User{Name: name, Subject: subject, Created: at}
	}
	if u.Disabled {
		return store.User{}, ErrWrong
	}
	if u.Role == role {
		return u, nil
	}
	u.Role = role
	return u, users.PutUser(ctx, scope, u, "identity provider", at)
}

// ErrNotLocal says that an account has no password that can be set.
var ErrNotLocal = errors.New("the password of this account is not set by hand: it is sealed, or an identity provider vouches for it")

// PasswordSet is nil for an account whose password can be set.
func PasswordSet(u *store.User) error {
	if glass, err := GlassOf(u); err != nil || glass != nil || u.Subject != "" {
		return errors.Join(ErrNotLocal, err)
	}
	return nil
}
