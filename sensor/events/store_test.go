package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
)

// start is when the first event happens.
const start = 1_800_000_000_000_000_000

// plain makes the i-th event of a stream: a poll and its answer in turn, of a few links, one message in ten refused, and
// now and then something that is no message.
func plain(i int) *rules.Event {
	e := &rules.Event{At: start + int64(i)*50e6 + int64(i%7), Frame: uint64(i + 1), Flow: rules.Flow{
		Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 5)}), 40000), Server: netip.MustParseAddrPort("[2001:db8::7]:502"),
		ClientMAC: rules.MAC{2, 0, 0, 0, 0, byte(i % 5)}, VLANs: [2]uint16{7}, NVLAN: 1, Conn: uint64(i%5 + 1)}}
	e.Facts = rules.Facts{Phase: rules.Enforce, Masters: 2, Low: -1.5, High: 7, Ranged: true, Days: 3.25, Held: i%5 == 0}
	if i%37 == 36 {
		e.What = rules.Action
		e.Act = &rules.Act{Record: "r", Ended: rules.EndTimeout, Selects: true, Latency: -5, Frames: []uint64{1, 1 << 40}, Actions: 3}
	}
	if i%31 == 30 {
		e.Act = nil
		e.What, e.Flow.Outcome = rules.Connection, rules.Refused
		return e
	}
	m := &protocols.Message{Proto: catalog.All[i%3], HasCode: true, Code: 3, HasStation: true, Station: uint32(i % 5), Op: protocols.Read, Name: "read_holding_registers",
		Turn: protocols.Request, Body: []byte{3, byte(i % 4)}}
	if i%2 == 1 {
		m.From, m.Turn, m.RTT = protocols.Server, protocols.Response, 1e6+int64(i)
		for k := range 4 {
			m.Points = append(m.Points, protocols.Point{Kind: protocols.AnalogOut, Addr: uint32(100 + k), N: 1, Type: 4, Value: math.Sin(float64(i)) * float64(k),
				Has: protocols.HasValue | protocols.HasQuality | protocols.HasTime, Quality: protocols.Online, Time: start + int64(i)*50e6 + int64(k)*1e6})
		}
		m.Points = append(m.Points, protocols.Point{Kind: protocols.Counter, Addr: math.MaxUint32, N: math.MaxUint32, Has: protocols.HasValue | protocols.HasAge, Value: math.Inf(-1), Time: 17})
	}
	if i%10 == 9 {
		m.Status, m.Faults = 2, protocols.Short
	}
	e.Msg = m
	return e
}

// same says how got is not want; "" where it is.
func same(got, want *rules.Event) string {
	g, w := *got, *want
	g.Msg, w.Msg = nil, nil
	if !reflect.DeepEqual(g, w) {
		return fmt.Sprintf("event %+v, want %+v", g, w)
	}
	if got.Msg == nil || want.Msg == nil {
		if got.Msg != want.Msg {
			return "one has a message and the other has none"
		}
		return ""
	}
	m, n := *got.Msg, *want.Msg
	if m.Proto.Name != n.Proto.Name || len(m.Body) > 0 != (len(n.Body) > 0) || len(m.Points) != len(n.Points) {
		return fmt.Sprintf("message %+v, want %+v", m, n)
	}
	for i := range m.Points {
		p, q := m.Points[i], n.Points[i]
		p.Off, q.Off, p.Len, q.Len = 0, 0, 0, 0
		if p != q {
			return fmt.Sprintf("point %+v, want %+v", p, q)
		}
	}
	m.Proto, m.Body, m.Raw, m.Points, m.Detail = n.Proto, n.Body, n.Raw, n.Points, n.Detail
	if !reflect.DeepEqual(m, n) {
		return fmt.Sprintf("message %+v, want %+v", m, n)
	}
	return ""
}

func options(dir string) Options {
	return Options{Dir: dir, Bytes: 1 << 30, Days: 30, Protocols: catalog.All}
}

