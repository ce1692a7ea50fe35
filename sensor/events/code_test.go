package events

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
)

// plain makes the i-th event of a stream: a poll and its answer in turn, of a few links, one message in ten refused, and
// now and then something that is no message.
func plain(i int) *rules.Event {
	e := &rules.Event{At: start + int64(i)*50e6 + int64(i%7), Frame: uint64(i + 1), Flow: rules.Flow{
		Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 5)}), 40000), Server: netip.MustParseAddrPort("[2001:db8::7]:502"),
		ClientMAC: rules.MAC{2, 0, 0, 0, 0, byte(i % 5)}, VLANs: [2]uint16{7}, NVLAN: 1, Conn: uint64(i%5 + 1),
		TTL: uint8(i % 3 * 64), SessionTTL: uint8(i % 3 * 63), OtherMAC: i%4 == 0}}
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

// TestCoder: events come back from somebody else's bytes, in stretches that stand by themselves, with their own protocol.
func TestCoder(t *testing.T) {
	w := NewCoder(catalog.All)
	head, err := w.Head()
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadCoder(catalog.All, head)
	if err != nil {
		t.Fatal(err)
	}
	var stretches [2][]byte
	for n := range stretches {
		w.Begin()
		for i := range 200 {
			stretches[n] = w.Append(append(stretches[n], '#'), plain(n*200+i))
		}
	}
	for _, n := range []int{1, 0} {
		r.Begin()
		b := stretches[n]
		for i := range 200 {
			want := plain(n*200 + i)
			var e *rules.Event
			if e, b, err = r.Read(b[1:]); err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
			if why := same(e, want); why != "" {
				t.Fatalf("event %d: %s", i, why)
			}
			if e.Msg != nil && (e.Msg.Proto != want.Msg.Proto || e.Msg.Detail != nil) {
				t.Fatalf("event %d is of protocol %p with %v, want %p", i, e.Msg.Proto, e.Msg.Detail, want.Msg.Proto)
			}
		}
		if len(b) > 0 {
			t.Errorf("%d bytes are left", len(b))
		}
	}
	if _, _, err := r.Read(stretches[0][1:40]); err == nil {
		t.Error("half an event is taken")
	}
	if _, err := ReadCoder(catalog.All, head[:10]); err == nil {
		t.Error("half a head is taken")
	}
}

// TestFields names every field of what is stored: whoever adds one says here whether it is kept.
func TestFields(t *testing.T) {
	for of, want := range map[reflect.Type]int{reflect.TypeFor[rules.Flow](): 14,
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
