package baseline

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/roje-ot/roje/sensor/course"
)

// State is how far an item has come.
type State string

// The states.
const (
	Pending  State = "pending"  // learned, waits for approval
	Held     State = "held"     // learned, but only a person may approve it, item by item
	Approved State = "approved" // enforced
)

// mark is what every item carries.
type mark struct {
	state State // "" is: not learned
	why   string
	count uint64
	first int64
	last  int64
	no    *course.Refusal // a person's; nil: none
	who   string
	when  int64
	dirty bool
	support

	seen int64 // since it was approved, to the hour; 0: not since
	gap  int64 // its longest pause since, ns
}

// support is in how many different hours and on how many different days of packet time something was seen.
type support struct {
	hours, days uint16
	hour        int32 // the latest, since 1970
}

const anHour = 3600 * 1e9

// note counts the hour and the day of packet time at. Time that runs back counts nothing.
func (s *support) note(at int64) {
	h := int32(at / anHour)
	if s.hours != 0 && h <= s.hour {
		return
	}
	if s.days == 0 || h/24 > s.hour/24 {
		s.days = min(s.days, math.MaxUint16-1) + 1
	}
	s.hours, s.hour = min(s.hours, math.MaxUint16-1)+1, h
}

// What is seen less than this is shown to a person before it is approved: an attacker who is there while the sensor
// learns is seldom there for long.
const (
	steadyHours = course.Hours
	steadyDays  = 2
)

func (s *support) steady() bool { return s.hours >= steadyHours && s.days >= steadyDays }

// see counts one more sighting at packet time at. why holds the item back from approval in bulk.
func (m *mark) see(at int64, why string) {
	if m.state == "" {
		m.state, m.first, m.last = Pending, at, at
		if why != "" {
			m.state, m.why = Held, why
		}
	}
	m.count++
	m.note(at)
	m.first, m.last = min(m.first, at), max(m.last, at)
	m.dirty = true
}

func (m *mark) approved() bool { return m.state == Approved }

func (m *mark) approve(who string, when int64) {
	m.state, m.who, m.when, m.no, m.dirty = Approved, who, when, nil, true
}

// An Item is one learned thing as people see it, and as it is stored and exported: one JSON object. Members that do not
// belong to its kind are absent.
type Item struct {
	Kind     string      `json:"kind"` // host, link, station, op, points, target, values
	Host     *netip.Addr `json:"host,omitempty"`
	MACs     []string    `json:"macs,omitempty"`
	Roles    []string    `json:"roles,omitempty"` // client, server
	Client   *netip.Addr `json:"client,omitempty"`
	Server   *netip.Addr `json:"server,omitempty"`
	Proto    string      `json:"proto,omitempty"`
	Port     uint16      `json:"port,omitempty"`
	Station  *uint32     `json:"station,omitempty"`
	From     string      `json:"from,omitempty"`
	Code     *uint16     `json:"code,omitempty"`
	Sub      *uint16     `json:"sub,omitempty"`
	Name     string      `json:"name,omitempty"`
	Op       string      `json:"op,omitempty"`
	Points   string      `json:"points,omitempty"` // kind of the points
	Ranges   string      `json:"ranges,omitempty"` // "0-9,40"
	Addr     *uint32     `json:"addr,omitempty"`
	Low      *float64    `json:"low,omitempty"`
	High     *float64    `json:"high,omitempty"`
	Lows     string      `json:"lows,omitempty"`     // the least values of three different hours
	Highs    string      `json:"highs,omitempty"`    // and the greatest
	Beyond   bool        `json:"beyond,omitempty"`   // of a target: it is approved for a narrower range, and this one waits
	Together int         `json:"together,omitempty"` // of a host: most distinct points commanded on it within 60 s
	Week     string      `json:"week,omitempty"`     // of a link: hours of the week, from Monday 0:00 UTC on, in which it was learned to command in two weeks or more: "9-16,33"
	Once     string      `json:"once,omitempty"`     // and in any
	Commands uint64      `json:"commands,omitempty"` // and how many times
	Delays   string      `json:"delays,omitempty"`   // of a link: how many answers took how long, by quarter of an octave of microseconds
	State    State       `json:"state"`

	Course     *course.Learned `json:"course,omitempty"`     // of values: how they go
	Rejected   *course.Refusal `json:"rejected,omitempty"`   // a person's no to it, while it waits
	Engineered string          `json:"engineered,omitempty"` // what the point lists call it; of points: which of them are in the lists

	Why   string     `json:"why,omitempty"` // why it is held
	Count uint64     `json:"count"`
	Hours uint16     `json:"hours,omitempty"` // different hours in which it was seen
	Days  uint16     `json:"days,omitempty"`  // and different days
	Runs  string     `json:"runs,omitempty"`  // of pending points: each run of addresses with its hours and days
	Again bool       `json:"again,omitempty"` // of a host: it is learned anew while others are enforced
	First time.Time  `json:"first"`           // packet time
	Last  time.Time  `json:"last"`
	Who   string     `json:"who,omitempty"`  // who approved it
	When  *time.Time `json:"when,omitempty"` // and when

	Seen  *time.Time `json:"seen,omitempty"`  // of an approved item: when it was seen last while it was enforced, to the hour
	Pause int64      `json:"pause,omitempty"` // and its longest pause since, seconds
}

// Key names the item among all others; it sorts items by kind, then by who talks to whom.
func (it *Item) Key() string {
	var b strings.Builder
	b.WriteString(it.Kind)
	add := func(format string, args ...any) { b.WriteByte(' '); fmt.Fprintf(&b, format, args...) }
	switch it.Kind {
	case "host":
		add("%s", it.Host)
	case "points", "target", "values":
		add("%s", it.Server)
	default:
		add("%s > %s:%d/%s", it.Client, it.Server, it.Port, it.Proto)
	}
	if it.Station != nil {
		add("station %05d", *it.Station)
	}
	if it.From != "" {
		add("from %s", it.From)
	}
	if it.Code != nil {
		add("code %03d", *it.Code)
	}
	if it.Sub != nil {
		add("sub %05d", *it.Sub)
	}
	if it.Points != "" {
		add("%s", it.Points)
	}
	if it.Addr != nil {
		add("%08d", *it.Addr)
	}
	if it.Beyond {
		b.WriteString(" beyond")
	}
	if it.Kind == "points" || it.Kind == "values" {
		add("%s", it.State) // what is approved and what is pending are two items
	}
	return b.String()
}

// put fills in what mark knows.
func (it *Item) put(m *mark) {
	it.State, it.Why, it.Count, it.Who = m.state, m.why, m.count, m.who
	it.Hours, it.Days, it.Rejected = m.hours, m.days, m.no
	it.First, it.Last = time.Unix(0, m.first).UTC(), time.Unix(0, m.last).UTC()
	if m.when != 0 {
		when := time.Unix(0, m.when).UTC()
		it.When = &when
	}
	if m.seen != 0 {
		seen := time.Unix(0, m.seen).UTC()
		it.Seen, it.Pause = &seen, m.gap/int64(time.Second)
	}
}

// take is the reverse of put.
func (it *Item) take(m *mark) {
	*m = mark{state: it.State, why: it.Why, count: it.Count, first: it.First.UnixNano(), last: it.Last.UnixNano(), who: it.Who, no: it.Rejected, dirty: m.dirty,
		support: support{it.Hours, it.Days, int32(it.Last.UnixNano() / anHour)}}
	if it.When != nil {
		m.when = it.When.UnixNano()
	}
	if it.Seen != nil {
		m.seen, m.gap = it.Seen.UnixNano(), it.Pause*int64(time.Second)
	}
}
