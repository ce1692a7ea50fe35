package ledger

import (
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A pointKey is one point of one station, whoever its master is.
type pointKey struct {
	key
	kind string
	addr uint32
}

// place is k for all clients.
func (k key) place() key { k.client = netip.Addr{}; return k }

// place names a point of a's station.
func (a *action) place(kind string, addr uint32) pointKey { return pointKey{a.key.place(), kind, addr} }

// An indication is a point that a station reports.
type indication struct {
	kind protocols.Kind
	addr uint32
}

// A mapping is what a station has reported while one command and no other was being carried out, and how often.
type mapping struct {
	seen [4]struct {
		indication
		count int
	}
	imported bool // the first of seen is what a point list says, and nothing is learned
	travel   int64
	shown    *shown
}

// A shown is an indication that is known to follow a command.
type shown struct {
	is        indication
	command   pointKey // of the same station
	followed  int      // changes that followed a command
	alone     int      // changes that nothing explained
	last      float64  // value of the command that it followed last, if hasLast
	hasLast   bool
	value     float64 // that it has reported last, if known
	known     bool
	read      int64 // packet time at which it was, where it is only told when asked for
	commanded int64 // packet time of the last execution; 0 before there was one
	imported  bool  // a point list says that it follows
	reported  bool  // it is known to be reported when it changes, and not only where it is asked for
	double    bool  // value is one of 0 to 3, of which 1 is off and 2 is on
	agreed    int   // times that it followed a command into the state that was commanded
	contrary  int   // and into the other one: its sense is the contrary of the command's
}

// mappings say which indication follows which command. They are learned by co-occurrence, since the position of a breaker
// follows the command of that breaker, or imported.
type mappings struct {
	by       map[pointKey]*mapping // by command
	stations map[key]*station      // what indications follow
	shows    int                   // how many do
	heard    [64]*station          // by connection and station: those that were heard last
}

const (
	maxMappings = 1 << 14
	learned     = 2            // co-occurrences after which an indication is believed
	relied      = 3            // changes that followed a command, after which one that does not follow is missed
	steady      = 5            // and after which a change without a command is odd
	seldom      = 10           // unless more than one change of so many was alone
	aftermath   = int64(60e9)  // for how long after a command a change of its indication is still its own
	misgiving   = int64(120e9) // for how long after any loss a command may be among what was lost
)

// of returns the indication that follows the command at k, if one is known.
func (ms *mappings) of(k pointKey) (indication, bool) {
	m := ms.by[k]
	if m == nil {
		return indication{}, false
	}
	best := m.best()
	return m.seen[best].indication, m.imported || m.seen[best].count >= learned
}

func (m *mapping) best() int {
	best := 0
	for i := range m.seen {
		if m.seen[i].count > m.seen[best].count && !m.imported {
			best = i
		}
	}
	return best
}

// at returns the mapping of k, made if there is none; nil where there is no room.
func (ms *mappings) at(k pointKey) *mapping {
	m := ms.by[k]
	if m == nil && len(ms.by) < maxMappings {
		m = &mapping{}
		ms.by[k] = m
	}
	return m
}

// note counts that i was reported while k was being carried out. Where there is no room the rarest makes it.
func (ms *mappings) note(k pointKey, i indication) {
	m := ms.at(k)
	if m == nil || m.imported {
		return
	}
	rarest := &m.seen[0]
	for n := range m.seen {
		s := &m.seen[n]
		if s.count > 0 && s.indication == i {
			s.count++
			ms.show(k, m)
			return
		}
		if s.count < rarest.count {
			rarest = s
		}
	}
	if rarest.count > 0 {
		rarest.count--
		return
	}
	rarest.indication, rarest.count = i, 1
}

// show keeps the reverse of the mapping of k, once it is believed.
func (ms *mappings) show(k pointKey, m *mapping) {
	i, ok := ms.of(k)
	if !ok {
		return
	}
	if m.shown != nil && m.shown.is == i {
		return
	}
	if sh := (&shown{is: i, command: k}); ms.put(k.key, sh) {
		m.shown = sh
	}
}

// Mapped returns the indication that follows the command of a station, imported or learned; ok is false without one.
func (l *Ledger) Mapped(proto *protocols.Protocol, server netip.AddrPort, station uint32, command protocols.Point) (indicates protocols.Point, ok bool) {
	i, ok := l.maps.of(pointKey{key{proto: proto, server: server.Addr(), port: server.Port(), station: station}, command.Kind.String(), command.Addr})
	return protocols.Point{Kind: i.kind, Addr: i.addr, N: 1}, ok
}

// followed notes that i has followed a.
func (ms *mappings) followed(a *action, i indication) {
	k := a.place(a.record.Point.Kind, a.record.Point.Addr)
	ms.note(k, i)
	m := ms.by[k]
	if m == nil || m.shown == nil || a.record.Value == nil {
		return
	}
	s := m.shown
	s.followed++
	switch is, wants := stateOf(s.value, s.double), commanded(a); {
	case is == between || wants == between:
	case is == wants:
		s.agreed++
	default:
		s.contrary++
	}
	s.last, s.hasLast = *a.record.Value, true
}

// expects says whether a, which is over, should have had an effect. Only of switches: an analog value may stay as it is;
// and not over Modbus, where nobody may ask for it in time.
func (ms *mappings) expects(a *action) bool {
	p := a.record.Point
	if p == nil || a.key.proto.Name == "modbus" || p.N != 1 || p.Kind != protocols.BinaryOut.String() || a.record.Value == nil {
		return false
	}
	m := ms.by[a.place(p.Kind, p.Addr)]
	if m == nil || m.shown == nil || !digital(m.seen[m.best()].kind) {
		return false // a step at the end of its range goes no further
	}
	s := m.shown
	if s.imported {
		is, wants := stateOf(s.value, s.double), commanded(a)
		return s.reported && s.known && s.contrary <= s.agreed && is != between && wants != between && is != wants
	}
	return s.followed >= relied && s.hasLast && s.last != *a.record.Value
}

// patience is how long the effect of a is waited for.
func (l *Ledger) patience(a *action) int64 {
	if p := a.record.Point; p != nil {
		if m := l.maps.by[a.place(p.Kind, p.Addr)]; m != nil && m.travel > 0 {
			return m.travel
		}
	}
	return l.cfg.Effect
}

func digital(k protocols.Kind) bool { return k == protocols.BinaryIn || k == protocols.BinaryOut }

// executed notes when the point of a was commanded.
func (ms *mappings) executed(a *action) {
	if a.record.Executed == nil || a.record.Point == nil {
		return
	}
	for _, p := range a.points() {
		if m := ms.by[a.place(p.Kind, p.Addr)]; m != nil && m.shown != nil {
			m.shown.commanded = max(m.shown.commanded, a.record.Executed.UnixNano())
		}
	}
}

// moved takes a value of what may be an indication: a is the action that it follows, or nil. A change that follows
// nothing is told.
func (l *Ledger) moved(e *rules.Event, p *protocols.Point, a *action) {
	s := l.shown(e, p)
	if s == nil {
		return
	}
	changed := s.known && s.value != p.Value
	s.value, s.known, s.double = p.Value, true, double(e.Msg, p)
	if !changed || a != nil || s.commanded != 0 && e.At-s.commanded < aftermath || l.commanding(s.command) {
		return
	}
	s.hasLast = false // its state is no longer that of the last command
	if e.Flow.Unseen || l.lossAt != 0 && e.At-l.lossAt < misgiving {
		return
	}
	l.alone(e, p, s)
}

// alone counts that s has changed to p without a command, and tells it where s follows commands as a rule.
func (l *Ledger) alone(e *rules.Event, p *protocols.Point, s *shown) {
	if s.alone++; s.followed >= steady && s.alone <= 1+s.followed/seldom {
		l.unasked(e, p)
	}
}

// commanding says whether a command of k is open, of any client.
func (l *Ledger) commanding(k pointKey) bool {
	for _, a := range l.order {
		if a.closed || a.key.place() != k.key {
			continue
		}
		for _, p := range a.points() {
			if p.Kind == k.kind && p.Addr == k.addr {
				return true
			}
		}
	}
	return false
}
