package fleet

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/site"
)

// Add keeps a pack that was signed by the owner of a key, so that it can be assigned. The key is not kept, and sensors do
// not believe the collector: this finds a mistake before all of them refuse it.
func Add(ctx context.Context, st store.Packs, s store.Scope, packed []byte, key ed25519.PublicKey, who string, now time.Time) (store.Pack, error) {
	p, err := site.Open(packed)
	if err == nil {
		err = p.Verify(key)
	}
	if err != nil {
		return store.Pack{}, err
	}
	if err := p.For(s.Operator(), p.Sensors, now); err != nil {
		return store.Pack{}, fmt.Errorf("pack %s %d: %w", p.Name, p.Version, err)
	}
	kept := store.Pack{SHA256: p.Hash.String(), Kind: p.Kind.String(), Name: p.Name, Version: p.Version, Size: len(packed), Key: p.Key, Created: p.Created, Sensors: p.Sensors, Who: who, At: now}
	if !p.Expires.IsZero() {
		until := p.Expires
		kept.Expires = &until
	}
	return kept, st.PutPack(ctx, s, kept, packed)
}

// Find returns the pack of a kind, a name and a version; version 0 is the newest.
func Find(ctx context.Context, st store.Packs, s store.Scope, kind, name string, version uint64) (store.Pack, error) {
	packs, err := st.ListPacks(ctx, s) // the newest first
	if err != nil {
		return store.Pack{}, err
	}
	for _, p := range packs {
		if p.Kind == kind && p.Name == name && (version == 0 || p.Version == version) {
			return p, nil
		}
	}
	return store.Pack{}, fmt.Errorf("%s pack %s %d: %w; see 'roje-collector packs list'", kind, name, version, store.ErrNotFound)
}
