package api

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/roje-ot/roje/collector/store"
)

// wholeParams are those of a list that comes whole where neither is given.
var wholeParams = wholly(pageParams)

func wholly(params []param) (out []param) {
	for _, p := range params {
		if p.name == "limit" {
			p.about = "most on the page, 1 to 1000; without it, and without cursor, all come at once"
		}
		out = append(out, p)
	}
	return out
}

// page is what a request asks for of rows that are read whole: all of them as they are or, with a limit, those after its
// cursor in the order of their ids, so that none is left out and none comes twice when rows change between two pages. next is
// the cursor of the page after it, "" on the last.
func page[T any](r *http.Request, rows []T, id func(*T) string) (some []T, next string, err error) {
	form := r.URL.Query()
	q, err := parse(form, wholeParams)
	if err != nil {
		return nil, "", err
	}
	if form.Get("limit") == "" && q.cursor == "" {
		return rows, "", nil
	}
	after := ""
	if q.cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(q.cursor)
		var ok bool
		if after, ok = strings.CutPrefix(string(text), rowsCursor); err != nil || !ok {
			return nil, "", store.ErrCursor
		}
	}
	rows = slices.DeleteFunc(rows, func(row T) bool { return id(&row) <= after })
	slices.SortFunc(rows, func(a, b T) int { return strings.Compare(id(&a), id(&b)) })
	if len(rows) > q.limit {
		rows = rows[:q.limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(rowsCursor + id(&rows[q.limit-1])))
	}
	return rows, next, nil
}

// rowsCursor begins every cursor of page.
const rowsCursor = "row."
