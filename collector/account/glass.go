package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/roje-ot/roje/collector/store"
)

// BreakGlass is what acts upon sealed accounts are called.
const BreakGlass = "break-glass"

// GlassTime is how long an account whose seal was broken may be used, from its first sign-in.
const GlassTime = time.Hour

// reasonLeast is how many characters a reason has at least.
const reasonLeast = 10

// A Glass is a sealed account: its password lies in an envelope for the night when nobody else can sign in. It opens once,
// with a reason, for GlassTime, is shown to everybody, and must be sealed anew, with another password.
type Glass struct {
	Sealed time.Time `json:"sealed"`
	Opened time.Time `json:"opened,omitzero"` // zero while the seal is whole
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason,omitempty"`
	From   string    `json:"from,omitempty"` // address of who opened it
}

// Over says whether an account that was opened may be used no more.
func (g *Glass) Over(now time.Time) bool { return !g.Opened.IsZero() && !now.Before(g.Until) }

// GlassOf is a user's seal, nil where the account is not sealed.
func GlassOf(u *store.User) (*Glass, error) {
	p, err := proofOf(u)
	return p.Glass, err
}

// ErrReason says that a reason is no reason.
var ErrReason = fmt.Errorf("a reason has at least %d characters", reasonLeast)

// ErrSpent says that a sealed account was used, and must be sealed anew.
var ErrSpent = errors.New("the seal of this account was broken before: an administrator must seal it anew")

// Seal makes a sealed account or seals one anew, and returns its password, which belongs in an envelope and nowhere else.
// It has the rights of an administrator.
func Seal(ctx context.Context, users store.Users, scope store.Scope, name, who string, at time.Time) (password string, err error) {
	if !userName.MatchString(name) {
		return "", ErrName
	}
	u, err := users.GetUser(ctx, scope, name)
	switch {
	case err == nil:
		if g, err := GlassOf(&u); err != nil || g == nil {
			return "", errors.Join(err, fmt.Errorf("user %s is no sealed account: %w", name, store.ErrExists))
		}
	case errors.Is(err, store.ErrNotFound):
		u = store.User{Name: name, Created: at}
	default:
		return "", err
	}
	password = OneTime()
	u.Role, u.Hash, u.MustChange, u.Disabled = store.Admin, Hash(password), false, true // until the seal is on
	if err := users.PutUser(ctx, scope, u, who, at); err != nil {
		return "", err
	}
	err = change(ctx, users, scope, &u, func(p *proof) (store.Act, error) {
		*p = proof{Glass: &Glass{Sealed: at}}
		return store.Act{At: at, Who: who, What: BreakGlass, Object: name, Detail: "sealed"}, nil
	})
	if err != nil {
		return "", err
	}
	u.Disabled = false
	return password, users.PutUser(ctx, scope, u, who, at)
}

// Break opens a sealed account, whose password was right, with a reason. Of two who do it at the same time, one does.
func (d *Desk) Break(ctx context.Context, u *store.User, reason, from string) error {
	reason = strings.Join(strings.Fields(reason), " ")
	if utf8.RuneCountInString(reason) < reasonLeast {
		return ErrReason
	}
	if cut := []rune(reason); len(cut) > 500 {
		reason = string(cut[:500])
	}
	now := d.now()
	return d.change(ctx, u, func(p *proof) (act store.Act, err error) {
		if p.Glass == nil || !p.Glass.Opened.IsZero() {
			return act, ErrSpent
		}
		p.Glass = &Glass{Sealed: p.Glass.Sealed, Opened: now, Until: now.Add(GlassTime), Reason: reason, From: from}
		return store.Act{At: now, Who: u.Name, What: BreakGlass, Object: u.Name,
			Detail: fmt.Sprintf("critical: opened from %s until %s: %s", from, p.Glass.Until.UTC().Format(time.RFC3339), reason)}, nil
	})
}

// An Opened is a sealed account whose seal is broken.
type Opened struct {
	Name string
	Glass
}

// OpenGlass lists the sealed accounts whose seal is broken. They stay on the list until they are sealed anew or disabled.
func OpenGlass(ctx context.Context, users store.Users, scope store.Scope) (all []Opened, err error) {
	list, err := users.ListUsers(ctx, scope)
	for i := range list {
		g, e := GlassOf(&list[i])
		if e != nil {
			err = errors.Join(err, e)
		} else if g != nil && !g.Opened.IsZero() && !list[i].Disabled {
			all = append(all, Opened{list[i].Name, *g})
		}
	}
	return all, err
}
