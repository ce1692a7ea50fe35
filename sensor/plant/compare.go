package plant

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/protocols/dnp3"
	"github.com/roje-ot/roje/protocols/iec104"
)

// What a comparison can find.
const (
	NeverSeen         = "never_seen"          // listed, and never shown nor commanded
	NeverCommanded    = "never_commanded"     // a listed command that nobody gave: often no finding at all
	NotListed         = "not_listed"          // seen on a station that has a list, and not in it
	TypeDiffers       = "type_differs"        // seen as another type than listed
	ReadOnlyCommanded = "read_only_commanded" // commanded or written, and listed as only to be read
	LearnedNotListed  = "learned_not_listed"  // in the baseline, not seen this time, and not in the list
)

// Findings are all that a comparison can find, in the order of a report.
var Findings = []string{ReadOnlyCommanded, TypeDiffers, NotListed, LearnedNotListed, NeverSeen, NeverCommanded}

// A Finding is one difference between list, seen and learned: docs/schema/points.json.
type Finding struct {
	Finding   string     `json:"finding"`
	Proto     string     `json:"proto,omitempty"` // absent where the baseline does not tell
	Server    string     `json:"server,omitempty"`
	Station   *uint32    `json:"station,omitempty"`
	Kind      string     `json:"kind"`
	Addr      uint32     `json:"addr"`
	N         uint32     `json:"n"`
	Name      string     `json:"name,omitempty"`
	File      string     `json:"file,omitempty"`
	Line      int        `json:"line,omitempty"`
	Listed    string     `json:"listed,omitempty"` // type in the list
	Seen      string     `json:"seen,omitempty"`   // type on the wire
	Reported  uint64     `json:"reported,omitempty"`
	Commanded uint64     `json:"commanded,omitempty"`
	Client    string     `json:"client,omitempty"` // that commanded it first
	First     *time.Time `json:"first,omitempty"`
	Last      *time.Time `json:"last,omitempty"`
	Learned   bool       `json:"learned,omitempty"` // it is in the baseline

	server netip.Addr
	kind   string // what a list calls its kind
}

// A Learned point, or run of them, is one of a baseline.
type Learned struct {
	Server   netip.Addr
	Station  uint32
	Kind     protocols.Kind
	From, To uint32
}

// A Report is the three-way comparison of lists, what was seen, and what was learned.
type Report struct {
	Findings []*Finding
	Listed   int // points in lists
	Sighted  int // of them seen
	Seen     *Seen
	Learned  int        // points of stations with a list that the baseline knows
	Without  []Stranger // stations that no list speaks of
}

// A Stranger is a station that was seen and that no list speaks of.
type Stranger struct {
	Proto   string
	Server  netip.Addr
	Station uint32
	Points  int
}

// Compare holds what was seen and what was learned against the lists.
func Compare(b *Book, seen *Seen, learned []Learned) *Report {
	r := &Report{Listed: len(b.Points), Seen: seen}
	for _, p := range b.Points {
		r.listed(p, seen, learned)
	}
	for who, spots := range seen.stations {
		if !b.Covers(who.proto, who.server, who.number) {
			r.Without = append(r.Without, Stranger{who.proto.Name, who.server, who.number, len(spots)})
			continue
		}
		for at, v := range spots {
			r.seen(b, who, at, v, learned)
		}
	}
	for _, l := range learned {
		r.learned(b, seen, l)
	}
	r.sort()
	return r
}

// speaks says whether p is of the station who.
func (p *Point) speaks(who listener) bool {
	return p.Proto == who.proto && (p.Any || p.Station == who.number) && (len(p.Assets) == 0 || slices.Contains(p.Assets, who.server))
}

