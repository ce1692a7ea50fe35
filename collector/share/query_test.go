package share

import (
	"net/url"
	"reflect"
	"testing"
	"time"
)

// FuzzQuery holds that whatever a client sends, a query is within its bounds, and that a cursor made of it is read back
// as it was, by its own collection only.
func FuzzQuery(f *testing.F) {
	for _, text := range []string{
		"", "limit=1&added_after=2026-11-21T08:30:00.000001Z", "match[id]=a,b&match[type]=sighting&match[version]=first,last", "match[version]=2026-11-21T08:30:00Z",
		"next=" + Query{Types: []string{"note"}, Limit: 1}.next(Collection, time.UnixMilli(1)), "match[spec_version]=2.0", "limit=99999999999999999999", "next=%00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		form, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		q, err := parseQuery(Collection, form, "id", "type", "version", "spec_version")
		if err != nil {
			return
		}
		if q.Limit < 1 || q.Limit > pageMost {
			t.Fatalf("limit %d", q.Limit)
		}
		at := time.UnixMilli(1795293077859)
		next := q.next(Collection, at)
		c, ok := parseCursor(Collection, next)
		if !ok || c.After != at.UnixMilli() || !reflect.DeepEqual(clean(c.IDs), clean(q.IDs)) || !reflect.DeepEqual(clean(c.Types), clean(q.Types)) || len(c.Versions.At) != len(q.Versions.At) {
			t.Fatalf("cursor of %+v is read as %+v, %v", q, c, ok)
		}
		if _, ok := parseCursor("another", next); ok {
			t.Fatal("another collection takes the cursor")
		}
	})
}

// clean is values as JSON keeps them: an empty list is none, and what is no UTF-8 is replaced.
func clean(values []string) (out []string) {
	for _, v := range values {
		out = append(out, string([]rune(v)))
	}
	return out
}
