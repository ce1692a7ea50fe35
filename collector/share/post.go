package share

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// A Post is where the analysts of CERTs and an operator write to each other about what was released. It holds both to what
// the recipient may see: nobody writes about an alert, or gets its frames, that is not released to them now.
type Post struct {
	Store interface {
		Releases
		store.Letters
		store.Evidences
	}
	Scope store.Scope
}

// EachSeen calls do for the latest version of every alert that was released, as it leaves for a recipient: all of them, or those
// released after a time. id is that of the alert.
func EachSeen(ctx context.Context, from Releases, s store.Scope, to Recipient, after time.Time, do func(as store.Released, id string) error) error {
	return each(ctx, from, s, to, store.ReleaseFilter{AddedAfter: after}, func(l *leaving) error { return do(l.Released, l.id) })
}

// errFound ends a search.
var errFound = errors.New("found")

// Find is the released alert that a recipient knows by the id shown, and the id that the operator knows it by.
// store.ErrNotFound: it is not released, or above the recipient's ceiling.
func (p Post) Find(ctx context.Context, to Recipient, shown string) (as store.Released, id string, err error) {
	return p.find(ctx, to, store.ReleaseFilter{}, func(as *store.Released, _ string) bool { return as.Alert.ID == shown })
}

// standing is the release of an alert as a recipient sees it now.
func (p Post) standing(ctx context.Context, to Recipient, id string) (store.Released, error) {
	as, _, err := p.find(ctx, to, store.ReleaseFilter{Alert: id}, func(*store.Released, string) bool { return true })
	return as, err
}

func (p Post) find(ctx context.Context, to Recipient, f store.ReleaseFilter, is func(*store.Released, string) bool) (as store.Released, id string, err error) {
	err = each(ctx, p.Store, p.Scope, to, f, func(l *leaving) error {
		if !l.Revoked && is(&l.Released, l.id) {
			as, id = l.Released, l.id
			return errFound
		}
		return nil
	})
	switch {
	case errors.Is(err, errFound):
		return as, id, nil
	case err == nil:
		err = fmt.Errorf("released alert: %w", store.ErrNotFound)
	}
	return as, "", err
}

// Send sends a letter about the alert that the recipient knows by the id shown.
func (p Post) Send(ctx context.Context, to Recipient, shown string, l store.Letter) error {
	_, id, err := p.Find(ctx, to, shown)
	if err != nil {
		return err
	}
	l.From, l.Alert = to.Name, id
	_, err = p.Store.SendLetter(ctx, p.Scope, l)
	return err
}

// Letters are the latest of what a recipient has sent, each about the alert by the id that the recipient knows it by, ""
// where it is released no more.
func (p Post) Letters(ctx context.Context, to Recipient, limit int) ([]store.Letter, error) {
	letters, _, err := p.Store.ListLetters(ctx, p.Scope, store.LetterFilter{From: to.Name}, "", limit)
	for i := range letters {
		if err != nil {
			break
		}
		var as store.Released
		if as, err = p.standing(ctx, to, letters[i].Alert); errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		letters[i].Alert = as.Alert.ID
	}
	return letters, err
}

// What stands in the way of giving evidence to a CERT.
var (
	ErrNoFrames    = errors.New("the evidence is not here: have the sensor asked for it first")
	ErrNotReleased = errors.New("the alert is not released now, so neither is its evidence")
	ErrOnlyMasked  = errors.New("the alert is released under pseudonyms: so must be its evidence")
)

// Answer answers a letter. What is released is made once on the way, so that the operator hears it if it cannot be.
func (p Post) Answer(ctx context.Context, id string, a store.LetterAnswer, who string, at time.Time) error {
	l, err := p.Store.GetLetter(ctx, p.Scope, id)
	if err != nil {
		return err
	}
	if a.State == store.LetterReleased {
		versions, _, err := p.Store.ListReleased(ctx, p.Scope, store.ReleaseFilter{Alert: l.Alert}, "", 1)
		switch {
		case err != nil:
			return err
		case len(versions) == 0 || versions[0].Revoked:
			return ErrNotReleased
		case versions[0].Masked && !a.Masked:
			return ErrOnlyMasked
		}
		if _, err := p.frames(ctx, l.From, &l, a.Masked); err != nil {
			return err
		}
	}
	return p.Store.AnswerLetter(ctx, p.Scope, id, a, who, at)
}

// frames is the evidence of a letter's alert as the recipient gets it.
func (p Post) frames(ctx context.Context, recipient string, l *store.Letter, masked bool) ([]byte, error) {
	file, err := p.Store.ReadEvidence(ctx, p.Scope, l.Alert)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNoFrames
	}
	if err != nil || !masked {
		return file, err
	}
	mask, err := NewMask(ctx, p.Store, p.Scope, recipient)
	if err != nil {
		return nil, err
	}
	return mask.Capture(file)
}

// Evidence is what a recipient gets for a letter that asked for evidence, which is recorded. store.ErrNotFound: it was not
// given, or the alert is not released to the recipient any more.
func (p Post) Evidence(ctx context.Context, to Recipient, id string, at time.Time) ([]byte, error) {
	l, err := p.Store.GetLetter(ctx, p.Scope, id)
	if err != nil {
		return nil, err
	}
	if l.From != to.Name || l.State != store.LetterReleased {
		return nil, fmt.Errorf("evidence of %s: %w", id, store.ErrNotFound)
	}
	as, err := p.standing(ctx, to, l.Alert)
	if err != nil {
		return nil, err
	}
	if versions, _, err := p.Store.ListReleased(ctx, p.Scope, store.ReleaseFilter{Alert: l.Alert}, "", 1); err != nil || slices.ContainsFunc(versions, func(r store.Released) bool { return r.Masked && !l.Masked }) {
		return nil, errors.Join(err, fmt.Errorf("evidence of %s, which leaves under pseudonyms since: %w", as.Alert.ID, store.ErrNotFound))
	}
	file, err := p.frames(ctx, to.Name, &l, l.Masked)
	if errors.Is(err, ErrNoFrames) {
		err = fmt.Errorf("evidence of %s: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return file, p.Store.FetchedLetter(ctx, p.Scope, id, to.Name, at)
}
