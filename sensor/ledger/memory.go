package ledger

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/roje-ot/roje/protocols"
)

// A Memory is what a Ledger has learned: which indication follows which command, how stations take commands, and the
// figures of clients. It owns its memory. What stations reported last is not in it: it may change while nobody looks.
type Memory struct {
	Seed     uint64         `json:"seed"` // with which targets are counted
	Mappings []learnedMap   `json:"mappings,omitempty"`
	Takes    []learnedWay   `json:"takes,omitempty"`
	Clients  []learnedActor `json:"clients,omitempty"`
}

// A learnedPoint is a pointKey on disk.
type learnedPoint struct {
	Proto   string         `json:"proto"`
	Client  netip.Addr     `json:"client,omitzero"` // where it is one client's
	Server  netip.AddrPort `json:"server"`
	Station uint32         `json:"station"`
	Kind    string         `json:"kind"`
	Addr    uint32         `json:"addr"`
}

// A learnedMap is what was reported while a command was carried out.
type learnedMap struct {
	learnedPoint
	Seen     []learnedIndication `json:"seen"`
	Shown    bool                `json:"shown,omitempty"` // the first of Seen is known to follow
	Followed int                 `json:"followed,omitempty"`
	Alone    int                 `json:"alone,omitempty"`
}

type learnedIndication struct {
	Kind  string `json:"kind"`
	Addr  uint32 `json:"addr"`
	Count int    `json:"count"`
}

type learnedWay struct {
	learnedPoint
	Way way `json:"way"`
}

// A learnedActor is what is known of one client's actions.
type learnedActor struct {
	Client  netip.Addr `json:"client"`
	Actions int        `json:"actions"`
	NotDone uint32     `json:"not_done"`
	Fresh   uint32     `json:"fresh"`
	Targets []uint64   `json:"targets,omitempty"`
}

// What of each is kept at most; of clients, those with most actions. Together they take a few megabytes on disk at most.
const (
	keptTakes   = 1 << 14
	keptTargets = 1 << 16 // of all clients
	mostMemory  = 64 << 20
)

// Memory returns what has been learned, or nil if that is what it was when it was asked last.
func (l *Ledger) Memory() *Memory {
	if !l.changed {
		return nil
	}
	l.changed = false
	m := &Memory{Seed: l.masters.seed}
	for k, v := range l.maps.by {
		if !v.imported {
			m.Mappings = append(m.Mappings, v.keep(k))
		}
	}
	for k, w := range l.takes {
		if len(m.Takes) == keptTakes {
			break
		}
		m.Takes = append(m.Takes, learnedWay{onDisk(k), w})
	}
	m.Clients = l.masters.keep()
	return m
}

func onDisk(k pointKey) learnedPoint {
	return learnedPoint{Proto: k.proto.Name, Client: k.client, Server: netip.AddrPortFrom(k.server, k.port), Station: k.station, Kind: k.kind, Addr: k.addr}
}

// keep is m on disk: the indication that follows comes first.
func (m *mapping) keep(k pointKey) learnedMap {
	out := learnedMap{learnedPoint: onDisk(k)}
	best := m.best()
	for n := range m.seen {
		s := m.seen[(best+n)%len(m.seen)]
		if s.count > 0 {
			out.Seen = append(out.Seen, learnedIndication{s.kind.String(), s.addr, s.count})
		}
	}
	if m.shown != nil {
		out.Shown, out.Followed, out.Alone = true, m.shown.followed, m.shown.alone
	}
	return out
}

// keep is what is known of the clients with most actions.
func (ms *masters) keep() (list []learnedActor) {
	for addr, m := range ms.of {
		list = append(list, learnedActor{Client: addr, Actions: m.actions, NotDone: m.notDone, Fresh: m.fresh})
	}
	slices.SortFunc(list, func(a, b learnedActor) int {
		return cmp.Or(cmp.Compare(b.Actions, a.Actions), a.Client.Compare(b.Client))
	})
	room := keptTargets
	for i := range list {
		targets := ms.of[list[i].Client].targets
		if len(targets) > room { // half of them would make the rest look new
			return list[:i]
		}
		for t := range targets {
			list[i].Targets = append(list[i].Targets, t)
		}
		room -= len(targets)
	}
	return list
}

