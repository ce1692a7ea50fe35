// Package ledger keeps the record of control actions: one record per action of an operator or a program, across the
// protocols, with what became of it. A Modbus write and its answer, a DNP3 SELECT and OPERATE and their status, a 104
// select, execute, confirmation, return information and termination are one record each.
//
// Every action ends in an outcome. Timeout is said only where it is proven: a later message of the same connection,
// without loss and with nothing acknowledged that was not seen, shows that no answer was missed. Otherwise, and over
// UDP always, an action without an answer is UnknownGap.
//
// All time is packet time. A Ledger is used by one goroutine.
package ledger

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// Config bounds a Ledger. The zero value works.
type Config struct {
	Timeout int64 // nanoseconds without an answer after which an action has timed out; 0 means 10 s
	Effect  int64 // nanoseconds to wait, after the confirmation, for return information, termination or read-back; 0 means 10 s
	Open    int   // actions open at once; the oldest is closed as UnknownGap beyond; 0 means 4096

	// Tell takes what rules may judge: an action that is over, and a change that no command explains. The event is valid
	// for the duration of the call. May be nil.
	Tell func(*rules.Event)
}

func (c Config) orDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = 10e9
	}
	if c.Effect == 0 {
		c.Effect = 10e9
	}
	if c.Open == 0 {
		c.Open = 4096
	}
	return c
}

const (
	unproven  = int64(300e9) // how long an action that is due waits for the proof that nothing was missed
	doubtful  = int64(10e9)  // for how long after a loss of a master's bytes a select may be among them
	maxLosses = 1024         // connections whose last loss is remembered
	maxHoled  = 4096         // stations that are remembered to have had one; with more, all count as if they had
)

// A Ledger follows the control actions of all connections.
type Ledger struct {
	cfg     Config
	emit    func(*Record)
	open    map[uint64][]*action // by the sum of their keys
	few     [256]int             // how many there are, by the lowest octet of it: most messages belong to none
	seed    uint64
	sum     uint64                      // of the event's key; 0 before it is needed
	cot     *protocols.Field            // of proto, if it has one
	follow  func(*Ledger, *rules.Event) // of proto, whose message came last
	proto   *protocols.Protocol
	order   []*action // by the time they were opened; closed ones are dropped lazily
	due     map[uint64][]*action
	losses  map[uint64]int64 // packet time of the last loss of a master's bytes, by connection
	maps    mappings
	writes  writes
	masters masters
	takes   map[pointKey]way            // how stations of 104 take a command
	holed   map[netip.AddrPort]struct{} // stations of which bytes, of either side, were lost at any time
	points  Points                      // what point lists say; may be nil
	changed bool                        // since Memory was asked
	count   int
	now     int64
	next    int64 // no open action can expire before
	lossAt  int64 // packet time of the last loss of anything; 0 before there was one

	event  rules.Event // for Tell, with what it points at
	said   protocols.Message
	act    rules.Act
	frames [1]uint64
}

// New returns a ledger that hands each finished record to emit, which may keep it.
func New(cfg Config, emit func(*Record)) *Ledger {
	return &Ledger{cfg: cfg.orDefaults(), emit: emit, open: map[uint64][]*action{}, seed: rand.Uint64(), due: map[uint64][]*action{},
		losses: map[uint64]int64{}, maps: mappings{by: map[pointKey]*mapping{}, stations: map[key]*station{}}, masters: newMasters(), takes: map[pointKey]way{}, holed: map[netip.AddrPort]struct{}{}}
}

// A key finds the open actions that a message may belong to. It leaves out the client's port: a redundant connection
// or a reconnect goes on with the same action.
type key struct {
	proto          *protocols.Protocol
	client, server netip.Addr
	port           uint16
	station        uint32
}

func keyOf(e *rules.Event) key {
	return key{e.Msg.Proto, e.Flow.Client.Addr(), e.Flow.Server.Addr(), e.Flow.Server.Port(), e.Msg.Station}
}

// sum is a number of k that differs for other keys but by chance, and that nobody who sends can choose: what a map would
// make of it takes half of the time of a message.
func (k *key) sum(seed uint64) uint64 {
	h := seed
	for _, a := range [...]netip.Addr{k.client, k.server} {
		b := a.As16()
		h = (h ^ binary.LittleEndian.Uint64(b[8:])) * 0x9e3779b97f4a7c15
		h = (h>>29 ^ h ^ binary.LittleEndian.Uint64(b[:])) * 0xbf58476d1ce4e5b9
	}
	return h>>32 ^ h ^ uint64(k.port)<<32 ^ uint64(k.station)
}

