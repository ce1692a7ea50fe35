package account

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// SecondFactor is what acts upon a second factor are called.
const SecondFactor = "second-factor"

// recoveryCodes is how many codes a user gets for the day the phone is lost.
const recoveryCodes = 10

// A proof is what store.User.Proof holds, in JSON; "" is the zero proof.
type proof struct {
	Secret   []byte   `json:"totp,omitempty"`     // the key that the user's app has, as earlier versions left it
	Sealed   []byte   `json:"sealed,omitempty"`   // the same under the collector's Cover
	Step     int64    `json:"step,omitempty"`     // the last time step whose code was used: it and those before are refused
	Recovery []string `json:"recovery,omitempty"` // SHA-256 of the codes that are left, in hex; they are random, so no slow hash is needed
	Glass    *Glass   `json:"glass,omitempty"`
}

// proofOf reads a user's proof.
func proofOf(u *store.User) (p proof, err error) {
	if u.Proof == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(u.Proof), &p); err != nil {
		return p, fmt.Errorf("proof of user %s: %w", u.Name, err)
	}
	return p, nil
}

// second says whether there is a second factor.
func (p *proof) second() bool { return len(p.Secret)+len(p.Sealed) > 0 }

// text is what is stored of p.
func (p proof) text() string {
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err) // bytes, numbers, times and texts marshal
	}
	if string(raw) == "{}" {
		return ""
	}
	return string(raw)
}

// HasSecond says whether a user has a second factor. Where that cannot be read, they have one, which no code opens.
func HasSecond(u *store.User) bool {
	p, err := proofOf(u)
	return err != nil || p.second()
}

// RecoveryLeft is how many recovery codes a user has left.
func RecoveryLeft(u *store.User) int {
	p, err := proofOf(u)
	if err != nil {
		return 0
	}
	return len(p.Recovery)
}

// ErrCode is the one answer to a code that is wrong, out of its time or used before.
var ErrCode = errors.New("the code is wrong, or was used before")

// Code holds a user's code to the second factor: one of the app, or a recovery code. A code is good once, with however
// many collectors. Wrong ones are counted for the name, wherever they come from: who may try has the password already.
func (d *Desk) Code(ctx context.Context, u store.User, code string) error {
	key, now := "code of "+strings.ToLower(u.Name), d.now()
	if wait := d.limit.wait(key, now); wait > 0 {
		return Wait(wait)
	}
	err := d.change(ctx, &u, func(p *proof) (act store.Act, err error) {
		plain := plainCode(code)
		if !p.second() {
			return act, ErrCode
		}
		secret, covered := d.Cover.secret(u.Name, p)
		if covered == nil {
			if step := codeStep(secret, plain, now, p.Step); step > 0 {
				p.Step = step
				return act, nil
			}
		}
		i := slices.Index(p.Recovery, codeHash(plain)) // good without the key
		if i < 0 {
			return act, cmp.Or(covered, ErrCode)
		}
		p.Recovery = slices.Delete(slices.Clone(p.Recovery), i, i+1)
		return store.Act{At: now, Who: u.Name, What: SecondFactor, Object: u.Name, Detail: fmt.Sprintf("a recovery code was used, %d are left", len(p.Recovery))}, nil
	})
	switch {
	case errors.Is(err, ErrCode):
		d.limit.failed(key, freeForName, now)
	case err == nil:
		d.limit.passed(key)
	}
	return err
}

// AddSecond gives a user a second factor, whose code shows that the app has the key, and returns recovery codes that
// nobody can read again.
func (d *Desk) AddSecond(ctx context.Context, u *store.User, secret []byte, code string) (recovery []string, err error) {
	now := d.now()
	step := codeStep(secret, plainCode(code), now, 0)
	if step == 0 || len(secret) != secretLen {
		return nil, ErrCode
	}
	hashes := make([]string, recoveryCodes)
	for i := range hashes {
		text := OneTime()
		recovery, hashes[i] = append(recovery, text), codeHash(plainCode(text))
	}
	return recovery, d.change(ctx, u, func(p *proof) (store.Act, error) {
		d.Cover.put(u.Name, p, secret)
		p.Step, p.Recovery = step, hashes
		return store.Act{At: now, Who: u.Name, What: SecondFactor, Object: u.Name, Detail: "set up"}, nil
	})
}

// RemoveSecond takes a user's second factor away; who did it is on record. Sessions of the user end.
func RemoveSecond(ctx context.Context, users store.Users, scope store.Scope, u *store.User, who string, at time.Time) error {
	return change(ctx, users, scope, u, func(p *proof) (store.Act, error) {
		p.Secret, p.Sealed, p.Step, p.Recovery = nil, nil, 0, nil
		return store.Act{At: at, Who: who, What: SecondFactor, Object: u.Name, Detail: "removed"}, nil
	})
}

func (d *Desk) change(ctx context.Context, u *store.User, do func(*proof) (store.Act, error)) error {
	return change(ctx, d.users, d.scope, u, do)
}

// change changes a user's proof and u with it. Where another does so at the same time, do runs again upon what that left.
func change(ctx context.Context, users store.Users, scope store.Scope, u *store.User, do func(*proof) (store.Act, error)) error {
	for {
		p, err := proofOf(u)
		if err != nil {
			return err
		}
		act, err := do(&p)
		if err != nil {
			return err
		}
		is := p.text()
		err = users.SwapProof(ctx, scope, u.Name, u.Proof, is, act)
		if err == nil {
			u.Proof = is
		}
		if !errors.Is(err, store.ErrChanged) {
			return err
		}
		if *u, err = users.GetUser(ctx, scope, u.Name); err != nil {
			return err
		}
	}
}

// plainCode is a code without what people put in to read it.
func plainCode(code string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(code))
}

func codeHash(plain string) string {
	sum := sha256.Sum256([]byte(plain))
	return hex.EncodeToString(sum[:])
}
