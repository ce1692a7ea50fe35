package baseline

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/course"
)

// Items returns all that was learned, sorted by key.
func (b *Baseline) Items() []*Item {
	var items []*Item
	b.each(func(it *Item, _ *mark) { items = append(items, it) })
	b.courses.Each(func(v *course.Values) { items = append(items, valueItems(v)...) })
	for _, it := range items {
		it.Engineered = b.engineered(it)
	}
	return sorted(items)
}

// sorted sorts items by key, and makes each key once.
func sorted(items []*Item) []*Item {
	keys := make(map[*Item]string, len(items))
	for _, it := range items {
		keys[it] = it.Key()
	}
	slices.SortFunc(items, func(x, y *Item) int { return cmp.Compare(keys[x], keys[y]) })
	return items
}

// Assets returns every host that is remembered, learned or not, sorted by key. Those that are not learned have no state.
func (b *Baseline) Assets() []*Item {
	var hosts []*Item
	for _, h := range b.hosts {
		hosts = append(hosts, h.item())
	}
	slices.SortFunc(hosts, func(x, y *Item) int { return x.Host.Compare(*y.Host) })
	return hosts
}

// Waiting returns the items that are not approved, sorted by key.
func (b *Baseline) Waiting() []*Item {
	return slices.DeleteFunc(b.Items(), func(it *Item) bool { return it.State == Approved })
}

// each calls f with every item that has a mark, in no order: those of measured values have none.
func (b *Baseline) each(f func(*Item, *mark)) {
	for _, h := range b.hosts {
		if h.state != "" {
			f(h.item(), &h.mark)
		}
	}
	for _, l := range b.links {
		l.each(f)
	}
	for key, s := range b.spans {
		s.each(key, f)
	}
	for key, t := range b.targets {
		f(t.item(key), &t.mark)
		if t.wider != nil {
			f(t.widerItem(key), &t.wider.mark)
		}
	}
}

func (h *host) item() *Item {
	it := &Item{Kind: "host", Host: &h.addr, Together: h.together, Again: h.again}
	it.put(&h.mark)
	for _, m := range h.macs {
		it.MACs = append(it.MACs, m.String())
	}
	slices.Sort(it.MACs)
	if h.client || h.asks {
		it.Roles = append(it.Roles, "client")
	}
	if h.server || h.answers {
		it.Roles = append(it.Roles, "server")
	}
	return it
}

func (l *link) base(kind string, m *mark) *Item {
	it := &Item{Kind: kind, Client: &l.client.addr, Server: &l.server.addr, Proto: l.proto, Port: l.port}
	it.put(m)
	return it
}

func (l *link) each(f func(*Item, *mark)) {
	if l.state != "" {
		it := l.base("link", &l.mark)
		it.Week, it.Once, it.Commands, it.Delays = l.week.String(), l.once.String(), l.commands, l.delays.String()
		f(it, &l.mark)
	}
	for station, m := range l.stations {
		it := l.base("station", m)
		it.Station = &station
		f(it, m)
	}
	for key, o := range l.ops {
		it := l.base("op", &o.mark)
		it.Name, it.Op, it.From = o.name, o.op.String(), sides[key.side]
		if key.flags&hasStation != 0 {
			it.Station = &key.station
		}
		if key.flags&hasCode != 0 {
			it.Code = &key.code
		} else {
			it.Sub = &key.code // tells names without code apart
		}
		if key.flags&hasSub != 0 {
			it.Sub = &key.sub
		}
		f(it, &o.mark)
	}
}

func (l *link) items() (items []*Item) {
	l.each(func(it *Item, _ *mark) { items = append(items, it) })
	return items
}

var sides = [...]string{protocols.Client: "client", protocols.Server: "server"}

func (s *spans) each(key spanKey, f func(*Item, *mark)) {
	for _, part := range []struct {
		r ranges
		m *mark
	}{{s.approved, &s.mark}, {s.pending, &s.fresh}} {
		if len(part.r) == 0 {
			continue
		}
		it := &Item{Kind: "points", Server: &s.server.addr, Station: &key.station, Points: key.kind.String(), Ranges: part.r.String()}
		if part.m == &s.fresh {
			it.Runs = s.runText()
		}
		it.put(part.m)
		f(it, part.m)
	}
}

func (t *target) item(key targetKey) *Item {
	it := &Item{Kind: "target", Server: &t.server.addr, Station: &key.station, Points: key.kind.String(), Addr: &key.addr}
	if t.ranged {
		low, high := t.low, t.high
		it.Low, it.High = &low, &high
		it.Lows, it.Highs = t.lows.String(), t.highs.String()
	}
	it.put(&t.mark)
	return it
}

// load puts one stored or imported item into the memory, over what is there.
func (b *Baseline) load(it *Item) error {
	if it.State != Pending && it.State != Held && it.State != Approved {
		return fmt.Errorf("unknown state %q", it.State)
	}
	need := func(ok bool) error {
		if !ok {
			return fmt.Errorf("%s without all that names it", it.Kind)
		}
		return nil
	}
	switch it.Kind {
	case "host":
		if err := need(it.Host != nil); err != nil {
			return err
		}
		return b.loadHost(it)
	case "link", "station", "op":
		if err := need(it.Client != nil && it.Server != nil && it.Proto != ""); err != nil {
			return err
		}
		return b.loadLink(it)
	case "points", "target":
		if err := need(it.Server != nil && it.Station != nil); err != nil {
			return err
		}
		return b.loadPoints(it)
	case "values":
		if err := need(it.Server != nil && it.Station != nil && it.Addr != nil); err != nil {
			return err
		}
		return b.loadValues(it)
	}
	return fmt.Errorf("unknown kind %q", it.Kind)
}

