package ledger_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/coverage"
	"github.com/roje-ot/roje/sensor/evidence"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/testdata/need"
)

// clock is what this thread has used of a processor, in nanoseconds.
func clock(t testing.TB) int64 {
	t.Helper()
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
		t.Fatal(err)
	}
	return at.Nano()
}

// packetsOf reads a capture into memory.
func packetsOf(t testing.TB, path string) (list []capture.Packet) {
	t.Helper()
	file, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for {
		var p capture.Packet
		switch err := file.Next(&p); {
		case errors.Is(err, io.EOF):
			return list
		case err != nil:
			t.Fatal(err)
		}
		p.Data = append([]byte(nil), p.Data...)
		list = append(list, p)
	}
}

// faster is how much denser the traffic is than the lab's: 150 packets a second.
const faster = 100

// portion is how many packets are timed together: few enough that some round gets through each without being disturbed.
const portion = 512

// What a pass keeps.
const (
	ringBit = 1 << iota
	ledgerBit
	coverBit
	listBit // point lists that name an indication of every station
	allBits = ringBit | ledgerBit | coverBit
)

// BenchmarkKeeping is what ring, ledger and coverage together cost per message of the lab's normal day, and of that of each
// of its protocols: the thread's processor time with them less that without them. The day is taken in portions; of each the
// least time of all rounds counts, since others run on the machine too: 15 rounds say something (-benchtime 15x). The bar
// is 100 ns. Each is also measured alone, and all of them with point lists.
func BenchmarkKeeping(b *testing.B) {
	day := packetsOf(b, filepath.Join(need.Root(b), "testdata", "day-normal.pcapng.gz"))
	for i := range day { // a day in a quarter of an hour: coverage works by the second, and the lab is a small plant
		day[i].At = day[0].At + (day[i].At-day[0].At)/faster
	}
	ring := evidence.NewRing(evidence.Config{}) // one for all: a sensor's ring has been written to all over
	for n := 0; n < 128<<20; {
		for i := range day {
			ring.Add(&day[i])
			n += len(day[i].Data)
		}
	}
	for _, c := range []struct {
		name string
		port uint16 // 0 for all
	}{{"all", 0}, {"modbus", 502}, {"dnp3", 20000}, {"iec104", 2404}} {
		b.Run(c.name, func(b *testing.B) {
			packets := slices.DeleteFunc(slices.Clone(day), func(p capture.Packet) bool { return c.port != 0 && !of(&p, c.port) })
			keeping(b, ring, packets)
		})
	}
}

// of says whether p is from or to a TCP or UDP port.
func of(p *capture.Packet, port uint16) bool {
	found := gopacket.NewPacket(p.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
	if t := found.TransportLayer(); t != nil {
		src, dst := t.TransportFlow().Endpoints()
		return binary.BigEndian.Uint16(src.Raw()) == port || binary.BigEndian.Uint16(dst.Raw()) == port
	}
	return false
}

// keeping measures what the keeping of packets costs.
func keeping(b *testing.B, ring *evidence.Ring, packets []capture.Packet) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	kinds := []int{0, ringBit, ledgerBit, coverBit, allBits, allBits | listBit}
	var least [2 * listBit][]int64 // of each portion
	messages, records := 0, 0
	list := &everything{of: map[listed][]ledger.Mapping{}}
	noting := &sensor.Pipeline{Know: func(*rules.Event) {}, Record: list.note, Judge: func(*rules.Event) {}, Events: &sensor.Lines{}}
	table := flow.New(flow.Config{Protocols: catalog.All}, noting.Handler())
	for i := range packets {
		p := packets[i]
		table.Packet(&p)
	}
	for b.Loop() {
		for _, with := range kinds {
			l := ledger.New(ledger.Config{}, func(*ledger.Record) { records++ })
			if with&listBit != 0 {
				l.Use(list)
			}
			pipe := &sensor.Pipeline{Know: func(*rules.Event) {}, Record: func(*rules.Event) {}, Judge: func(*rules.Event) {}, Events: &sensor.Lines{}}
			if with&ledgerBit != 0 {
				pipe.Record, pipe.Over = l.Take, l.Closed
			}
			table := flow.New(flow.Config{Protocols: catalog.All}, pipe.Handler())
			book := coverage.New(coverage.Config{}, nil)
			source := book.Source("day", table)
			if with&coverBit != 0 {
				pipe.Closed = source.Closed
			}
			runtime.GC()
			looked, number := int64(0), 0
			for part := range slices.Chunk(packets, portion) {
				began := clock(b)
				for i := range part {
					p := part[i]
					if with&ringBit != 0 {
						ring.Add(&p)
					}
					table.Packet(&p)
					if with&coverBit != 0 && p.At-looked >= int64(time.Second) {
						looked = p.At
						source.Look()
						book.Tick(p.At)
					}
				}
				used := clock(b) - began
				if number == len(least[with]) {
					least[with] = append(least[with], used)
				}
				least[with][number] = min(least[with][number], used)
				number++
			}
			messages = int(pipe.Messages)
		}
	}
	took := func(with int) (ns float64) {
		for _, used := range least[with] {
			ns += float64(used)
		}
		return ns / float64(messages)
	}
	pipeline := took(0)
	per := func(with int) float64 { return took(with) - pipeline }
	b.ReportMetric(per(ringBit), "ring-ns/msg")
	b.ReportMetric(per(ledgerBit), "ledger-ns/msg")
	b.ReportMetric(per(coverBit), "coverage-ns/msg")
	b.ReportMetric(per(allBits), "all-ns/msg")
	b.ReportMetric(per(allBits|listBit), "listed-ns/msg")
	b.ReportMetric(per(allBits)/100, "of-bar")
	b.ReportMetric(pipeline, "pipeline-ns/msg")
	b.ReportMetric(per(allBits)/pipeline, "of-pipeline")
	b.ReportMetric(0, "ns/op")
	if records == 0 {
		b.Fatal("the day has no commands")
	}
	switches := 0
	for _, of := range list.of {
		switches += len(of)
	}
	b.Logf("%d packets, %d messages, %d rounds; %d switches of %d stations are listed", len(packets), messages, b.N, switches, len(list.of))
}

// everything is a point list in which each switch that a station reports follows a command of its own.
type everything struct {
	rules.Labels
	of map[listed][]ledger.Mapping
}

// listed is a station.
type listed struct {
	proto   *protocols.Protocol
	server  netip.AddrPort
	station uint32
}

// note takes the switches that e reports into the list.
func (l *everything) note(e *rules.Event) {
	if e.What != rules.Message || e.Msg.From != protocols.Server {
		return
	}
	at := listed{e.Msg.Proto, e.Flow.Server, e.Msg.Station}
	for _, p := range e.Msg.Points {
		here := protocols.Point{Kind: p.Kind, Addr: p.Addr}
		if p.Kind != protocols.BinaryIn && p.Kind != protocols.BinaryOut || p.Has&protocols.HasValue == 0 ||
			slices.ContainsFunc(l.of[at], func(m ledger.Mapping) bool { return m.Indicates == here }) {
			continue
		}
		l.of[at] = append(l.of[at], ledger.Mapping{Command: protocols.Point{Kind: protocols.BinaryOut, Addr: 60000 + p.Addr}, Indicates: here, Reported: true})
	}
}

func (l *everything) Mappings(proto *protocols.Protocol, server netip.AddrPort, station uint32) []ledger.Mapping {
	return l.of[listed{proto, server, station}]
}

func (l *everything) Label(netip.AddrPort, *protocols.Message, *protocols.Point) *rules.Label {
	return nil
}
