package ledger

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roje-ot/roje/rules"
)

// A Query picks records. The zero value picks all.
type Query struct {
	Name         string // part of what point lists call a point; capitals do not count
	Point        string // address of a point, or kind and address: "7", "binary_out:7"
	Master       string // IP address of the client, or the master's own number
	Station      string // IP address of the server, or the station's own number
	Proto        string
	Outcome      Outcome
	Since, Until time.Time // of the first request; zero is open
}

// Check returns what is wrong with q.
func (q *Query) Check() error {
	if q.Outcome != "" {
		known := false
		for _, o := range Outcomes {
			known = known || o == q.Outcome
		}
		if !known {
			return fmt.Errorf("unknown outcome %q; it is one of %v", q.Outcome, Outcomes)
		}
	}
	if q.Point != "" {
		_, addr, cut := strings.Cut(q.Point, ":")
		if !cut {
			addr = q.Point
		}
		if _, err := strconv.ParseUint(addr, 10, 32); err != nil {
			return fmt.Errorf("point %q is neither an address nor kind:address", q.Point)
		}
	}
	return nil
}

// Began is the time of r's first request.
func (r *Record) Began() time.Time {
	switch {
	case r.Selected != nil:
		return *r.Selected
	case r.Executed != nil:
		return *r.Executed
	}
	return time.Time{}
}

// Picks says whether q picks r.
func (q *Query) Picks(r *Record) bool {
	began := r.Began()
	return (q.Proto == "" || q.Proto == r.Proto) && (q.Outcome == "" || q.Outcome == r.Outcome) &&
		(q.Since.IsZero() || !began.Before(q.Since)) && (q.Until.IsZero() || began.Before(q.Until)) &&
		party(q.Master, r.Client, r.Master) && party(q.Station, r.Server, r.Station) && q.names(r) && q.called(r)
}

// party says whether word, if any, is the address or the number of one side.
func party(word, address string, number *uint32) bool {
	if word == "" || word == address {
		return true
	}
	if number != nil && strconv.FormatUint(uint64(*number), 10) == word {
		return true
	}
	at, err := netip.ParseAddrPort(address)
	ip, bad := netip.ParseAddr(word)
	return err == nil && bad == nil && at.Addr() == ip
}

// names says whether one of r's points is q's.
func (q *Query) names(r *Record) bool {
	if q.Point == "" {
		return true
	}
	kind, text, cut := strings.Cut(q.Point, ":")
	if !cut {
		kind, text = "", q.Point
	}
	addr, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return false
	}
	a := action{record: *r}
	for _, p := range a.points() {
		if (kind == "" || kind == p.Kind) && uint64(p.Addr) <= addr && addr < uint64(p.Addr)+uint64(p.N) {
			return true
		}
	}
	return false
}

// called says whether one of r's points has q's name.
func (q *Query) called(r *Record) bool {
	if q.Name == "" {
		return true
	}
	word := strings.ToLower(q.Name)
	a := action{record: *r}
	return slices.ContainsFunc(a.points(), func(p rules.Point) bool { return strings.Contains(strings.ToLower(p.Name), word) })
}

// Search calls each with the text of every record of the store at path that q picks, oldest first. It checks the chain
// of all records as Read does.
func Search(path string, q Query, each func(text []byte) error) error {
	return Read(path, func(number uint64, text []byte) error {
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("record %d: %w", number, err)
		}
		if !q.Picks(&r) {
			return nil
		}
		return each(text)
	})
}
