package book

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

var _ store.Cases = Book{}

const (
	caseName    = "case-"
	caseColumns = `n, title, state, verdict, owner, opened, opened_by, updated`
)

func caseID(n int64) string { return caseName + strconv.FormatInt(n, 10) }

func scanCase(scan scan) (c store.Case, err error) {
	var n, opened, updated int64
	err = scan(&n, &c.Title, &c.State, &c.Verdict, &c.Owner, &opened, &c.OpenedBy, &updated)
	c.ID, c.Opened, c.Updated = caseID(n), FromNanos(opened), FromNanos(updated)
	return c, err
}

// OpenCase implements store.Cases.
func (b Book) OpenCase(ctx context.Context, s store.Scope, title, who string, at time.Time) (store.Case, error) {
	title = strings.TrimSpace(title)
	err := s.Check()
	if err == nil {
		err = store.CaseChange{Title: &title}.Check()
	}
	if err != nil {
		return store.Case{}, err
	}
	var c store.Case
	err = b.change(ctx, s, func(t work) error {
		n, err := t.Count(s.Operator(), "case", 0)
		if err != nil {
			return err
		}
		c = store.Case{ID: caseID(n), Title: title, State: store.CaseOpen, Opened: FromNanos(Nanos(at)), OpenedBy: who, Updated: FromNanos(Nanos(at))}
		if _, err := t.Exec(`INSERT INTO cases (operator, n, title, state, verdict, owner, opened, opened_by, updated) VALUES (?, ?, ?, ?, '', '', ?, ?, ?)`,
			s.Operator(), n, title, string(c.State), Nanos(at), who, Nanos(at)); err != nil {
			return err
		}
		return t.act(s, at, who, "case", c.ID, "open: "+title)
	})
	return c, err
}

// ListCases implements store.Cases.
func (b Book) ListCases(ctx context.Context, s store.Scope, states []store.CaseState, cursor string, limit int) ([]store.Case, string, error) {
	w, err := scopedWhere(s)
	if err == nil {
		err = checkLimit(limit)
	}
	if err != nil {
		return nil, "", err
	}
	if len(states) > 0 {
		args := make([]any, len(states))
		for i, st := range states {
			args[i] = string(st)
		}
		w.and("state IN (?"+strings.Repeat(", ?", len(states)-1)+")", args...)
	}
	if cursor != "" {
		at, err := ParseCursor("k", cursor, 1)
		if err != nil {
			return nil, "", err
		}
		w.and("n < ?", at[0])
	}
	all, err := List(ctx, b.Reader(s), `SELECT `+caseColumns+` FROM cases `+w.String()+` ORDER BY n DESC LIMIT ?`, w.with(limit+1), scanCase)
	if err != nil || len(all) <= limit {
		return all, "", err
	}
	all = all[:limit]
	n, err := number(caseName, all[limit-1].ID)
	return all, MakeCursor("k", n), err
}

// GetCase implements store.Cases.
func (b Book) GetCase(ctx context.Context, s store.Scope, id string) (store.Case, error) {
	if err := s.Check(); err != nil {
		return store.Case{}, err
	}
	return oneCase(ctx, s, b.Reader(s), id)
}

func oneCase(ctx context.Context, s store.Scope, r Reader, id string) (store.Case, error) {
	n, err := number(caseName, id)
	if err != nil {
		return store.Case{}, fmt.Errorf("case %.80q: %w", id, store.ErrNotFound)
	}
	c, err := One(ctx, r, `SELECT `+caseColumns+` FROM cases WHERE operator = ? AND n = ?`, []any{s.Operator(), n}, scanCase)
	if err != nil {
		return c, fmt.Errorf("case %.80q: %w", id, err)
	}
	if c.Items, err = List(ctx, r, `SELECT kind, ref, who, at FROM case_items WHERE operator = ? AND case_n = ? ORDER BY at, kind, ref`, []any{s.Operator(), n}, func(scan scan) (i store.CaseItem, err error) {
		var at int64
		err = scan(&i.Kind, &i.Ref, &i.Who, &at)
		i.At = FromNanos(at)
		return i, err
	}); err != nil {
		return c, err
	}
	c.Notes, err = List(ctx, r, `SELECT n, at, who, text FROM case_notes WHERE operator = ? AND case_n = ? ORDER BY n`, []any{s.Operator(), n}, func(scan scan) (o store.CaseNote, err error) {
		var at int64
		err = scan(&o.N, &at, &o.Who, &o.Text)
		o.At = FromNanos(at)
		return o, err
	})
	return c, err
}

// CasesOf implements store.Cases.
func (b Book) CasesOf(ctx context.Context, s store.Scope, kind, ref string) ([]store.Case, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return List(ctx, b.Reader(s), `SELECT `+caseColumns+` FROM cases WHERE operator = ? AND n IN (SELECT case_n FROM case_items WHERE operator = ? AND kind = ? AND ref = ?) ORDER BY n`,
		[]any{s.Operator(), s.Operator(), kind, ref}, scanCase)
}

// onCase runs do for a case that exists, and notes that it has changed. do returns the act, "" where nothing was to do.
func (b Book) onCase(ctx context.Context, s store.Scope, id, who string, at time.Time, do func(t work, n int64, c *store.Case) (what, detail string, err error)) error {
	if err := s.Check(); err != nil {
		return err
	}
	n, err := number(caseName, id)
	if err != nil {
		return fmt.Errorf("case %.80q: %w", id, store.ErrNotFound)
	}
	err = b.change(ctx, s, func(t work) error {
		moved, err := t.Exec(`UPDATE cases SET updated = ? WHERE operator = ? AND n = ?`, Nanos(at), s.Operator(), n) // its row is locked from here on
		if err == nil && moved == 0 {
			err = store.ErrNotFound
		}
		if err != nil {
			return err
		}
		c, err := One(ctx, t, `SELECT `+caseColumns+` FROM cases WHERE operator = ? AND n = ?`, []any{s.Operator(), n}, scanCase)
		if err != nil {
			return err
		}
		what, detail, err := do(t, n, &c)
		if err != nil || what == "" {
			return err
		}
		return t.act(s, at, who, what, id, detail)
	})
	if err != nil {
		return fmt.Errorf("case %.80q: %w", id, err)
	}
	return nil
}

