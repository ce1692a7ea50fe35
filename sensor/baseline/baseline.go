package baseline

import (
	"maps"
	"net/netip"

	"go.etcd.io/bbolt"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/course"
)

// Options are the settings of a baseline.
type Options struct {
	Phase    rules.Phase
	ReadOnly bool // only look at the state: Flush writes nothing
}

// A Baseline is the memory of one sensor. One goroutine uses it.
type Baseline struct {
	Overflow Overflow // what found no room since Open

	phase    rules.Phase
	readOnly bool
	db       *bbolt.DB // nil: nothing is stored

	hosts   map[netip.Addr]*host
	links   map[linkKey]*link
	spans   map[spanKey]*spans
	targets map[targetKey]*target
	protos  []string // by the number in linkKey
	numbers uint32   // of hosts given out
	knows   bool     // something is approved
	runs    int      // of all sets of pending points
	gone    []string // keys to delete from the file

	versions []Version
	texts    map[int][]byte // items of versions that are not in the file yet

	unwritten unwritten
	lists     Lists // nil: there are none
	pause     func(client, server netip.Addr, at int64) bool

	cache   [256]context
	symbols []symbol
	courses course.Memory // of the values of measured points
}

// Overflow counts what found no room in a full table.
type Overflow struct{ Hosts, Links, Stations, Ops, Points, Targets uint64 }

// Full returns by table how many sightings found no room in it since Open; tables that had room for all are not in it.
func (b *Baseline) Full() map[string]uint64 {
	o := &b.Overflow
	full := map[string]uint64{"hosts": o.Hosts, "links": o.Links, "stations": o.Stations, "ops": o.Ops, "points": o.Points, "targets": o.Targets, "values": b.courses.Overflow}
	maps.DeleteFunc(full, func(_ string, n uint64) bool { return n == 0 })
	return full
}

// A context is who a message is between.
type context struct {
	from, to       netip.AddrPort
	proto          *protocols.Protocol
	client, server *host // nil: not known
	link           *link // nil: not known

	// What the last message of each side was, since the next is often the same again.
	recent [2]struct {
		key     opKey
		op      *op
		station *mark
	}
	spanKey spanKey
	spans   *spans

	track        *course.Track
	trackStation uint32
}

func empty(o Options) *Baseline {
	return &Baseline{
		phase: o.Phase, readOnly: o.ReadOnly, hosts: map[netip.Addr]*host{}, links: map[linkKey]*link{}, spans: map[spanKey]*spans{},
		targets: map[targetKey]*target{},
	}
}

// Phase returns the phase.
func (b *Baseline) Phase() rules.Phase { return b.phase }

// SetPhase changes the phase.
func (b *Baseline) SetPhase(p rules.Phase) { b.phase = p }

// Pause has b learn nothing where f says so, of a client, a server and a packet time. f must be cheap: it is asked for
// each message that would be learned.
func (b *Baseline) Pause(f func(client, server netip.Addr, at int64) bool) { b.pause = f }

// paused tells whether nothing is to be learned of e.
func (b *Baseline) paused(e *rules.Event) bool {
	return b.pause != nil && b.pause(e.Flow.Client.Addr(), e.Flow.Server.Addr(), e.At)
}

// Judge fills in e.Facts and, in the phase Learn, learns from e. It allocates nothing for traffic that is known.
func (b *Baseline) Judge(e *rules.Event) {
	e.Facts = rules.Facts{Phase: b.phase}
	switch {
	case e.What == rules.Message && e.Msg != nil && e.Msg.Proto != nil:
		b.message(e)
	case e.What == rules.ARP:
		b.arp(e)
	case e.What == rules.Connection:
		b.connection(e)
	}
}

