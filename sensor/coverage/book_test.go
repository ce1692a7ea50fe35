package coverage

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules/batch/proof"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/testdata/need"
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

// TestOneSide drops each side of a link in turn, from the beginning and later on, and holds that it is said within the
// promised time after the last frame of the side that is missing, once, and that its end is said too.
func TestOneSide(t *testing.T) {
	for side := range 2 {
		for _, before := range []int{0, 40} {
			b := newBench(t, quick)
			k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
			n := uint16(0)
			poll := func(keep func(side int) bool) {
				n++
				for s, frame := range k.poll(n) {
					if keep(s) {
						b.packet(frame)
					}
				}
			}
			b.until(before, func(int) { poll(func(int) bool { return true }) })
			b.want("both sides", "")
			last := b.now - int64(time.Second)
			if before == 0 {
				last = b.now
			}
			b.until(60, func(int) { poll(func(s int) bool { return s != side }) })
			if len(b.found) != 1 {
				t.Fatalf("side %d after %d s: %+v", side, before, b.found)
			}
			f := b.found[0]
			if late := time.Duration(f.Last - last); late > quick.OneSided || late < quick.OneSided/2 {
				t.Errorf("side %d after %d s: said %v after its last frame; %v are promised", side, before, late, quick.OneSided)
			}
			if before > 0 && f.First != last {
				t.Errorf("last seen %v before it was said, want %v", time.Duration(f.Last-f.First), time.Duration(f.Last-last))
			}
			if !strings.Contains(f.Title, sideNames[side]) {
				t.Errorf("side %d: %s", side, f.Title)
			}
			b.want("one side", "one-sided 10.0.0.1 10.0.0.2")
			b.until(5, func(int) { poll(func(int) bool { return true }) })
			b.want("both again", "-one-sided 10.0.0.1 10.0.0.2")
			day := b.book.Statement("s", "v", time.Unix(0, b.now))
			if s := day.Links[0].Blind.OneSided; s < 55 || s > 65 {
				t.Errorf("side %d: %v s of the day are one-sided, want about 60", side, s)
			}
		}
	}
}

// TestDeadStation: a station that does not answer is no fault of the mirror.
func TestDeadStation(t *testing.T) {
	b := newBench(t, quick)
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	b.until(5, func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
		}
	})
	request := k.frame(clientSide, []byte{0, 9, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2})
	b.until(60, func(int) { b.packet(request) }) // again and again
	b.want("no answer", "")
}

// TestUndecoded: a learned link turns into something else.
func TestUndecoded(t *testing.T) {
	b := newBench(t, quick)
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	b.until(60, func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
		}
	})
	b.want("decoded", "")
	hidden := newTalk("10.0.0.1:40001", "10.0.0.2:502")
	last := b.now
	b.until(60, func(n int) {
		for side := range 2 {
			b.packet(hidden.frame(side, bytes.Repeat([]byte{0xd3, byte(n), 0x17, 0xa9}, 16)))
		}
	})
	if len(b.found) != 1 || time.Duration(b.found[0].Last-last) > quick.Undecoded {
		t.Fatalf("%+v", b.found)
	}
	b.want("hidden", "undecoded 10.0.0.1 10.0.0.2")
	b.until(2, func(n int) {
		for _, f := range k.poll(uint16(100 + n)) {
			b.packet(f)
		}
	})
	b.want("decoded again", "-undecoded 10.0.0.1 10.0.0.2")
	unknown := newBench(t, quick)
	u := newTalk("10.0.0.1:40001", "10.0.0.2:502")
	unknown.until(120, func(n int) {
		for side := range 2 {
			unknown.packet(u.frame(side, bytes.Repeat([]byte{0xd3, byte(n), 0x17, 0xa9}, 16)))
		}
	})
	unknown.want("a link that was never decoded", "")
}

// TestTwice: every frame comes twice, as from two mirrors; a retransmission is none.
func TestTwice(t *testing.T) {
	b := newBench(t, quick)
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	b.until(120, func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
			b.now += 20_000
			b.packet(f)
		}
	})
	b.want("two mirrors", "doubled 10.0.0.1 10.0.0.2")
	b.until(240, func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
		}
	})
	b.want("one mirror", "-doubled 10.0.0.1 10.0.0.2")
	b.until(240, func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
			b.now += int64(200 * time.Millisecond)
			again := bytes.Clone(f)
			again[18] ^= 0x80 // another identification
			b.packet(again)
		}
	})
	b.want("retransmissions", "")
}

