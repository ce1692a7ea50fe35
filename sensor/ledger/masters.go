package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/netip"

	"github.com/roje-ot/roje/rules"
)

const (
	maxMasters = 1024 // clients whose actions are counted
	maxTargets = 4096 // points that are remembered of one of them; further ones are not new
	recent     = 1<<rules.RecentActs - 1
)

// A master is what is known of one client's actions, over all stations.
type master struct {
	actions int
	notDone uint32 // of the last actions, the newest in the lowest bit
	fresh   uint32 // of the last actions: of a point that it had not commanded before
	targets map[uint64]struct{}
}

// masters are those of all clients.
type masters struct {
	seed uint64 // of the targets, which nobody who sends can then choose
	of   map[netip.Addr]*master
}

func newMasters() masters {
	return masters{rand.Uint64(), map[netip.Addr]*master{}}
}

// count adds a, which is over, and fills in what is then known of its client.
func (ms *masters) count(a *action, act *rules.Act) {
	m := ms.of[a.key.client]
	if m == nil {
		if len(ms.of) >= maxMasters {
			for least := range ms.of { // a flood of clients; one of them is forgotten
				delete(ms.of, least)
				break
			}
		}
		m = &master{targets: map[uint64]struct{}{}}
		ms.of[a.key.client] = m
	}
	m.actions++
	m.notDone, m.fresh = m.notDone<<1&recent, m.fresh<<1&recent
	if a.denied() {
		m.notDone |= 1
	}
	if a.record.Point != nil {
		target := ms.target(a.place(a.record.Point.Kind, a.record.Point.Addr))
		if _, known := m.targets[target]; !known && len(m.targets) < maxTargets {
			m.targets[target] = struct{}{}
			m.fresh |= 1
		}
	}
	act.Actions, act.NotDone, act.NewPoints = m.actions, bits.OnesCount32(m.notDone), bits.OnesCount32(m.fresh)
}

// denied says whether the station did not do what a asked for. A refusal whose reason was lost is one.
func (a *action) denied() bool {
	switch a.record.Outcome {
	case Refused, NoSelect, Mismatch:
		return true
	case UnknownGap:
		return a.record.Status != ""
	}
	return false
}

// target is a number of a point that differs for other points but by chance, and is the same after a restart.
func (ms *masters) target(k pointKey) uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s %d %d %s %d", ms.seed, k.proto.Name, k.server, k.port, k.station, k.kind, k.addr))
	return binary.BigEndian.Uint64(sum[:])
}
