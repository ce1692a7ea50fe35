package plant

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/testdata/need"
)

// TestWithin: which of a run of addresses a list holds, of the kind that is asked for, under the station's own address.
func TestWithin(t *testing.T) {
	book, err := Load([]File{{Path: filepath.Join(need.Root(t), "testdata", "points", "telecom.csv")}})
	if err != nil {
		t.Fatal(err)
	}
	var p *Point
	for _, q := range book.Points {
		if q.Kind == protocols.AnalogOut && q.N == 1 && len(q.Assets) > 0 {
			p = q
		}
	}
	if p == nil {
		t.Fatal("the list has no holding register")
	}
	asked := func(server netip.Addr, kind protocols.Kind, from, to uint32) (found string) {
		book.Within(server, p.Station, kind, from, to, func(from, to uint32, name string) {
			if from <= p.Addr && p.Addr <= to {
				found += fmt.Sprint(from, "-", to, " ", name, ";")
			}
		})
		return found
	}
	want := fmt.Sprint(p.Addr, "-", p.Addr, " ", p.label.Text, ";")
	for _, c := range []struct {
		name     string
		server   netip.Addr
		kind     protocols.Kind
		from, to uint32
		want     string
	}{
		{"itself", p.Assets[0], p.Kind, p.Addr, p.Addr, want},
		{"all addresses", p.Assets[0], p.Kind, 0, 1<<32 - 1, want},
		{"another kind", p.Assets[0], protocols.Counter, p.Addr, p.Addr, ""},
		{"another server", netip.MustParseAddr("192.0.2.1"), p.Kind, p.Addr, p.Addr, ""},
		{"addresses behind it", p.Assets[0], p.Kind, p.Addr + 1, 1<<32 - 1, ""},
	} {
		if got := asked(c.server, c.kind, c.from, c.to); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
