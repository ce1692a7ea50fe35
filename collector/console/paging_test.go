package console

import (
	"net/http/httptest"
	"testing"
)

// TestPart holds that the pages of a list have every row once, in order, and that a page that is not there is the first.
func TestPart(t *testing.T) {
	for _, all := range []int{0, 1, rowsMost, rowsMost + 1, 3 * rowsMost} {
		rows := make([]int, all)
		for i := range rows {
			rows[i] = i
		}
		seen, address := 0, "/sensors"
		for address != "" {
			page, next := part(httptest.NewRequest("GET", address, nil), "/sensors", rows)
			for _, row := range page {
				if row != seen {
					t.Fatalf("%d rows, %s: row %d where %d should be", all, address, row, seen)
				}
				seen++
			}
			address = next
		}
		if seen != all {
			t.Errorf("the pages have %d of %d rows", seen, all)
		}
	}
	for _, query := range []string{"page=0", "page=-1", "page=x", "page=3", "page=9223372036854775807"} {
		page, next := part(httptest.NewRequest("GET", "/fleet?"+query, nil), "/fleet", make([]int, 2*rowsMost))
		if len(page) != rowsMost || next != "/fleet?page=2" {
			t.Errorf("%s: %d rows, next %q; want the first page", query, len(page), next)
		}
	}
}