// listed holds p against what was seen.
func (r *Report) listed(p *Point, seen *Seen, learned []Learned) {
	sighted, elsewhere := false, false
	for who, spots := range seen.stations {
		if !p.speaks(who) {
			continue
		}
		for a := p.Addr; a < p.Addr+p.N; a++ {
			v := spots[spot{p.Kind, p.Double, a}]
			if v == nil {
				elsewhere = elsewhere || p.Proto == iec104.Protocol && differs(spots, a)
				continue
			}
			sighted = true
			if other := p.other104(v); other != nil {
				f := p.finding(TypeDiffers, who, v)
				f.Seen = other.Name
				r.Findings = append(r.Findings, f)
			}
			if p.Reads && v.commanded > 0 {
				r.Findings = append(r.Findings, p.finding(ReadOnlyCommanded, who, v))
			}
			break // one register of a point stands for all
		}
	}
	switch {
	case sighted:
		r.Sighted++
	case elsewhere: // the object is seen as another kind: that is the finding
	default:
		what := NeverSeen
		if p.commands() && p.Proto == iec104.Protocol {
			what = NeverCommanded
		}
		f := p.finding(what, listener{p.Proto, netip.Addr{}, p.Station}, nil)
		for _, l := range learned {
			f.Learned = f.Learned || l.Kind == p.Kind && l.From < p.Addr+p.N && p.Addr <= l.To && p.speaks(listener{p.Proto, l.Server, l.Station})
		}
		r.Findings = append(r.Findings, f)
	}
}

// differs says whether the object at address a is seen as whatever kind.
func differs(spots map[spot]*sight, a uint32) bool {
	for k := protocols.OtherKind; k <= protocols.Counter; k++ {
		if spots[spot{kind: k, addr: a}] != nil {
			return true
		}
	}
	return false
}

// other104 is the type as which v was seen, where the list has another; nil where it has the same or none.
func (p *Point) other104(v *sight) *Type {
	if p.Type == nil || len(p.Type.codes) == 0 {
		return nil
	}
	var other *Type
	for _, code := range v.types {
		switch t := typeSeen(p.Proto, &protocols.Point{Type: code}); t {
		case p.Type:
			return nil
		case nil:
		default:
			other = t
		}
	}
	return other
}

// finding is one about p, on the station who, of which v was seen; v may be nil.
func (p *Point) finding(what string, who listener, v *sight) *Finding {
	f := &Finding{Finding: what, Kind: p.Kind.String(), Addr: p.Addr, N: p.N, Name: p.label.Text, File: p.File, Line: p.Line, kind: kindName(p.Proto, p.Kind)}
	if p.Type != nil {
		f.Listed = p.Type.Name
	}
	f.of(who)
	if p.Any && v == nil {
		f.Station = nil
	}
	if v == nil && len(p.Assets) > 0 {
		f.server, f.Server = p.Assets[0], p.Assets[0].String()
	}
	f.saw(v)
	return f
}

// of says whose point it is.
func (f *Finding) of(who listener) {
	f.Proto, f.Station, f.server = who.proto.Name, &who.number, who.server
	if who.server.IsValid() {
		f.Server = who.server.String()
	}
}

// saw says what was seen of it; v may be nil.
func (f *Finding) saw(v *sight) {
	if v == nil {
		return
	}
	first, last := time.Unix(0, v.first).UTC(), time.Unix(0, v.last).UTC()
	f.Reported, f.Commanded, f.First, f.Last = v.reported, v.commanded, &first, &last
	if v.client.IsValid() {
		f.Client = v.client.String()
	}
}