// fill stores events from to to, handing them over every so often.
func fill(t *testing.T, o Options, from, to, flush int) Stats {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < to; i++ {
		s.Take(plain(i))
		if i%flush == flush-1 {
			s.Flush()
			settle(s)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Stats()
}

// settle waits until the disk has all that was handed over: all room is free again.
func settle(s *Store) {
	var room []*block
	for range blocks {
		room = append(room, <-s.free)
	}
	for _, b := range room {
		s.free <- b
	}
}

// numbers plays a folder and returns which events of plain it holds.
func numbers(t *testing.T, dir string) (held []int, r *Report) {
	t.Helper()
	r, err := Play(t.Context(), dir, catalog.All, func(e *rules.Event) {
		i := int(e.Frame) - 1
		if wrong := same(e, plain(i)); wrong != "" {
			t.Fatalf("event %d: %s", i, wrong)
		}
		held = append(held, i)
	})
	if err != nil {
		t.Fatal(err)
	}
	return held, r
}

// run is the numbers from from to to.
func run(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

// TestStore: what was stored is played, all of it and in its order, over two runs of the store.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	one, two := fill(t, options(dir), 0, 9000, 1000), fill(t, options(dir), 9000, 10000, 1000)
	held, r := numbers(t, dir)
	if !slices.Equal(held, run(0, 10000)) || r.Segments != 2 || len(r.Skipped) != 0 || r.Events != 10000 {
		t.Errorf("%d events, %+v", len(held), r)
	}
	if one.Taken != 9000 || two.Taken != 1000 || one.Dropped+two.Dropped != 0 || two.Bytes <= one.Bytes || two.Oldest.UnixNano() != start {
		t.Errorf("%+v, then %+v", one, two)
	}
	var none *Store
	none.Take(plain(1))
	none.Flush()
	if err := none.Close(); err != nil || none.Stats() != (Stats{}) {
		t.Error("a store that is not there takes something")
	}
}

// TestTorn: wherever a segment was cut, what is whole before the cut is played, and the rest is said; what a later run
// stored comes, too. A block that is damaged costs itself alone.
func TestTorn(t *testing.T) {
	dir := t.TempDir()
	fill(t, options(dir), 0, 400, 100)
	path := filepath.Join(dir, segmentName(1))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var ends []int // of blocks
	for at := 0; ; {
		next := bytes.Index(whole[at+1:], []byte(blockMagic))
		if next < 0 {
			break
		}
		at += 1 + next
		ends = append(ends, at)
	}
	if ends = append(ends[1:], len(whole)); len(ends) != 4 {
		t.Fatalf("%d blocks", len(ends))
	}
	fill(t, options(dir), 400, 500, 100) // another run
	for cut := 0; cut < len(whole); cut += 61 {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		blocks := 0
		for _, end := range ends {
			if cut >= end {
				blocks++
			}
		}
		held, r := numbers(t, dir)
		atEdge := slices.Contains(ends, cut)
		if want := append(run(0, 100*blocks), run(400, 500)...); !slices.Equal(held, want) || !atEdge && cut > ends[0] && len(r.Skipped) != 1 {
			t.Fatalf("cut at %d: %d events, want %d; %q", cut, len(held), len(want), r.Skipped)
		}
	}
	damaged := bytes.Clone(whole)
	damaged[ends[0]+blockHead+3] ^= 1
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	held, r := numbers(t, dir)
	if want := append(run(0, 100), run(200, 500)...); !slices.Equal(held, want) || len(r.Skipped) != 1 || !strings.Contains(r.Skipped[0], "a damaged block") {
		t.Errorf("%d events, %q", len(held), r.Skipped)
	}
}

// TestBounds: a store never takes more than its bytes, and nothing much older than its days; the oldest goes first.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	o := options(dir)
	o.Bytes = 300 << 10
	stats := fill(t, o, 0, 60000, 500)
	held, _ := numbers(t, dir)
	if !slices.Equal(held, run(held[0], 60000)) || held[0] == 0 || stats.Bytes > o.Bytes || stats.Bytes < o.Bytes/2 || onDisk(t, dir) != stats.Bytes {
		t.Errorf("events %d to %d; %d of %d bytes, %d on disk", held[0], held[len(held)-1], stats.Bytes, o.Bytes, onDisk(t, dir))
	}
	if got, want := stats.Oldest.UnixNano(), plain(held[0]).At; got != want {
		t.Errorf("the oldest is said to be of %d, and is of %d", got, want)
	}

	dir = t.TempDir()
	o = options(dir)
	o.Days = 1
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	const hours = 100
	for i := range hours {
		e := plain(1)
		e.At, e.Frame = start+int64(i)*int64(time.Hour), uint64(i)
		s.Take(e)
		s.Flush()
		settle(s)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	least := uint64(hours)
	if _, err := Play(t.Context(), dir, catalog.All, func(e *rules.Event) { least = min(least, e.Frame) }); err != nil {
		t.Fatal(err)
	}
	if kept := hours - least; kept < 24 || kept > 24+24/parts+2 {
		t.Errorf("%d hours are kept of a day", kept)
	}
}

func onDisk(t *testing.T, dir string) (sum int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}

// TestSlowDisk: while the disk does not come back, Take returns all the same, what finds no room is counted, and no more
// than all blocks are in memory. Afterwards what was kept is written, and it goes on.
func TestSlowDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "events")
	o := options(dir)
	stuck, goOn := make(chan bool), make(chan bool)
	o.Failed = func(err error) {
		if err != nil {
			close(stuck)
			<-goOn
		}
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	s.Take(plain(0)) // is lost, and the disk's goroutine hangs over it
	s.Flush()
	<-stuck
	n := 1
	for ; s.Stats().Dropped < 100; n++ {
		s.Take(plain(n))
	}
	if s.block != nil || len(s.free) != 0 || len(s.full) != blocks-1 {
		t.Errorf("%d blocks wait", len(s.full))
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	kept := n - 99 // one was lost by the disk, 99 found no room
	close(goOn)
	settle(s)
	s.Take(plain(n))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := numbers(t, dir)
	if want := append(run(1, kept), n); !slices.Equal(got, want) || s.Stats().Taken != uint64(len(want)) || s.Stats().Dropped != 100 {
		t.Errorf("%d events, want %d; %+v", len(got), len(want), s.Stats())
	}
}

// TestDiskFails: a disk that takes nothing is said once, what it does not take is counted, and once it takes again that
// is said, too.
func TestDiskFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "events")
	o := options(dir)
	var said []error
	o.Failed = func(err error) { said = append(said, err) }
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	step := func(i int) {
		s.Take(plain(i))
		s.Flush()
		settle(s)
	}
	step(0)
	step(1)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	step(2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if held, _ := numbers(t, dir); !slices.Equal(held, []int{2}) || len(said) != 2 || said[0] == nil || said[1] != nil || s.Stats().Dropped != 2 {
		t.Errorf("%v held, %v said, %+v", held, said, s.Stats())
	}
}

// TestHuge: a message with more points than a block can hold is left out and counted, and harms no other.
func TestHuge(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(options(dir))
	if err != nil {
		t.Fatal(err)
	}
	s.Take(plain(0))
	huge := plain(1)
	for i := range maxRaw / 8 {
		huge.Msg.Points = append(huge.Msg.Points, protocols.Point{Addr: uint32(i * i), N: 1, Has: protocols.HasValue, Value: math.Sqrt(float64(i))})
	}
	s.Take(huge)
	s.Take(plain(2))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if held, _ := numbers(t, dir); !slices.Equal(held, []int{0, 2}) || s.Stats().Dropped != 1 {
		t.Errorf("%v, %+v", held, s.Stats())
	}
}

// TestOtherTable: a segment of a version whose protocols have other fields is read by their names, and one of protocols
// that nobody knows is counted.
func TestOtherTable(t *testing.T) {
	one := func(fields ...protocols.Field) *protocols.Protocol {
		return &protocols.Protocol{Name: "p", Field: fields}
	}
	number := func(name string, v int64) protocols.Field {
		return protocols.Field{Name: name, Int: func(*protocols.Message) (int64, bool) { return v, true }}
	}
	text := protocols.Field{Name: "t", Text: func(*protocols.Message) (string, bool) { return "word", true }}
	truth := protocols.Field{Name: "b", Bool: func(*protocols.Message) (bool, bool) { return true, true }}
	dir := t.TempDir()
	o := options(dir)
	writer := one(number("gone", 1), text, number("x", -7), truth)
	o.Protocols = []*protocols.Protocol{writer}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Take(&rules.Event{At: 1, Msg: &protocols.Message{Proto: writer, Detail: 1}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	reader := one(truth, number("x", 0), number("new", 0), text)
	n := 0
	if _, err := Play(t.Context(), dir, []*protocols.Protocol{reader}, func(e *rules.Event) {
		n++
		if got := string(e.Msg.AppendJSON(nil)); got != `{"b":true,"x":-7,"t":"word"}` {
			t.Errorf("%s", got)
		}
	}); err != nil || n != 1 {
		t.Errorf("%d events, %v", n, err)
	}
	r, err := Play(t.Context(), dir, nil, func(*rules.Event) { t.Error("an event of no known protocol") })
	if err != nil || r.Unknown != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestStops: playing ends when it is asked to.
func TestStops(t *testing.T) {
	dir := t.TempDir()
	fill(t, options(dir), 0, 1000, 100)
	ctx, stop := context.WithCancel(t.Context())
	n := 0
	_, err := Play(ctx, dir, catalog.All, func(*rules.Event) { n++; stop() })
	if !errors.Is(err, context.Canceled) || n != 100 {
		t.Errorf("%d events, %v", n, err)
	}
}

// TestWarm: an event of a shape that is known allocates nothing.
func TestWarm(t *testing.T) {
	var enc encoder
	enc.begin()
	var dst []byte
	var all []*rules.Event
	for i := range 70 {
		all = append(all, plain(i))
	}
	for _, e := range all {
		dst = enc.append(dst, e)
	}
	if n := testing.AllocsPerRun(100, func() {
		enc.begin()
		dst = dst[:0]
		for _, e := range all {
			if e.Msg == nil || e.Msg.From == protocols.Client {
				dst = enc.append(dst, e)
			}
		}
	}); n > 70 { // a new block says each thing once more: addresses are made into bytes there
		t.Errorf("%v allocations for a block", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		dst = dst[:0]
		for _, e := range all {
			dst = enc.append(dst, e)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestFields names every field of what is stored: whoever adds one says here whether it is kept.
func TestFields(t *testing.T) {
	for of, want := range map[reflect.Type]int{reflect.TypeFor[rules.Flow](): 11,
		reflect.TypeFor[protocols.Message](): 19, reflect.TypeFor[protocols.Point](): 15} {
		if n := of.NumField(); n != want {
			t.Errorf("%v has %d fields, %d when package events was written: store the new one, or say in its doc.go that it is not kept", of, n, want)
		}
	}
	for i := range reflect.TypeFor[rules.Event]().NumField() {
		if name := reflect.TypeFor[rules.Event]().Field(i).Name; !slices.Contains([]string{"What", "At", "Frame", "Flow", "Msg", "Facts", "Act"}, name) {
			t.Errorf("an event has a new field: %s", name)
		}
	}
	for _, of := range []reflect.Type{reflect.TypeFor[rules.Facts](), reflect.TypeFor[rules.Act]()} {
		for _, f := range fieldsOf(of) {
			if strings.HasSuffix(f, ":") {
				t.Errorf("%v has a field of a kind that is not stored: %s", of, f)
			}
		}
	}
	for _, p := range catalog.All {
		if len(p.Field) >= maxFields {
			t.Errorf("%s has %d fields", p.Name, len(p.Field))
		}
	}
}

// FuzzRows: no bytes make the reader panic, loop or hold much, and what it reads it can write again.
func FuzzRows(f *testing.F) {
	var enc encoder
	enc.begin()
	var rows []byte
	for i := range 40 {
		rows = enc.append(rows, plain(i))
	}
	f.Add(rows)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		h := headOf(catalog.All)
		stands := map[string]*stand{}
		for _, p := range catalog.All {
			stands[p.Name] = newStand(p, h.Protocols[p.Name])
		}
		var again encoder
		again.begin()
		var out []byte
		n, _, err := (&decoder{names: h, stands: stands}).each(b, func(e *rules.Event) { out = again.append(out, e) })
		if n > len(b) {
			t.Fatalf("%d events of %d bytes", n, len(b))
		}
		m, _, second := (&decoder{names: h, stands: stands}).each(out, func(*rules.Event) {})
		if m != n || second != nil {
			t.Fatalf("%d events, then %d; %v, then %v", n, m, err, second)
		}
	})
}
