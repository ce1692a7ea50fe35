package coverage

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano()

// A talk is one Modbus connection that polls, frame by frame.
type talk struct {
	client, server netip.AddrPort
	seq            [2]uint32
	ipid           uint16
}

func newTalk(client, server string) *talk {
	return &talk{client: netip.MustParseAddrPort(client), server: netip.MustParseAddrPort(server), seq: [2]uint32{1000, 9000}}
}

// frame is what one end sends next.
func (k *talk) frame(side int, payload []byte) []byte {
	from, to := k.client, k.server
	if side == serverSide {
		from, to = to, from
	}
	k.ipid++
	b := []byte{2, 0, 0, 0, 0, byte(2 - side), 2, 0, 0, 0, 0, byte(1 + side), 8, 0, 0x45, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(40+len(payload)))
	b = append(binary.BigEndian.AppendUint16(b, k.ipid), 0, 0, 64, 6, 0, 0)
	b = append(append(b, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, from.Port()), to.Port())
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, k.seq[side]), k.seq[1-side])
	k.seq[side] += uint32(len(payload))
	return append(append(b, 0x50, 0x18, 1, 0, 0, 0, 0, 0), payload...)
}

// poll is a request and its answer.
func (k *talk) poll(n uint16) [2][]byte {
	id := []byte{byte(n >> 8), byte(n)}
	return [2][]byte{
		k.frame(clientSide, append(append([]byte{}, id...), 0, 0, 0, 6, 1, 3, 0, 0, 0, 2)),
		k.frame(serverSide, append(append([]byte{}, id...), 0, 0, 0, 7, 1, 3, 4, 0, 1, 0, 2)),
	}
}

// A bench is a Book with one source, in packet time.
type bench struct {
	t     *testing.T
	book  *Book
	table *flow.Table
	src   *Source
	now   int64
	frame uint64
	found []Finding
}

type closer struct {
	flow.Ignore
	b *bench
}

func (c closer) Closed(conn *flow.Conn, _ flow.Reason) { c.b.src.Closed(conn) }

func newBench(t *testing.T, c Config) *bench {
	b := &bench{t: t, now: start}
	b.book = New(c, func(f Finding) { b.found = append(b.found, f) })
	b.table = flow.New(flow.Config{Protocols: catalog.All}, closer{b: b})
	b.src = b.book.Source("span", b.table)
	b.book.Begin(time.Unix(0, start))
	return b
}

func (b *bench) packet(frame []byte) {
	b.frame++
	b.table.Packet(&capture.Packet{At: b.now, Frame: b.frame, Link: capture.Ethernet, Data: frame, OrigLen: len(frame)})
}

// until lets seconds pass; each is called for every second, before it is looked and ticked.
func (b *bench) until(seconds int, each func(second int)) {
	for n := range seconds {
		if each != nil {
			each(n)
		}
		b.now += int64(time.Second)
		b.table.Tick(b.now)
		b.src.Look()
		b.book.Tick(b.now)
		if total := b.src.Total(); !total.Exact() {
			b.t.Fatalf("after %d s: %+v", n, total)
		}
	}
}

// told are the rules of what was found since the last call, "-" before those that are over.
func (b *bench) told() string {
	var all []string
	for _, f := range b.found {
		name := strings.TrimPrefix(f.Rule, "sensor-link-")
		if f.Over {
			name = "-" + name
		}
		for _, host := range []netip.Addr{f.Client, f.Server} {
			if host.IsValid() {
				name += " " + host.String()
			}
		}
		all = append(all, name)
	}
	b.found = nil
	return strings.Join(all, ", ")
}

func (b *bench) want(what, want string) {
	b.t.Helper()
	if got := b.told(); got != want {
		b.t.Errorf("%s: told %q, want %q", what, got, want)
	}
}

var quick = Config{OneSided: 8 * time.Second, Undecoded: 20 * time.Second, Silent: 20 * time.Second, Learn: 30 * time.Second}
