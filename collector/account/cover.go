package account

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"

	"github.com/roje-ot/roje/collector/store"
)

// A Cover seals the keys of second factors, so that a stolen store gives nobody's codes: AES-256-GCM under a key that is not
// in the store, each bound to its operator and user, so that none serves another's row.
type Cover struct {
	aead     cipher.AEAD
	operator string
}

// CoverName is what the key of a Cover is derived for.
const CoverName = "keys of second factors"

// NewCover seals with a key what is of an operator.
func NewCover(key [32]byte, scope store.Scope) *Cover {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // it is AES
	}
	return &Cover{aead, scope.Operator()}
}

// ErrCover says that what was sealed was sealed with another key.
var ErrCover = errors.New("the key of the second factor was sealed by a collector with another pki folder: restore that, or take the second factor away and set it up anew")

func (c *Cover) of(name string) []byte { return []byte(c.operator + "\x00" + name) }

// Seal seals a secret of a user.
func (c *Cover) Seal(name string, secret []byte) []byte {
	return c.aead.Seal(nil, nil, secret, c.of(name))
}

// Open opens what Seal sealed for the user, or returns ErrCover.
func (c *Cover) Open(name string, sealed []byte) ([]byte, error) {
	secret, err := c.aead.Open(nil, nil, sealed, c.of(name))
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, ErrCover)
	}
	return secret, nil
}

// secret is the key of a user's second factor; nil where there is none.
func (c *Cover) secret(name string, p *proof) ([]byte, error) {
	if len(p.Sealed) == 0 {
		return p.Secret, nil
	}
	return c.Open(name, p.Sealed)
}

// put puts the key of a second factor into a proof.
func (c *Cover) put(name string, p *proof, secret []byte) {
	p.Secret, p.Sealed = nil, c.Seal(name, secret)
}

// SealAll seals what earlier versions left in the open, and says of how many users it was. Their sessions end.
func (c *Cover) SealAll(ctx context.Context, users store.Users, scope store.Scope) (n int, err error) {
	all, err := users.ListUsers(ctx, scope)
	for i := range all {
		u := &all[i]
		if p, e := proofOf(u); err != nil || e != nil || len(p.Secret) == 0 {
			continue // what cannot be read opens nothing
		}
		err = change(ctx, users, scope, u, func(p *proof) (store.Act, error) {
			if len(p.Secret) > 0 {
				c.put(u.Name, p, p.Secret)
			}
			return store.Act{}, nil
		})
		n++
	}
	return n, err
}
