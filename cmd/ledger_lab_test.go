package cmd

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/simnet"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/ledger/ledgertest"
)

// A deed is one control transaction of the lab, and what the lab's own stations say became of it.
type deed struct {
	from, to time.Time
	outcome  ledger.Outcome
	model    ledger.Model
	addr     uint32
	value    float64 // of the first point
	valued   bool    // the command has a value of its own
}

// A staged is a network on which one master has done its deeds, as a tap saw it.
type staged struct {
	deeds  []deed
	frames []capture.Packet
}

// stage runs master against a server on a virtual network. Each returns when it is done.
func stage(seed uint64, serve func(h *simnet.Host), master func(h *simnet.Host, server string) []deed) *staged {
	p := &staged{}
	start := time.Date(2026, 3, 9, 6, 0, 0, 0, time.UTC)
	n := simnet.New(start, seed, func(at time.Time, frame []byte) {
		p.frames = append(p.frames, capture.Packet{At: at.UnixNano(), Frame: uint64(len(p.frames) + 1), Link: capture.Ethernet, Data: frame, OrigLen: len(frame)})
	})
	lan := &simnet.LAN{}
	host := func(last byte) *simnet.Host {
		return n.Host(simnet.Spec{Addr: netip.AddrFrom4([4]byte{10, 0, 0, last}), LAN: lan, Think: 2 * time.Millisecond})
	}
	server, client := host(2), host(3)
	serve(server)
	client.Go(func() { p.deeds = master(client, "10.0.0.2") })
	n.Run(start.Add(240 * time.Hour))
	return p
}

// watch gives the ledger what a sensor sees that loses each packet with the given probability.
func (p *staged) watch(loss float64, seed uint64) []*ledger.Record {
	rng := rand.New(rand.NewPCG(seed, 7))
	tap := ledgertest.New(ledger.Config{}, nil)
	for i := range p.frames {
		if rng.Float64() >= loss {
			tap.Packet(&p.frames[i])
		}
	}
	return tap.End()
}

// of finds the deed that r is the record of: the one in whose time its first command was sent.
func (p *staged) of(r *ledger.Record) int {
	began := r.Executed
	if r.Selected != nil {
		began = r.Selected
	}
	return slices.IndexFunc(p.deeds, func(d deed) bool { return !began.Before(d.from) && began.Before(d.to) })
}

const (
	transactions = 1000
	losses       = 20 // times that other packets are lost
)

// TestLedgerLab holds the ledger against what the lab's own masters and stations say of 1,000 random control
// transactions per protocol. A sensor that sees every packet has exactly one record per transaction, and it equals
// what the lab says. A sensor that loses packets may not know an outcome, and never says a wrong one.
func TestLedgerLab(t *testing.T) {
	for _, proto := range []struct {
		name string
		play func(seed uint64) *staged
		all  []ledger.Outcome
	}{
		{"modbus", playModbus, []ledger.Outcome{ledger.Confirmed, ledger.Refused, ledger.Timeout, ledger.Mismatch}},
		{"dnp3", playDNP3, []ledger.Outcome{ledger.Confirmed, ledger.Refused, ledger.Timeout, ledger.NoSelect, ledger.Mismatch, ledger.Cancelled, ledger.UnknownGap}},
		{"iec104", playIEC104, []ledger.Outcome{ledger.Confirmed, ledger.Refused, ledger.Timeout, ledger.NoSelect, ledger.Mismatch, ledger.Cancelled}},
	} {
		p := proto.play(20261121)
		if len(p.deeds) != transactions {
			t.Fatalf("%s: %d transactions were done", proto.name, len(p.deeds))
		}
		for _, loss := range []float64{0, 0.01, 0.05} {
			t.Run(fmt.Sprintf("%s, %g %% lost", proto.name, 100*loss), func(t *testing.T) {
				table, seen := ledgertest.Confusion{}, make([]int, len(p.deeds))
				wrong := 0
				var records []*ledger.Record
				for seed := range losses {
					if loss > 0 || seed == 0 {
						records = append(records, p.watch(loss, uint64(seed))...)
					}
				}
				for _, r := range records {
					i := p.of(r)
					if i < 0 {
						t.Errorf("a record of nothing: %+v", r)
						continue
					}
					d := p.deeds[i]
					seen[i]++
					table.Add(d.outcome, r)
					truth := ledgertest.Truth{Outcome: d.outcome, Model: d.model, Addr: d.addr, Value: d.value, Valued: d.valued}
					if what := truth.Wrong(r, loss); what != "" {
						if wrong++; wrong <= 5 {
							t.Errorf("transaction %d: the %s: lab %+v\nledger %+v point %+v", i, what, d, r, r.Point)
						}
					}
				}
				for i, n := range seen {
					if loss == 0 && n != 1 {
						t.Errorf("transaction %d has %d records: %+v", i, n, p.deeds[i])
					}
				}
				if loss == 0 {
					if none := table.Lacks(proto.all...); none != nil {
						t.Errorf("no transaction was %s", none)
					}
				}
				t.Logf("%d packets, %d wrong\n%v", len(p.frames), wrong, table)
			})
		}
	}
}

// A fickle connection is a station's, whose answers can be swallowed or falsified.
type fickle struct {
	net.Conn
	twist func([]byte) []byte // what is sent instead; nil for what it is given
}

func (f *fickle) Write(b []byte) (int, error) {
	out := b
	if f.twist != nil {
		out = f.twist(append([]byte(nil), b...))
	}
	if len(out) > 0 {
		if _, err := f.Conn.Write(out); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// Abort is what the lab's stations call where they break a connection off.
func (f *fickle) Abort() { f.Conn.Close() }

func swallow([]byte) []byte { return nil }
