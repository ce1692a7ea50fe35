package book

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

const joinColumns = `token, key, words, name, remote, asked, state, who, at`

func scanJoin(scan scan) (j store.Join, err error) {
	var asked int64
	var at sql.NullInt64
	err = scan(&j.Token, &j.Key, &j.Words, &j.Name, &j.Remote, &asked, &j.State, &j.Who, &at)
	j.Asked, j.At = FromNanos(asked), fromNull(at)
	return j, err
}

// join finds who asked by a token.
func (t work) join(s store.Scope, token string) (store.Join, error) {
	return One(context.Background(), t, `SELECT `+joinColumns+` FROM joins WHERE operator = ? AND token = ?`, []any{s.Operator(), token}, scanJoin)
}

// AskJoin implements store.Fleet.
func (b Book) AskJoin(ctx context.Context, s store.Scope, secret [32]byte, j store.Join) (got store.Join, err error) {
	if err := s.Check(); err != nil {
		return got, err
	}
	err = b.change(ctx, s, func(t work) error {
		k, err := One(ctx, t, `SELECT `+tokenColumns+` FROM tokens WHERE operator = ? AND id = ?`, []any{s.Operator(), j.Token}, scanToken)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := k.Usable(err == nil, secret, j.Asked); err != nil {
			return err
		}
		got, err = t.join(s, j.Token)
		switch {
		case err == nil && got.Key != j.Key:
			return fmt.Errorf("%w: another key has asked with it; ask for a new one", store.ErrToken)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		got, got.State, got.Who, got.At = j, store.Waiting, "", nil
		_, err = t.Exec(`INSERT INTO joins (operator, token, key, words, name, remote, asked, state, who) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')`,
			s.Operator(), j.Token, j.Key, j.Words, j.Name, j.Remote, Nanos(j.Asked), string(got.State))
		if err != nil {
			return err
		}
		return t.act(s, j.Asked, j.Name, "join", j.Token, "key "+j.Key+" from "+j.Remote)
	})
	return got, err
}

// Joins implements store.Fleet.
func (b Book) Joins(ctx context.Context, s store.Scope) ([]store.Join, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return List(ctx, b.Reader(s), `SELECT `+joinColumns+` FROM joins WHERE operator = ? ORDER BY asked DESC, token LIMIT 1000`, []any{s.Operator()}, scanJoin)
}

// JudgeJoin implements store.Fleet.
func (b Book) JudgeJoin(ctx context.Context, s store.Scope, token string, state store.JoinState, who string, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	if state != store.Approved && state != store.Rejected {
		return fmt.Errorf("a join is approved or rejected, not %q", state)
	}
	return b.change(ctx, s, func(t work) error {
		j, err := t.join(s, token)
		if err == nil && j.State != store.Waiting {
			err = fmt.Errorf("it is %s by %s: %w", j.State, j.Who, store.ErrChanged)
		}
		if err != nil {
			return fmt.Errorf("join by token %.80q: %w", token, err)
		}
		if _, err := t.Exec(`UPDATE joins SET state = ?, who = ?, at = ? WHERE operator = ? AND token = ?`, string(state), who, Nanos(at), s.Operator(), token); err != nil {
			return err
		}
		return t.act(s, at, who, string(state), token, "key "+j.Key)
	})
}

// approver is who answers for an enrolment: the maker of the token or, where a person must approve, who did that for this
// very key. Where nobody did, it is ErrToken.
func (t work) approver(s store.Scope, k *store.Token, key string) (who string, err error) {
	j, err := t.join(s, k.ID)
	switch {
	case errors.Is(err, store.ErrNotFound) && !k.Approve:
		return k.Who, nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return "", err
	case err != nil || j.State == store.Waiting:
		return "", fmt.Errorf("%w: it waits for an administrator to approve it", store.ErrToken)
	case j.State != store.Approved:
		return "", fmt.Errorf("%w: %s rejected it", store.ErrToken, j.Who)
	case j.Key != key:
		return "", fmt.Errorf("%w: it was approved for another key", store.ErrToken)
	}
	return j.Who, nil
}
