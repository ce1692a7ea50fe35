package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/ledger/ledgertest"
)

// A deed is one control transaction that a stack was asked for. Its outcome is what the stack says of it afterwards.
type deed struct {
	kind    int // function code, group or type
	addr    int
	value   float64
	model   ledger.Model
	shown   bool // the record has the value
	fate    int  // what else is done with it, which only the lab's masters can; 0 is nothing
	outcome ledger.Outcome
}

func (d *deed) String() string {
	return fmt.Sprintf("%s %d %d=%v: %s", d.model, d.kind, d.addr, d.value, d.outcome)
}

// line is d as a script reads it.
func (d *deed) line() string {
	selects := 0
	if d.model == ledger.Select {
		selects = 1
	}
	return fmt.Sprintf("%d %d %v %d\n", d.kind, d.addr, d.value, selects)
}

const (
	deedsAll = 1000
	shifts   = 8               // sessions that share the deeds, at once: most of their time is waiting for what never comes
	patience = 2 * time.Second // how long the stacks wait for an answer
	slower   = 10              // so that their patience is longer than the ledger's
	lossRuns = 20              // times that other packets are lost
)

// A party is a stack that carries out deeds: a client and a server, at least one of them somebody else's.
type party struct {
	name   string
	port   uint16
	plan   func(rng *rand.Rand, n int) []deed
	act    func(t *testing.T, deeds []deed, port int, r *relay) error // does them through r, and notes their outcomes
	twist  func() func(server bool, b []byte) []byte                  // what happens to one session's bytes on the way
	wants  []ledger.Outcome                                           // that must be among the outcomes
	cannot string                                                     // which outcomes it cannot have, and why
}

// A shift is what one session did, as a tap saw it.
type shift struct {
	deeds   []deed
	packets []capture.Packet
	first   []uint64 // number of each deed's first packet; known from the records of what was seen without loss
}

// work does n deeds in shifts at once.
func (p *party) work(t *testing.T) []*shift {
	t.Helper()
	all := make([]*shift, shifts)
	failed := make([]error, shifts)
	relays := make([]*relay, shifts)
	var wait sync.WaitGroup
	for i := range all {
		port := freePort(t)
		var twist func(bool, []byte) []byte
		if p.twist != nil {
			twist = p.twist()
		}
		relays[i] = newTwisted(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), twist)
		all[i] = &shift{deeds: p.plan(rand.New(rand.NewPCG(20261121, uint64(i))), deedsAll/shifts)}
		wait.Go(func() { failed[i] = p.act(t, all[i].deeds, port, relays[i]) })
	}
	wait.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	for i, r := range relays {
		r.close()
		all[i].packets = r.packets(t, ways[0], p.port, slower)
	}
	return all
}

// watch gives the ledger what a sensor sees that loses each packet with the given probability.
func (s *shift) watch(loss float64, seed uint64) []*ledger.Record {
	rng := rand.New(rand.NewPCG(seed, 7))
	tap := ledgertest.New(ledger.Config{}, nil)
	for i := range s.packets {
		if p := s.packets[i]; rng.Float64() >= loss {
			tap.Packet(&p)
		}
	}
	later := s.packets[0] // the tap goes on after the connections have ended
	for range 2 * len(s.deeds) {
		later.At = max(later.At, s.packets[len(s.packets)-1].At) + time.Minute.Nanoseconds()
		tap.Packet(&later)
	}
	records := tap.End()
	slices.SortStableFunc(records, func(a, b *ledger.Record) int { return int(a.Frames[0]) - int(b.Frames[0]) })
	return records
}

// of is the number of the deed that r is a record of, or -1.
func (s *shift) of(r *ledger.Record) int {
	i, found := slices.BinarySearch(s.first, r.Frames[0])
	if found {
		return i
	}
	return i - 1
}

// truth is d as a record of it must be.
func (d *deed) truth() ledgertest.Truth {
	return ledgertest.Truth{Outcome: d.outcome, Model: d.model, Addr: uint32(d.addr), Value: d.value, Valued: d.shown}
}

// late says whether the answer came when the stack, on a busy machine, had given up waiting for it, so that both are right.
func (d *deed) late(r *ledger.Record) bool {
	const given = float64(patience*slower) / 1e6
	return d.outcome == ledger.Timeout && r.Outcome != ledger.Timeout && r.LatencyMS != nil && *r.LatencyMS > given*0.9
}

// hold holds the ledger against what a stack says of its deeds, without loss and with.
func (p *party) hold(t *testing.T) {
	all := p.work(t)
	packets, late := 0, 0
	for _, loss := range []float64{0, 0.01, 0.05} {
		table, wrong := ledgertest.Confusion{}, 0
		for number, s := range all {
			for seed := range lossRuns {
				if loss == 0 && seed > 0 {
					break
				}
				records := s.watch(loss, uint64(seed))
				if loss == 0 {
					packets += len(s.packets)
					if len(records) != len(s.deeds) {
						t.Fatalf("%s, session %d: %d records of %d transactions", p.name, number, len(records), len(s.deeds))
					}
					for i, r := range records {
						s.first = append(s.first, r.Frames[0])
						if d := &s.deeds[i]; d.late(r) {
							late++
							d.outcome = r.Outcome
						}
					}
				}
				for _, r := range records {
					i := s.of(r)
					if i < 0 {
						t.Errorf("a record of nothing: %+v", r)
						continue
					}
					d := &s.deeds[i]
					table.Add(d.outcome, r)
					if what := d.truth().Wrong(r, loss); what != "" {
						if wrong++; wrong <= 5 {
							t.Errorf("%s, session %d, transaction %d, %g %% lost: the %s differs: the stack says %v; the ledger %+v, point %+v", p.name, number, i, 100*loss, what, d, r, r.Point)
						}
					}
				}
			}
		}
		if loss == 0 {
			if none := table.Lacks(p.wants...); none != nil {
				t.Errorf("%s: no transaction was %s", p.name, none)
			}
		}
		t.Logf("%s: %d packets, %g %% lost, %d records are wrong\n%v", p.name, packets, 100*loss, wrong, table)
	}
	if late > 0 {
		t.Logf("%s: %d answers came when the stack had given up waiting for them", p.name, late)
	}
	if p.cannot != "" {
		t.Logf("%s cannot: %s", p.name, p.cannot)
	}
}

// script is the act of a program that runs both ends: it reads deeds, and says of each what became of it.
func script(argv ...string) func(*testing.T, []deed, int, *relay) error {
	return func(t *testing.T, deeds []deed, port int, r *relay) error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, argv[0], append(slices.Clone(argv[1:]), strconv.Itoa(port), strconv.Itoa(r.port()), strconv.Itoa(int(patience.Milliseconds())))...)
		var in strings.Builder
		for i := range deeds {
			in.WriteString(deeds[i].line())
		}
		var stderr bytes.Buffer
		cmd.Stdin, cmd.Stderr = strings.NewReader(in.String()), &stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%w\n%s\n%s", err, &stderr, tail(out))
		}
		said := read(t, out)
		if len(said) != len(deeds) {
			return fmt.Errorf("%d of %d transactions were reported\n%s", len(said), len(deeds), &stderr)
		}
		for i, r := range said {
			word, _ := r["outcome"].(string)
			if deeds[i].outcome = ledger.Outcome(word); !slices.Contains(ledger.Outcomes, deeds[i].outcome) {
				return fmt.Errorf("transaction %v: no outcome in %v", &deeds[i], r)
			}
		}
		return nil
	}
}