// Recall makes l know what m says, and protos are the protocols that it may speak of. Call it before the first event, and
// before Map: what is imported takes the place of what was learned. What was learned of a protocol that is not known is
// left out.
func (l *Ledger) Recall(m *Memory, protos []*protocols.Protocol) {
	known := map[string]*protocols.Protocol{}
	for _, p := range protos {
		known[p.Name] = p
	}
	for _, v := range m.Mappings {
		if k, ok := v.key(known); ok {
			l.maps.recall(k, v)
		}
	}
	for _, v := range m.Takes {
		if k, ok := v.key(known); ok && len(l.takes) < maxTakes {
			l.takes[k] = v.Way
		}
	}
	l.masters.seed = m.Seed
	for _, v := range m.Clients {
		if len(l.masters.of) == maxMasters {
			break
		}
		who := &master{actions: v.Actions, notDone: v.NotDone & recent, fresh: v.Fresh & recent, targets: map[uint64]struct{}{}}
		for _, t := range v.Targets[:min(len(v.Targets), maxTargets)] {
			who.targets[t] = struct{}{}
		}
		l.masters.of[v.Client] = who
	}
}

// key is the point in memory.
func (p *learnedPoint) key(protos map[string]*protocols.Protocol) (pointKey, bool) {
	proto := protos[p.Proto]
	return pointKey{key{proto, p.Client, p.Server.Addr(), p.Server.Port(), p.Station}, p.Kind, p.Addr}, proto != nil
}

// recall makes the mapping of k what v says.
func (ms *mappings) recall(k pointKey, v learnedMap) {
	m := ms.at(k)
	if m == nil || m.imported {
		return
	}
	*m = mapping{}
	for n := range min(len(v.Seen), len(m.seen)) {
		s := v.Seen[n]
		m.seen[n].indication, m.seen[n].count = indication{kindOf(s.Kind), s.Addr}, s.Count
	}
	if !v.Shown {
		return
	}
	if ms.show(k, m); m.shown != nil {
		m.shown.followed, m.shown.alone = v.Followed, v.Alone
	}
}

// encode is m as bytes.
func (m *Memory) encode() ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	err := errors.Join(json.NewEncoder(z).Encode(m), z.Close())
	return b.Bytes(), err
}

// decode reads what encode wrote.
func (m *Memory) decode(b []byte) error {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return json.NewDecoder(io.LimitReader(z, mostMemory)).Decode(m)
}

// ErrForgotten says that what a store keeps of a Memory is of no use, and that all is learned anew.
var ErrForgotten = errors.New("what the ledger has learned cannot be read")

var keyMemory = []byte("memory") // of the bucket of meta: a Memory

// Recalled returns what the store keeps of what was learned; nil if it has none, or with ErrForgotten.
func (s *Store) Recalled() (*Memory, error) {
	var m *Memory
	err := view(s.path, func(_ *bolt.Tx, _, meta *bolt.Bucket) error {
		b := meta.Get(keyMemory)
		if b == nil {
			return nil
		}
		m = &Memory{}
		if err := m.decode(b); err != nil {
			m = nil
			return fmt.Errorf("%w: %w", ErrForgotten, err)
		}
		return nil
	})
	return m, err
}

// Remember writes m into the store, in the place of what was there; nil leaves that. What the disk does not take is tried
// again with the next call. It may be called at any time before Close. Others wait for the file meanwhile.
func (s *Store) Remember(m *Memory) error {
	s.memory.Lock()
	defer s.memory.Unlock()
	if m != nil {
		s.unsaved = m
	}
	if s.unsaved == nil {
		return nil
	}
	b, err := s.unsaved.encode()
	if err != nil {
		return fmt.Errorf("ledger %s: %w", s.path, err)
	}
	if err := s.update(func(_ *bolt.Tx, _, meta *bolt.Bucket) error { return meta.Put(keyMemory, b) }); err != nil {
		return err
	}
	s.unsaved = nil
	return nil
}