// TestSilence makes all, one station's, one master's and one of several links silent, and holds that each is said once.
func TestSilence(t *testing.T) {
	talks := [][2]string{{"10.0.0.1:40000", "10.0.1.1:502"}, {"10.0.0.1:40001", "10.0.1.2:502"}, {"10.0.0.2:40002", "10.0.1.1:502"}, {"10.0.0.2:40003", "10.0.1.3:502"}}
	for _, c := range []struct {
		name  string
		gone  []int
		want  string
		after string
	}{
		{"none", nil, "", ""},
		{"all", []int{0, 1, 2, 3}, "silent", "-silent"},
		{"a station", []int{0, 2}, "silent 10.0.1.1", "-silent 10.0.1.1"},
		{"a master", []int{2, 3}, "silent 10.0.0.2", "-silent 10.0.0.2"},
		{"a link", []int{1}, "silent 10.0.0.1 10.0.1.2", "-silent 10.0.0.1 10.0.1.2"},
	} {
		b := newBench(t, quick)
		var all []*talk
		for _, ends := range talks {
			all = append(all, newTalk(ends[0], ends[1]))
		}
		poll := func(n int, gone []int) {
			for i, k := range all {
				silent := false
				for _, g := range gone {
					silent = silent || g == i
				}
				if !silent {
					for _, f := range k.poll(uint16(n)) {
						b.packet(f)
					}
				}
			}
		}
		b.until(60, func(n int) { poll(n, nil) })
		last := b.now
		b.until(120, func(n int) { poll(n, c.gone) })
		for _, f := range b.found {
			if late := time.Duration(f.Last - last); late > quick.Silent {
				t.Errorf("%s: said after %v, promised are %v", c.name, late, quick.Silent)
			}
		}
		b.want(c.name, c.want)
		b.until(30, func(n int) { poll(n, nil) })
		b.want(c.name+", heard again", c.after)
	}
}

// TestSilenceAfterRestart: a link that was learned before a restart and does not come back is said, once over several.
func TestSilenceAfterRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coverage.json")
	b := newBench(t, quick)
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	b.until(60, func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
		}
	})
	now := b.now
	for _, want := range []string{"silent 10.0.0.1 10.0.0.2", ""} {
		if err := b.book.Snapshot(path)(); err != nil {
			t.Fatal(err)
		}
		b = newBench(t, quick)
		if err := b.book.Load(path); err != nil {
			t.Fatal(err)
		}
		now += int64(time.Hour)
		b.now = now
		b.until(60, nil)
		b.want("after a restart", want)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b.book.Load(path) == nil {
		t.Error("a broken file is taken")
	}
}

// TestPause: time in which nobody watched proves nothing.
func TestPause(t *testing.T) {
	b := newBench(t, quick)
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	poll := func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
		}
	}
	b.until(60, poll)
	b.now += int64(time.Hour)
	b.until(60, poll)
	b.want("an hour's pause of the sensor", "")
}

// TestFlood: a million spoofed clients get no link each.
func TestFlood(t *testing.T) {
	need.Long(t)
	b := newBench(t, quick)
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	for i := range uint32(1_000_000) {
		if i%1000 == 0 {
			for _, f := range k.poll(uint16(i / 1000)) {
				b.packet(f)
			}
		}
		spoofed := newTalk(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, byte(i >> 16), byte(i >> 8), byte(i)}), 1024).String(), "10.0.0.2:502")
		b.packet(spoofed.frame(clientSide, []byte{0, 1, 2, 3, 4, 5, 6, 7}))
		b.now += 1000
		if i%10000 == 9999 {
			b.src.Look()
			b.book.Tick(b.now)
		}
	}
	b.src.Look()
	if len(b.book.links) != 1 {
		t.Errorf("%d links", len(b.book.links))
	}
	day := b.book.Statement("s", "v", time.Unix(0, b.now))
	if err := day.Check(); err != nil {
		t.Error(err)
	}
	if day.Total.Packets != int64(b.frame) {
		t.Errorf("%d packets of %d", day.Total.Packets, b.frame)
	}
}

