package book

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

var _ store.Letters = Book{}

const (
	letterName    = "letter-"
	letterColumns = `n, at, sender, kind, alert, tlp, text, language, pattern, state, who, answered, answer, masked`
)

func scanLetter(scan scan) (l store.Letter, err error) {
	var n, at int64
	var answered sql.NullInt64
	err = scan(&n, &at, &l.From, &l.Kind, &l.Alert, &l.TLP, &l.Text, &l.Language, &l.Pattern, &l.State, &l.Who, &answered, &l.Answer, &l.Masked)
	l.ID, l.At, l.Answered = letterName+strconv.FormatInt(n, 10), FromNanos(at), fromNull(answered)
	return l, err
}

// SendLetter implements store.Letters.
func (b Book) SendLetter(ctx context.Context, s store.Scope, l store.Letter) (store.Letter, error) {
	err := s.Check()
	if l.Text, l.Pattern = strings.TrimSpace(l.Text), strings.TrimSpace(l.Pattern); err == nil {
		err = l.Check()
	}
	if err != nil {
		return l, err
	}
	err = b.change(ctx, s, func(t work) error {
		if err := t.exists(s, store.ItemAlert, l.Alert); err != nil {
			return err
		}
		n, err := t.Count(s.Operator(), "letter", 0) // one letter at a time from here on
		if err != nil {
			return err
		}
		var unread int
		if err := t.row(`SELECT count(*) FROM letters WHERE operator = ? AND state = ? AND sender = ?`, []any{s.Operator(), string(store.LetterWaiting), l.From}, &unread); err != nil {
			return err
		}
		if unread >= store.MaxLettersUnread {
			return fmt.Errorf("%w: %d wait for the operator already", store.ErrLetter, unread)
		}
		l.ID, l.State, l.At = letterName+strconv.FormatInt(n, 10), store.LetterWaiting, FromNanos(Nanos(l.At))
		if _, err := t.Exec(`INSERT INTO letters (operator, n, at, sender, kind, alert, tlp, text, language, pattern, state, who, answer, masked) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', FALSE)`,
			s.Operator(), n, Nanos(l.At), l.From, string(l.Kind), l.Alert, string(l.TLP), l.Text, l.Language, l.Pattern, string(l.State)); err != nil {
			return err
		}
		return t.act(s, l.At, l.From, "letter", l.Alert, l.ID+": "+string(l.Kind)+", tlp "+string(l.TLP))
	})
	if err != nil {
		return l, fmt.Errorf("alert %.80q: %w", l.Alert, err)
	}
	return l, nil
}

// GetLetter implements store.Letters.
func (b Book) GetLetter(ctx context.Context, s store.Scope, id string) (store.Letter, error) {
	if err := s.Check(); err != nil {
		return store.Letter{}, err
	}
	return letter(ctx, b.Reader(s), s, id)
}

func letter(ctx context.Context, r Reader, s store.Scope, id string) (l store.Letter, err error) {
	n, err := number(letterName, id)
	if err != nil {
		err = store.ErrNotFound
	} else {
		l, err = One(ctx, r, `SELECT `+letterColumns+` FROM letters WHERE operator = ? AND n = ?`, []any{s.Operator(), n}, scanLetter)
	}
	if err != nil {
		return l, fmt.Errorf("letter %.80q: %w", id, err)
	}
	return l, nil
}

// ListLetters implements store.Letters.
func (b Book) ListLetters(ctx context.Context, s store.Scope, f store.LetterFilter, cursor string, limit int) ([]store.Letter, string, error) {
	w, err := scopedWhere(s)
	if err == nil {
		err = checkLimit(limit)
	}
	if err != nil {
		return nil, "", err
	}
	for _, c := range []struct{ column, value string }{{"sender", f.From}, {"alert", f.Alert}, {"state", string(f.State)}} {
		if c.value != "" {
			w.and(c.column+" = ?", c.value)
		}
	}
	if cursor != "" {
		at, err := ParseCursor("l", cursor, 1)
		if err != nil {
			return nil, "", err
		}
		w.and("n < ?", at[0])
	}
	all, err := List(ctx, b.Reader(s), `SELECT `+letterColumns+` FROM letters `+w.String()+` ORDER BY n DESC LIMIT ?`, w.with(limit+1), scanLetter)
	if err != nil || len(all) <= limit {
		return all, "", err
	}
	all = all[:limit]
	n, err := number(letterName, all[limit-1].ID)
	return all, MakeCursor("l", n), err
}

// AnswerLetter implements store.Letters.
func (b Book) AnswerLetter(ctx context.Context, s store.Scope, id string, a store.LetterAnswer, who string, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	return b.change(ctx, s, func(t work) error {
		l, err := letter(ctx, t, s, id)
		if err == nil {
			err = a.Check(&l)
		}
		if err != nil {
			return err
		}
		n, _ := number(letterName, id)
		masked := a.Masked && a.State == store.LetterReleased
		done, err := t.Exec(`UPDATE letters SET state = ?, who = ?, answered = ?, answer = ?, masked = ? WHERE operator = ? AND n = ? AND state = ?`,
			string(a.State), who, Nanos(at), strings.TrimSpace(a.Text), masked, s.Operator(), n, string(store.LetterWaiting))
		if err == nil && done == 0 {
			err = fmt.Errorf("letter %.80q: %w", id, store.ErrChanged)
		}
		if err != nil {
			return err
		}
		detail := id + ": " + string(a.State)
		if a.State == store.LetterReleased {
			detail += map[bool]string{true: ", under pseudonyms", false: ", as it is"}[masked]
		}
		return t.act(s, at, who, "letter-answer", l.Alert, detail)
	})
}

// FetchedLetter implements store.Letters.
func (b Book) FetchedLetter(ctx context.Context, s store.Scope, id, who string, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	return b.change(ctx, s, func(t work) error {
		l, err := letter(ctx, t, s, id)
		if err != nil {
			return err
		}
		return t.act(s, at, who, "letter-fetch", l.Alert, id)
	})
}
