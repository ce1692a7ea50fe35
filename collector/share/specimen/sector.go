package specimen

import (
	"fmt"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// Consenting is an operator at so many sites of which an alert told of a cold restart, a minute after the other from at on; a CERT's account
// "cert" there has the operator's consent, "" for none. Alerts are called by the operator, r-NAME-0 and on; so are the sites.
func Consenting(t testing.TB, st store.Store, operator, cert string, what store.Compare, at time.Time, sites int) store.Scope {
	t.Helper()
	scope, err := store.For(operator)
	if err == nil {
		err = st.PutUser(t.Context(), scope, store.User{Name: "cert", Role: store.CERTAnalyst, Created: at, CERT: cert, Compare: what}, "setup", at)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range sites {
		a := Alerts()[2]
		a.ID, a.First = fmt.Sprintf("r-%s-%d", operator, i), at.Add(time.Duration(i)*time.Minute).UTC()
		a.Last = a.First
		a.Title = fmt.Sprintf("A stranger sent COLD_RESTART to a station of %s %d", operator, i)
		spool := Spool{Sensor: fmt.Sprintf("site-%s-%d", operator, i)}
		spool.Deliver(t, st, scope, at, a)
	}
	for {
		n, err := st.Correlate(t.Context(), scope, store.Usual, at.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return scope
		}
	}
}
