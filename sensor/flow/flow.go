package flow

import (
	"maps"
	"slices"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/capture"
)

// Config bounds a Table. The zero value is useful: each field that is 0 means its default.
type Config struct {
	Protocols   []*protocols.Protocol // what to decode, the strictest probe first; the catalog's list
	MaxConns    int                   // connections in which messages or both directions were seen: 65536
	MaxStrays   int                   // others: half open, scanned, one datagram: 16384
	MaxBytes    int                   // of all buffers together: 256 MiB
	TCPIdle     time.Duration         // a TCP connection is forgotten after this long without a packet: 2 h
	UDPIdle     time.Duration         // a pair of UDP endpoints: 10 min
	StrayIdle   time.Duration         // a half-open connection, or one that ended: 60 s
	HoleTimeout time.Duration         // missing bytes are given up at the latest after this long: 1 s
}

// Fixed bounds, each per direction of a connection.
const (
	maxTail     = 64 << 10 // bytes of an unfinished frame
	maxAhead    = 64 << 10 // bytes behind a hole
	maxSegments = 64       // segments behind a hole
	maxWindow   = 1 << 20  // a segment further ahead is believed only when its receiver acknowledges it
	maxRecent   = 4 << 10  // bytes kept to compare repetitions with; a power of two
	maxProbe    = 2 << 10  // bytes kept until the protocol is known
)

func (c *Config) fill() {
	c.MaxConns = orElse(c.MaxConns, 65536)
	c.MaxStrays = orElse(c.MaxStrays, 16384)
	c.MaxBytes = orElse(c.MaxBytes, 256<<20)
	c.TCPIdle = orElse(c.TCPIdle, 2*time.Hour)
	c.UDPIdle = orElse(c.UDPIdle, 10*time.Minute)
	c.StrayIdle = orElse(c.StrayIdle, time.Minute)
	c.HoleTimeout = orElse(c.HoleTimeout, time.Second)
}

func orElse[T ~int | ~int64](v, fallback T) T {
	if v > 0 {
		return v
	}
	return fallback
}

// A Table holds the connections of one source of packets. It belongs to one goroutine, and reads no clock: time is what
// packets and Tick say.
type Table struct {
	config  Config
	handler Handler
	ports   [2][1 << 16]uint8 // protocol by port, counted from 1; TCP, UDP
	cover   Coverage

	conns4 map[key4]*Conn
	conns6 map[key6]*Conn
	kins   map[kinKey]*kin
	recent *Conn // of the last packet
	lists  lists
	holes  *Conn // connections with a hole, oldest first
	holesN *Conn // the last of them
	held   int   // bytes of all buffers
	lastID uint64

	view          view
	frags         fragments
	msg           protocols.Message
	segments      *segment // spare ones
	spareSegments int
	probes        []*probe
	spare         []*Conn
	scratch       []byte
}

// New makes an empty Table. h hears what it finds.
func New(config Config, h Handler) *Table {
	config.fill()
	t := &Table{config: config, handler: h, conns4: map[key4]*Conn{}, conns6: map[key6]*Conn{}, kins: map[kinKey]*kin{}}
	t.cover.Protocols = map[string]Counters{}
	for i, p := range config.Protocols {
		for _, port := range p.TCP {
			t.ports[0][port] = uint8(i + 1)
		}
		for _, port := range p.UDP {
			t.ports[1][port] = uint8(i + 1)
		}
	}
	t.frags.init()
	return t
}

// Packet takes one packet, calls the Handler with all that it completes, and says what became of it.
func (t *Table) Packet(p *capture.Packet) Bucket {
	t.sweep(p.At, 1)
	if t.held > t.config.MaxBytes {
		t.fit()
	}
	bucket := t.packet(p)
	t.cover.Packets++
	t.cover.Buckets[bucket]++
	return bucket
}

// Tick says what time it is when no packet does: connections that are idle by then are closed, and bytes that were
// waited for too long are given up.
func (t *Table) Tick(now int64) { t.sweep(now, 1<<30) }

// Flush closes all connections: the capture has ended. The Table can be used on.
func (t *Table) Flush() {
	for _, l := range t.lists.all() {
		for l.first != nil {
			t.close(l.first, Flushed)
		}
	}
	t.frags.clear()
}

// Coverage returns the account of all packets so far and of the connections that are closed.
func (t *Table) Coverage() Coverage {
	v := t.cover
	v.Protocols = maps.Clone(v.Protocols)
	return v
}

// Conns returns how many connections are open, and how many bytes all buffers hold.
func (t *Table) Conns() (conns, held int) {
	return len(t.conns4) + len(t.conns6), t.held
}

func (v *Coverage) names() []string { return slices.Sorted(maps.Keys(v.Protocols)) }

// Fragments returns how many IP datagrams wait for fragments, and how many bytes they hold.
func (t *Table) Fragments() (waiting, held int) { return len(t.frags.waiting), t.frags.held }