// SetCase implements store.Cases.
func (b Book) SetCase(ctx context.Context, s store.Scope, id string, change store.CaseChange, who string, at time.Time) error {
	if err := change.Check(); err != nil {
		return err
	}
	return b.onCase(ctx, s, id, who, at, func(t work, n int64, c *store.Case) (string, string, error) {
		var said []string
		set := func(what, was, now string) string {
			if was != now {
				said = append(said, fmt.Sprintf("%s: %s", what, now))
			}
			return now
		}
		if change.Title != nil {
			c.Title = set("title", c.Title, *change.Title)
		}
		if change.State != nil {
			c.State = store.CaseState(set("state", string(c.State), string(*change.State)))
		}
		if change.Verdict != nil {
			c.Verdict = store.Verdict(set("verdict", string(c.Verdict), string(*change.Verdict)))
		}
		if change.Owner != nil {
			c.Owner = set("owner", c.Owner, *change.Owner)
		}
		if len(said) == 0 {
			return "", "", nil
		}
		_, err := t.Exec(`UPDATE cases SET title = ?, state = ?, verdict = ?, owner = ? WHERE operator = ? AND n = ?`, c.Title, string(c.State), string(c.Verdict), c.Owner, s.Operator(), n)
		return "case", strings.Join(said, ", "), err
	})
}

// AddToCase implements store.Cases.
func (b Book) AddToCase(ctx context.Context, s store.Scope, id, kind, ref, who string, at time.Time) error {
	if !slices.Contains(store.ItemKinds, kind) {
		return fmt.Errorf("%w: unknown kind of item %.20q", store.ErrCase, kind)
	}
	return b.onCase(ctx, s, id, who, at, func(t work, n int64, _ *store.Case) (string, string, error) {
		if err := t.exists(s, kind, ref); err != nil {
			return "", "", fmt.Errorf("%s %.80q: %w", kind, ref, err)
		}
		var there int
		if err := t.row(`SELECT count(*) FROM case_items WHERE operator = ? AND case_n = ?`, []any{s.Operator(), n}, &there); err != nil {
			return "", "", err
		}
		if there >= store.MaxCaseItems {
			return "", "", fmt.Errorf("%w: it has %d items already; add the incident instead of its alerts", store.ErrCase, there)
		}
		added, err := t.Exec(`INSERT INTO case_items (operator, case_n, kind, ref, who, at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, s.Operator(), n, kind, ref, who, Nanos(at))
		if err != nil || added == 0 {
			return "", "", err
		}
		return "case-add", kind + " " + ref, nil
	})
}

// exists returns an error where there is nothing of an id.
func (t work) exists(s store.Scope, kind, ref string) error {
	var one int
	switch kind {
	case store.ItemAlert:
		return t.row(`SELECT 1 FROM alerts WHERE operator = ? AND id = ?`, []any{s.Operator(), ref}, &one)
	case store.ItemIncident:
		if ref == "" {
			return store.ErrNotFound
		}
		return t.row(`SELECT 1 FROM alerts WHERE operator = ? AND incident = ? AND incident != '' LIMIT 1`, []any{s.Operator(), ref}, &one)
	}
	n, err := number(campaignName, ref)
	if err != nil {
		return store.ErrNotFound
	}
	return t.row(`SELECT 1 FROM campaigns WHERE operator = ? AND n = ?`, []any{s.Operator(), n}, &one)
}

// RemoveFromCase implements store.Cases.
func (b Book) RemoveFromCase(ctx context.Context, s store.Scope, id, kind, ref, who string, at time.Time) error {
	return b.onCase(ctx, s, id, who, at, func(t work, n int64, _ *store.Case) (string, string, error) {
		gone, err := t.Exec(`DELETE FROM case_items WHERE operator = ? AND case_n = ? AND kind = ? AND ref = ?`, s.Operator(), n, kind, ref)
		if err == nil && gone == 0 {
			err = fmt.Errorf("%s %.80q: %w", kind, ref, store.ErrNotFound)
		}
		return "case-remove", kind + " " + ref, err
	})
}

// NoteCase implements store.Cases.
func (b Book) NoteCase(ctx context.Context, s store.Scope, id, text, who string, at time.Time) error {
	if text = strings.TrimSpace(text); text == "" || len(text) > store.MaxCaseNote {
		return fmt.Errorf("%w: a note has 1 to %d bytes", store.ErrCase, store.MaxCaseNote)
	}
	return b.onCase(ctx, s, id, who, at, func(t work, n int64, _ *store.Case) (string, string, error) {
		var last int64
		err := t.row(`SELECT coalesce(max(n), 0) FROM case_notes WHERE operator = ? AND case_n = ?`, []any{s.Operator(), n}, &last)
		if err == nil && last >= store.MaxCaseNotes {
			err = fmt.Errorf("%w: it has %d notes already", store.ErrCase, last)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return "", "", err
		}
		_, err = t.Exec(`INSERT INTO case_notes (operator, case_n, n, at, who, text) VALUES (?, ?, ?, ?, ?, ?)`, s.Operator(), n, last+1, Nanos(at), who, text)
		return "case-note", fmt.Sprint("note ", last+1), err
	})
}