// TestCorpus holds the sums of links, sources and the table against each other over every capture of the corpus, while
// it goes by and at its end, and the statement against itself.
func TestCorpus(t *testing.T) {
	need.Long(t)
	dir := need.Corpus(t)
	var files []string
	if err := filepath.WalkDir(filepath.Join(dir, "captures"), func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var total Sums
	links := 0
	for _, path := range files {
		b := newBench(t, Config{})
		f, err := capture.Open(path)
		if err != nil {
			t.Logf("%s: %v", path, err)
			continue
		}
		var p capture.Packet
		for {
			if err := f.Next(&p); err != nil {
				if !errors.Is(err, io.EOF) {
					t.Logf("%s: %v", path, err)
				}
				break
			}
			b.table.Packet(&p)
			if p.Frame%1000 == 0 {
				b.src.Look()
				b.book.Tick(p.At)
				if s := b.src.Total(); !s.Exact() {
					t.Fatalf("%s: at frame %d: %+v", path, p.Frame, s)
				}
			}
		}
		f.Close()
		b.table.Flush()
		got, want := b.src.Total(), b.table.Coverage().Total
		if got.Waiting != 0 || got.Packets != int64(want.Packets) || got.Seen != int64(want.Seen) || got.Decoded != int64(want.Decoded) ||
			got.Skipped != int64(want.Skipped) || got.Gaps != int64(want.Gaps) || got.GapBytes != int64(want.GapBytes) || got.Resyncs != int64(want.Resyncs) ||
			got.Messages != int64(want.Messages) || got.Unpaired != int64(want.Unpaired) || got.Repeated != int64(want.Repeated) || got.Copies != int64(want.Copies) {
			t.Errorf("%s: the book has %+v, the table %+v", path, got, want)
		}
		day := b.book.Statement("s", "v", time.Unix(0, start).Add(time.Hour))
		if err := day.Check(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		total.Add(&got)
		links += len(day.Links)
	}
	if len(files) < 400 {
		t.Errorf("%d captures", len(files))
	}
	t.Logf("%d captures, %d links: %d bytes seen = %d decoded + %d skipped (%d unframed, %d TLS, %d other)", len(files), links, total.Seen, total.Decoded, total.Skipped,
		total.Unframed, total.TLS, total.Other)
}

// TestDays plays three days with a restart, and holds each statement against itself and its signature against a flipped
// bit.
func TestDays(t *testing.T) {
	b := newBench(t, Config{})
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	poll := func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
		}
	}
	b.until(10, poll)
	at := time.Unix(0, start)
	b.src.Frames(map[string]uint64{"decoded": 20, "filtered": 3})
	b.book.Runs(at.Add(time.Minute))
	path := filepath.Join(t.TempDir(), "c.json")
	if err := b.book.Snapshot(path)(); err != nil {
		t.Fatal(err)
	}
	frames := b.frame
	b = newBench(t, Config{})
	b.book = New(Config{}, nil)
	b.src = b.book.Source("span", b.table)
	if err := b.book.Load(path); err != nil {
		t.Fatal(err)
	}
	b.book.Begin(at.Add(time.Hour))
	b.until(10, poll)
	b.src.Frames(map[string]uint64{"decoded": 20})
	next := Midnight(at).AddDate(0, 0, 2).Add(time.Hour)
	b.book.Runs(next)
	over := b.book.Days("s", "v", next)
	if len(over) != 2 || len(b.book.Days("s", "v", next)) != 0 {
		t.Fatalf("%d days", len(over))
	}
	for i, s := range over {
		if err := s.Check(); err != nil {
			t.Errorf("day %d: %v", i, err)
		}
	}
	first := over[0]
	if first.Total.Packets != int64(frames+b.frame) || first.Sources[0].Frames["decoded"] != 40 || first.Sources[0].Frames["filtered"] != 3 {
		t.Errorf("%+v %+v", first.Total, first.Sources)
	}
	if len(first.Watched) != 2 || len(first.Not) != 2 || first.Not[1].To.Sub(first.Not[1].From) != 59*time.Minute || first.Not[1].Why == "" {
		t.Errorf("watched %v, not %v", first.Watched, first.Not)
	}
	if second := over[1]; len(second.Watched) != 1 || len(second.Not) != 0 || len(second.Links) != 0 {
		t.Errorf("%+v", second)
	}

	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	text, err := proof.Sign(first, key)
	if err != nil {
		t.Fatal(err)
	}
	got, seal, err := proof.Verify(text)
	if err != nil || got.Sensor != "s" || !bytes.Equal(seal.Key, key.Public().(ed25519.PublicKey)) {
		t.Fatalf("%+v %v", got, err)
	}
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(need.Root(t), "docs", "schema", "statement.json"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		t.Errorf("the published schema: %v\n%s", err, text)
	}
	var wide bytes.Buffer
	wide.Write(bytes.ReplaceAll(text, []byte(`,"`), []byte(",\n \"")))
	if _, _, err := proof.Verify(wide.Bytes()); err != nil {
		t.Errorf("with other space: %v", err)
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1
		if _, _, err := proof.Verify(bad); err == nil && !sameJSON(t, bad, text) {
			t.Fatalf("a flipped bit of byte %d is not seen: %s", i, bad[max(0, i-20):i+20])
		}
	}
	first.Total.Seen++
	if text, err = proof.Sign(first, key); err != nil {
		t.Fatal(err)
	}
	if _, _, err := proof.Verify(text); !errors.Is(err, proof.ErrFalse) {
		t.Errorf("sums that do not add up: %v", err)
	}
}

// sameJSON says whether two texts mean the same: a flipped bit can be in the case of a member of the seal, or in the
// unused bits of base64.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y Statement
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func TestConfig(t *testing.T) {
	if err := (Config{OneSided: time.Second, Learn: time.Second}).Check(); err == nil || !strings.Contains(err.Error(), "one_sided is 1s") || !strings.Contains(err.Error(), "learn") {
		t.Error(err)
	}
	if err := (Config{}).Check(); err != nil {
		t.Error(err)
	}
}
