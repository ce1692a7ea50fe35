package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// How often the store is asked for acts, and the log signed.
const (
	askEvery  = 2 * time.Second
	signEvery = time.Minute
	mostActs  = 500 // that are read at a time
)

// A Keeper brings the acts of one operator into the log and signs it. Make it with every field.
type Keeper struct {
	Log     *Log
	Acts    store.Chronicle
	Scope   store.Scope
	Now     func() time.Time
	Logger  *slog.Logger
	Refused *Refused // refusals that wait to be counted; may be nil
}

// Run keeps the log until ctx ends, and then once more, so that what was done last is in it and signed. What cannot be
// written now is written later: nothing is forgotten, as the log itself says how far it is.
func (k *Keeper) Run(ctx context.Context) {
	ask, sign := time.NewTicker(askEvery), time.NewTicker(signEvery)
	defer ask.Stop()
	defer sign.Stop()
	k.follow(ctx)
	k.sign()
	for {
		select {
		case <-ask.C:
			k.follow(ctx)
		case <-sign.C:
			k.sign()
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			k.follow(last)
			k.sign()
			return
		}
	}
}

// follow takes what is new.
func (k *Keeper) follow(ctx context.Context) {
	if k.Refused != nil {
		k.Refused.settle()
	}
	if err := k.Follow(ctx); err != nil && ctx.Err() == nil {
		k.Logger.Error("acts are not in the audit log yet", "err", err)
	}
}

// Follow brings the acts into the log that it does not have, whichever collector they were done at, and the log into the
// copy.
func (k *Keeper) Follow(ctx context.Context) error {
	if err := k.Log.CatchUp(ctx); errors.Is(err, ErrContradicted) {
		k.Logger.Error("the audit log is contradicted", "err", err)
		if err := k.Log.Append(contradiction(k.Scope, err, k.Now())); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	for {
		_, last := k.Log.Size()
		acts, err := k.Acts.ActsAfter(ctx, k.Scope, last, mostActs)
		if err != nil || len(acts) == 0 {
			return err
		}
		entries := make([]Entry, len(acts))
		for i, a := range acts {
			entries[i] = Of(k.Scope, a)
		}
		if err := k.Log.Append(entries...); err != nil {
			return err
		}
		if err := k.Log.CatchUp(ctx); err != nil {
			return err
		}
	}
}

// Of is the entry of an act, but for its place.
func Of(s store.Scope, a store.NumberedAct) Entry {
	return Entry{At: a.At, Operator: s.Operator(), Who: a.Who, What: a.What, Object: a.Object, Detail: a.Detail, Act: a.N}
}

// sign signs, and tells the root to whoever keeps the collector's own log: it is a checkpoint handed out.
func (k *Keeper) sign() {
	c, grown, err := k.Log.Sign(k.Now())
	switch {
	case err != nil:
		k.Logger.Error("the audit log is not signed", "err", err)
	case grown:
		k.Logger.Info("audit checkpoint", "entries", c.Size, "root", c.Root.String(), "origin", c.Origin)
	}
}

// Compare holds the acts of the store to the entries of the log, both in order: call Entry for each entry. What differs is
// in Problems; acts that are newer than the log are none of them.
type Compare struct {
	Ctx      context.Context
	Acts     store.Chronicle
	Leaves   store.Audit // whose entries must be those of the copy; nil: they are not compared
	Scope    store.Scope
	Problems []string

	page   []store.NumberedAct
	leaves [][]byte
	last   int64 // number of the last act that was compared
}

// Entry compares the next entry; those that are no acts of the operator are none of the store's.
func (c *Compare) Entry(e Entry) error {
	if c.Leaves != nil {
		if err := c.leaf(e); err != nil {
			return err
		}
	}
	if e.Act == 0 || e.Operator != c.Scope.Operator() {
		return nil
	}
	if len(c.page) == 0 {
		var err error
		if c.page, err = c.Acts.ActsAfter(c.Ctx, c.Scope, c.last, mostActs); err != nil {
			return err
		}
	}
	c.last = e.Act
	if len(c.page) == 0 || c.page[0].N > e.Act {
		c.bad("act %d (%s by %s, %s) is in the log and not in the store", e.Act, e.What, e.Who, e.At.Format(time.RFC3339))
		return nil
	}
	for len(c.page) > 0 && c.page[0].N < e.Act {
		a := c.page[0]
		c.page = c.page[1:]
		c.bad("act %d (%s by %s) is in the store and not in the log", a.N, a.What, a.Who)
	}
	if len(c.page) == 0 {
		return nil
	}
	was := Of(c.Scope, c.page[0])
	c.page = c.page[1:]
	was.N, was.At = e.N, was.At.UTC()
	was.Operator, was.Who, was.What, was.Object, was.Detail = cut(was.Operator), cut(was.Who), cut(was.What), cut(was.Object), cut(was.Detail)
	if !was.At.Equal(e.At) || was.Who != e.Who || was.What != e.What || was.Object != e.Object || was.Detail != e.Detail || was.Act != e.Act {
		c.bad("act %d is %s of %s by %s in the log, and %s of %s by %s in the store", e.Act, e.What, e.Object, e.Who, was.What, was.Object, was.Who)
	}
	return nil
}

// leaf compares an entry of the copy with the store's.
func (c *Compare) leaf(e Entry) (err error) {
	if len(c.leaves) == 0 {
		if c.leaves, err = c.Leaves.Leaves(c.Ctx, c.Scope, e.N, mostActs); err != nil {
			return err
		}
	}
	var there Entry
	if len(c.leaves) == 0 || json.Unmarshal(c.leaves[0], &there) != nil || there != e {
		c.bad("entry %d of the copy is not in the store", e.N)
	}
	c.leaves = c.leaves[min(1, len(c.leaves)):]
	return nil
}

func (c *Compare) bad(format string, args ...any) {
	if len(c.Problems) < 100 {
		c.Problems = append(c.Problems, fmt.Sprintf(format, args...))
	}
}