func (b *Baseline) loadHost(it *Item) error {
	h := b.host(*it.Host, it.First.UnixNano())
	if h == nil {
		return nil // counted in Overflow
	}
	it.take(&h.mark)
	h.asks, h.answers = slices.Contains(it.Roles, "client"), slices.Contains(it.Roles, "server")
	h.client, h.server = h.asks, h.answers
	h.together, h.macs, h.again = it.Together, nil, it.Again
	for _, s := range it.MACs {
		m, err := parseMAC(s)
		if err != nil {
			return err
		}
		h.macs = append(h.macs, m)
	}
	return nil
}

func (b *Baseline) loadLink(it *Item) error {
	client, server := b.host(*it.Client, it.First.UnixNano()), b.host(*it.Server, it.First.UnixNano())
	if client == nil || server == nil {
		return nil
	}
	key := linkKey{client.number, server.number, b.proto(it.Proto), it.Port}
	l := b.links[key]
	if l == nil {
		l = &link{client: client, server: server, proto: it.Proto, port: it.Port, stations: map[uint32]*mark{}, ops: map[opKey]*op{}}
		b.links[key] = l
	}
	switch it.Kind {
	case "link":
		it.take(&l.mark)
		return l.loadHabits(it)
	case "station":
		if it.Station == nil {
			return fmt.Errorf("station without its number")
		}
		m := &mark{}
		it.take(m)
		l.stations[*it.Station] = m
	case "op":
		return l.loadOp(it)
	}
	return nil
}

func (l *link) loadHabits(it *Item) (err error) {
	if l.week, err = parseRanges(it.Week); err != nil {
		return err
	}
	if l.once, err = parseRanges(it.Once); err != nil {
		return err
	}
	l.commands, l.hour = it.Commands, it.Last.UnixNano()/anHour
	l.delays, err = parseDelays(it.Delays)
	return err
}

func (l *link) loadOp(it *Item) error {
	side, kind := slices.Index(sides[:], it.From), slices.Index(protocols.OpNames(), it.Op)
	if side < 0 || kind < 0 {
		return fmt.Errorf("operation from %q that does %q", it.From, it.Op)
	}
	key := opKey{side: protocols.Side(side)}
	if it.Station != nil {
		key.station, key.flags = *it.Station, hasStation
	}
	switch {
	case it.Code != nil:
		key.code, key.flags = *it.Code, key.flags|hasCode
		if it.Sub != nil {
			key.sub, key.flags = *it.Sub, key.flags|hasSub
		}
	case it.Sub != nil:
		key.code = *it.Sub
	}
	o := &op{name: it.Name, op: protocols.Op(kind)}
	it.take(&o.mark)
	l.ops[key] = o
	return nil
}

func (b *Baseline) loadPoints(it *Item) error {
	server := b.host(*it.Server, it.First.UnixNano())
	kind := it.pointKind()
	switch {
	case server == nil:
		return nil
	case kind < 0:
		return fmt.Errorf("unknown kind of points %q", it.Points)
	case it.Kind == "target":
		if it.Addr == nil {
			return fmt.Errorf("target without address")
		}
		return b.loadTarget(server, targetKey{server.number, *it.Station, *it.Addr, kinds[kind]}, it)
	}
	r, err := parseRanges(it.Ranges)
	if err != nil {
		return err
	}
	key := spanKey{server.number, *it.Station, kinds[kind]}
	s := b.spans[key]
	if s == nil {
		s = &spans{server: server}
		b.spans[key] = s
	}
	if it.State == Approved {
		s.approved = r
		it.take(&s.mark)
	} else {
		s.pending = r
		b.runs -= len(s.runs)
		if s.runs, err = parseRuns(it.Runs, it.Last.UnixNano()); err != nil {
			return err
		}
		b.runs += len(s.runs)
		it.take(&s.fresh)
	}
	return nil
}

func (b *Baseline) loadTarget(server *host, key targetKey, it *Item) error {
	t, old := &target{server: server}, b.targets[key]
	if it.Low != nil && it.High != nil {
		t.low, t.high, t.ranged = *it.Low, *it.High, true
		var errLows, errHighs error
		t.lows, errLows = course.ParseExtremes(it.Lows)
		t.highs, errHighs = course.ParseExtremes(it.Highs)
		if err := errors.Join(errLows, errHighs); err != nil {
			return err
		}
	}
	it.take(&t.mark)
	switch {
	case !it.Beyond:
		if old != nil && old.wider != nil && t.approved() {
			t.wider = old.wider
		}
	case !t.ranged || t.approved():
		return errors.New("a range beyond the approved one waits, and has two ends")
	case old != nil && old.approved():
		old.wider = &wider{t.mark, t.low, t.high, t.lows, t.highs}
		return nil
	}
	b.targets[key] = t // also a range beyond one that is not approved: then all of it waits
	return nil
}

var kinds = [...]protocols.Kind{protocols.OtherKind, protocols.BinaryIn, protocols.BinaryOut, protocols.AnalogIn, protocols.AnalogOut, protocols.Counter}

func parseMAC(s string) (m rules.MAC, err error) {
	n, err := fmt.Sscanf(s, "%02x:%02x:%02x:%02x:%02x:%02x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5])
	if err != nil || n != len(m) || len(s) != 17 {
		return m, fmt.Errorf("%q is not a link-layer address", s)
	}
	return m, nil
}