// Take looks at one event. Events that have to do with no control action cost a comparison, or a table look-up where
// actions are open, and allocate nothing.
func (l *Ledger) Take(e *rules.Event) {
	l.now, l.sum = e.At, 0
	switch e.What {
	case rules.Message:
		if l.points != nil && e.Msg.HasStation && e.Msg.From == protocols.Server {
			l.locate(e)
		}
		if l.count == 0 && !commands(e.Msg.Op) && (l.maps.shows == 0 || !tells(e.Msg)) {
			return
		}
		if l.proto != e.Msg.Proto {
			l.proto, l.follow, l.cot = e.Msg.Proto, followers[e.Msg.Proto.Name], field(e.Msg, "cot")
		}
		if l.follow != nil {
			l.follow(l, e)
		}
	case rules.Gap:
		l.lost(e, e.Flow.ServerLost)
	case rules.Unframed:
		l.lost(e, e.Msg.From == protocols.Server)
	}
	if l.count > 0 && e.At >= l.next {
		l.expire()
	}
	if len(l.due) > 0 && e.What == rules.Message {
		l.prove(e.Flow.Conn, e.Flow.Unseen)
	}
}

// followers is how each protocol's messages move an action on.
var followers = map[string]func(*Ledger, *rules.Event){
	"modbus": (*Ledger).modbus,
	"dnp3":   (*Ledger).dnp3,
	"iec104": (*Ledger).iec104,
}

// commands says whether a message that does op can begin an action.
func commands(op protocols.Op) bool { return op == protocols.Operate || op == protocols.Write }

// tells says whether a station says in m how things stand.
func tells(m *protocols.Message) bool {
	return m.Op == protocols.Report || m.Op == protocols.Read && m.From == protocols.Server
}

// Closed says that a connection is over. ended: both ends or one have ended it; unseen: bytes were acknowledged that
// the capture does not hold. What waits for an answer on it has timed out if nothing can have been missed.
func (l *Ledger) Closed(conn uint64, ended, unseen bool) {
	delete(l.losses, conn)
	if unseen {
		l.lossAt = l.now
	}
	if l.count == 0 {
		return
	}
	for _, a := range l.order {
		if a.closed || a.conn != conn || a.done() {
			continue
		}
		if !ended || unseen {
			a.gap = true
		}
		l.close(a, a.settled(Timeout))
	}
}

// Flush closes what is still open, at the end of the captures: what had its confirmation keeps it, the rest is unknown.
func (l *Ledger) Flush() {
	for _, a := range l.order {
		if !a.closed {
			l.close(a, a.settled(UnknownGap))
		}
	}
	l.order = nil
}

// begin opens an action for the request e.
func (l *Ledger) begin(e *rules.Event, model Model) *action {
	if l.count >= l.cfg.Open {
		l.evict()
	}
	k := keyOf(e)
	a := newAction(k, e, model)
	if l.points != nil {
		l.name(a, e)
	}
	if at, ok := l.losses[a.conn]; ok && e.At-at < doubtful {
		a.doubt = true
	}
	a.sum = k.sum(l.seed)
	l.open[a.sum] = append(l.open[a.sum], a)
	l.few[uint8(a.sum)]++
	l.order = append(l.order, a)
	l.count++
	l.wait(a, l.cfg.Timeout)
	return a
}

// wait moves a's deadline to after from now.
func (l *Ledger) wait(a *action, after int64) {
	l.undue(a)
	a.deadline = l.now + after
	if l.count == 1 || a.deadline < l.next {
		l.next = a.deadline
	}
}

// some says whether e's station may have an open action.
func (l *Ledger) some(e *rules.Event) bool {
	if l.count == 0 {
		return false
	}
	if l.sum == 0 {
		k := keyOf(e)
		l.sum = k.sum(l.seed)
	}
	return l.few[uint8(l.sum)] > 0
}

// find returns the newest open action of e's station that match accepts.
func (l *Ledger) find(e *rules.Event, match func(*action) bool) *action {
	if !l.some(e) {
		return nil
	}
	k := keyOf(e)
	list := l.open[l.sum]
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].key == k && match(list[i]) {
			return list[i]
		}
	}
	return nil
}

// close ends a with an outcome and hands its record out.
func (l *Ledger) close(a *action, o Outcome) {
	l.undue(a)
	a.closed = true
	list := without(l.open[a.sum], a)
	if len(list) == 0 {
		delete(l.open, a.sum)
	} else {
		l.open[a.sum] = list
	}
	l.few[uint8(a.sum)]--
	l.count--
	a.record.Outcome = o
	l.changed = true
	l.maps.executed(a)
	l.emit(a.finish())
	l.tell(a)
}

// without takes a out of list, in place.
func without(list []*action, a *action) []*action {
	for i, other := range list {
		if other == a {
			return append(list[:i], list[i+1:]...)
		}
	}
	return list
}

func (l *Ledger) evict() {
	for len(l.order) > 0 {
		a := l.order[0]
		l.order = l.order[1:]
		if !a.closed {
			l.close(a, a.settled(UnknownGap))
			return
		}
	}
}
