package pack_test

import (
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/pack"
)

// dnp3 makes a link frame (IEEE 1815 clause 9) of at most 16 bytes of user data.
func dnp3(control, to, from byte, data ...byte) []byte {
	crc := func(b []byte) []byte {
		var c uint16
		for _, x := range b {
			c ^= uint16(x)
			for range 8 {
				if c&1 != 0 {
					c = c>>1 ^ 0xa6bc
				} else {
					c >>= 1
				}
			}
		}
		return []byte{byte(^c), byte(^c >> 8)}
	}
	head := []byte{0x05, 0x64, byte(5 + len(data)), control, to, 0, from, 0}
	return slices.Concat(head, crc(head), data, crc(data))
}

// polling decodes real frames of ordinary polling, one event per frame: a Modbus read and its answer, a DNP3 class poll
// and its answer, a 104 measured value and an S frame.
func polling(t testing.TB) []*rules.Event {
	frames := []struct {
		proto string
		dir   protocols.Dir
		bytes []byte
	}{
		{"modbus", 0, []byte{0, 1, 0, 0, 0, 6, 1, 3, 0, 10, 0, 4}},
		{"modbus", 1, []byte{0, 1, 0, 0, 0, 11, 1, 3, 8, 0, 1, 0, 2, 0, 3, 0, 4}},
		{"dnp3", 0, dnp3(0xc4, 4, 3, 0xc0, 0xc3, 1, 60, 2, 6, 60, 3, 6, 60, 4, 6)},
		{"dnp3", 1, dnp3(0x44, 3, 4, 0xc0, 0xc3, 129, 0, 0)},
		{"iec104", 1, []byte{0x68, 0x12, 0, 0, 0, 0, 13, 1, 3, 0, 1, 0, 7, 0, 0, 0, 0, 0x80, 0x3f, 0}},
		{"iec104", 0, []byte{0x68, 4, 1, 0, 2, 0}},
	}
	decoders := map[string]protocols.Decoder{}
	var events []*rules.Event
	for i, f := range frames {
		p, ok := catalog.Named(f.proto)
		if !ok {
			t.Fatal(f.proto)
		}
		if decoders[f.proto] == nil {
			decoders[f.proto] = p.New(protocols.Hint{Server: 1, Known: true})
		}
		m := &protocols.Message{}
		if !decoders[f.proto].Decode(protocols.Frame{Dir: f.dir, At: int64(i) * 1e9, Bytes: f.bytes}, m) {
			t.Fatalf("frame %d gives no message", i)
		}
		e := &rules.Event{At: int64(i) * 1e9, Msg: m, Facts: rules.Facts{Phase: rules.Enforce, Approved: true, ServerServes: true, ClientAsks: true},
			Flow: rules.Flow{ClientMAC: rules.MAC{0x02, 0, 0, 0, 0, 10}, ServerMAC: rules.MAC{0x02, 0, 0, 0, 0, 1}, Client: netip.MustParseAddrPort("10.0.0.10:40000"), Server: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), p.TCP[0]), Conn: uint64(i)}}
		events = append(events, e)
	}
	return events
}

// BenchmarkPolling is the cost of one message of ordinary polling under the shipped rules.
func BenchmarkPolling(b *testing.B) {
	set, err := pack.Rules(catalog.All)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range polling(b) {
		b.Run(e.Msg.Proto.Name+"_"+e.Msg.Name, func(b *testing.B) {
			g := engine.New(set, engine.Options{Emit: func(a *rules.Alert) { b.Fatalf("fired: %s", a.Title) }})
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				g.Judge(e)
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// TestPollingAllocates holds that ordinary polling costs no allocation under the shipped rules.
func TestPollingAllocates(t *testing.T) {
	set, err := pack.Rules(catalog.All)
	if err != nil {
		t.Fatal(err)
	}
	g := engine.New(set, engine.Options{Emit: func(a *rules.Alert) { t.Fatalf("fired: %s", a.Title) }})
	events := polling(t)
	all := func() {
		for _, e := range events {
			g.Judge(e)
		}
	}
	all()
	if n := testing.AllocsPerRun(100, all); n != 0 {
		t.Errorf("%v allocations for %d messages, want none", n, len(events))
	}
}

// cpu is the processor time that this process has used, ns: the clock on the wall is noise on a shared machine.
func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