func (b *Baseline) message(e *rules.Event) {
	c := b.context(e)
	m := e.Msg
	e.Facts.ClientServes = c.client != nil && c.client.answers
	e.Facts.ServerServes = c.server != nil && c.server.answers
	e.Facts.ClientAsks = c.client != nil && c.client.asks
	b.heard(c, e.At)
	if m.From == protocols.Server && m.HasCode && m.Faults == 0 && !(e.Facts.ServerServes && e.Facts.ClientAsks) {
		b.answers(e)
		c = b.context(e)
	}
	if b.phase == rules.Off {
		return
	}
	key := b.opKey(m)
	phase := b.phase
	if c.client != nil && c.client.again || c.server != nil && c.server.again {
		phase = rules.Learn
		e.Facts.Phase = phase
	}
	paused := phase == rules.Learn && b.paused(e)
	if phase == rules.Learn && !paused {
		c = b.learn(e, c, key)
	}
	o, station := c.op(key)
	e.Facts.Approved = o != nil && o.approved()
	b.figures(e, c)
	if phase == rules.Enforce && b.knows {
		c.touch(o, station, e.At)
		e.Facts.Held = o != nil && o.state == Held
		b.compare(e, c, station)
	}
	if !paused {
		b.values(e, c, phase)
	}
}

// heard keeps the times of hosts that are remembered without being learned.
func (b *Baseline) heard(c *context, at int64) {
	for _, h := range [...]*host{c.client, c.server} {
		if h != nil && h.state == "" {
			h.count++
			h.first, h.last = min(h.first, at), max(h.last, at)
		}
	}
}

// answers notes that the server's host answers as one, and the client's host asks.
func (b *Baseline) answers(e *rules.Event) {
	server := b.host(e.Flow.Server.Addr(), e.At)
	if server == nil {
		return
	}
	server.answers = true
	server.dirty = server.dirty || server.state != ""
	if client := b.host(e.Flow.Client.Addr(), e.At); client != nil {
		client.asks = true
		client.dirty = client.dirty || client.state != ""
	}
}

// context returns what is known of the two ends.
func (b *Baseline) context(e *rules.Event) *context {
	c := &b.cache[e.Flow.Conn%uint64(len(b.cache))]
	if c.from == e.Flow.Client && c.to == e.Flow.Server && c.proto == e.Msg.Proto {
		return c
	}
	*c = context{from: e.Flow.Client, to: e.Flow.Server, proto: e.Msg.Proto,
		client: b.hosts[e.Flow.Client.Addr()], server: b.hosts[e.Flow.Server.Addr()]}
	if c.client != nil && c.server != nil {
		c.link = b.links[b.linkKey(c.client, c.server, e)]
	}
	return c
}

// forget empties the cache, since what it points to may have changed.
func (b *Baseline) forget() { clear(b.cache[:]) }

// op returns what was learned of an operation, and of its station; nil where nothing was.
func (c *context) op(key opKey) (*op, *mark) {
	if c.link == nil {
		return nil, nil
	}
	r := &c.recent[key.side]
	if r.op != nil && r.station != nil && r.key == key {
		return r.op, r.station
	}
	r.key, r.op, r.station = key, c.link.ops[key], nil
	if key.flags&hasStation != 0 {
		r.station = c.link.stations[key.station]
	}
	return r.op, r.station
}

// span returns the points of a kind that were learned of a station of the server; nil where none were.
func (b *Baseline) span(c *context, key spanKey) *spans {
	if c.spans == nil || c.spanKey != key {
		c.spanKey, c.spans = key, b.spans[key]
	}
	return c.spans
}

// firstEphemeral is the lowest port that hosts pick by themselves (RFC 6335 says 49152, Linux 32768).
const firstEphemeral = 32768

// linkKey names the link of e. An outstation that calls its master has a port of its own picking; its link is the one
// on the protocol's port.
func (b *Baseline) linkKey(client, server *host, e *rules.Event) linkKey {
	port := e.Flow.Server.Port()
	if tcp := e.Msg.Proto.TCP; port >= firstEphemeral && len(tcp) > 0 {
		port = tcp[0]
	}
	return linkKey{client.number, server.number, b.proto(e.Msg.Proto.Name), port}
}

// proto numbers the protocols.
func (b *Baseline) proto(name string) uint8 {
	for i, p := range b.protos {
		if p == name {
			return uint8(i)
		}
	}
	b.protos = append(b.protos, name)
	return uint8(len(b.protos) - 1)
}