// seen holds a point that was seen against the lists.
func (r *Report) seen(b *Book, who listener, at spot, v *sight, learned []Learned) {
	p, exact := b.find(who.proto, who.server, who.number, at)
	if p != nil && exact {
		return
	}
	var f *Finding
	seenAs := &Type{Name: kindName(who.proto, at.kind)}
	if t := typeSeen(who.proto, &protocols.Point{Type: v.types[0]}); t != nil {
		seenAs = t
	}
	switch {
	case p == nil:
		f = &Finding{Finding: NotListed, Kind: at.kind.String(), Addr: at.addr, N: 1, kind: kindName(who.proto, at.kind)}
		f.of(who)
		f.saw(v)
	case v.commanded > 0 && p.Reads:
		f = p.finding(ReadOnlyCommanded, who, v)
	default:
		f = p.finding(TypeDiffers, who, v)
	}
	f.Seen = seenAs.Name
	for _, l := range learned {
		f.Learned = f.Learned || l.Server == who.server && l.Station == who.number && l.Kind == at.kind && l.From <= at.addr && at.addr <= l.To
	}
	r.Findings = append(r.Findings, f)
}

// learned holds points of a baseline, which does not say of which protocol they are, against the lists and what was seen.
func (r *Report) learned(b *Book, seen *Seen, l Learned) {
	var protos []*protocols.Protocol
	for _, proto := range catalog.All {
		_, speaks := seen.stations[listener{proto, l.Server, l.Station}]
		if speaks && b.Covers(proto, l.Server, l.Station) || b.stations[scope{proto, l.Server, l.Station, false}] != nil || b.stations[scope{proto, l.Server, 0, true}] != nil {
			protos = append(protos, proto)
		}
	}
	if len(protos) == 0 {
		return
	}
	for a := l.From; ; a++ {
		r.Learned++
		known := false
		for _, proto := range protos {
			for _, double := range []bool{false, true} {
				at := spot{l.Kind, double && proto == dnp3.Protocol, a}
				p, _ := b.find(proto, l.Server, l.Station, at)
				known = known || p != nil || seen.stations[listener{proto, l.Server, l.Station}][at] != nil
			}
		}
		if !known {
			station := l.Station
			f := &Finding{Finding: LearnedNotListed, Server: l.Server.String(), Station: &station, Kind: l.Kind.String(), Addr: a, N: 1, Learned: true, server: l.Server}
			if len(protos) == 1 {
				f.Proto = protos[0].Name
			}
			f.kind = kindName(protos[0], l.Kind)
			r.Findings = append(r.Findings, f)
		}
		if a == l.To {
			return
		}
	}
}

// sort orders the findings and makes one of neighbours that no list names.
func (r *Report) sort() {
	slices.SortFunc(r.Without, func(x, y Stranger) int {
		return cmp.Or(x.Server.Compare(y.Server), cmp.Compare(x.Proto, y.Proto), cmp.Compare(x.Station, y.Station))
	})
	station := func(f *Finding) int64 {
		if f.Station == nil {
			return -1
		}
		return int64(*f.Station)
	}
	slices.SortStableFunc(r.Findings, func(x, y *Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(Findings, x.Finding), slices.Index(Findings, y.Finding)), x.server.Compare(y.server), cmp.Compare(x.Proto, y.Proto),
			cmp.Compare(station(x), station(y)), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Addr, y.Addr), cmp.Compare(x.Seen, y.Seen), cmp.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line))
	})
	merged := r.Findings[:0]
	for _, f := range r.Findings {
		if n := len(merged); n > 0 && merged[n-1].next(f) {
			merged[n-1].merge(f)
			continue
		}
		merged = append(merged, f)
	}
	r.Findings = merged
}

// next says whether g goes on where f ends, and nothing but the address tells them apart.
func (f *Finding) next(g *Finding) bool {
	return f.File == "" && g.File == "" && f.Finding == g.Finding && f.server == g.server && f.Proto == g.Proto && *f.Station == *g.Station && f.Kind == g.Kind &&
		f.Seen == g.Seen && f.Client == g.Client && f.Learned == g.Learned && f.Addr+f.N == g.Addr
}

func (f *Finding) merge(g *Finding) {
	f.N += g.N
	f.Reported += g.Reported
	f.Commanded += g.Commanded
	if g.First != nil && g.First.Before(*f.First) {
		f.First = g.First
	}
	if g.Last != nil && g.Last.After(*f.Last) {
		f.Last = g.Last
	}
}
