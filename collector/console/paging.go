package console

import (
	"net/http"
	"net/url"
	"strconv"
)

// rowsMost is how many rows a page of a list that the store gives whole has.
const rowsMost = 100

// part returns the rows of the page of path that a request asks for with ?page=, from 1 on, and the address of the page
// after it, "" on the last. A page that is not there is the first.
func part[T any](r *http.Request, path string, rows []T) (page []T, next string) {
	n, err := strconv.Atoi(r.FormValue("page"))
	if err != nil || n < 1 || n > len(rows)/rowsMost+1 || (n-1)*rowsMost >= len(rows) {
		n = 1
	}
	page = rows[(n-1)*rowsMost:]
	if len(page) <= rowsMost {
		return page, ""
	}
	return page[:rowsMost], path + "?" + url.Values{"page": {strconv.Itoa(n + 1)}}.Encode()
}
