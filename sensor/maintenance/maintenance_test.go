package maintenance

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var eight = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func work() Window {
	return Window{Who: "anna", Why: "firmware", From: eight, Until: eight.Add(4 * time.Hour), Hosts: []string{"10.0.0.1", "10.0.1.0/24"}, Links: []string{"10.0.0.10 > 10.0.0.2"}}
}

// TestPrepare: what is wrong with a window is said.
func TestPrepare(t *testing.T) {
	for want, edit := range map[string]func(*Window){
		"":                                       func(*Window) {},
		"who works and why":                      func(w *Window) { w.Why = "" },
		"from when until when":                   func(w *Window) { w.Until = time.Time{} },
		"before it begins":                       func(w *Window) { w.Until = eight.Add(-time.Hour) },
		"longer than 31 days":                    func(w *Window) { w.Until = eight.AddDate(0, 2, 0) },
		"say where":                              func(w *Window) { w.Hosts, w.Links = nil, nil },
		`"plc" is neither`:                       func(w *Window) { w.Hosts = []string{"plc"} },
		`"10.0.0.10 10.0.0.2" is no link; write`: func(w *Window) { w.Links = []string{"10.0.0.10 10.0.0.2"} },
	} {
		w := work()
		edit(&w)
		if err := w.Prepare(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestOf: when and where work goes on, also after the book was read again.
func TestOf(t *testing.T) {
	dir := t.TempDir()
	b, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := b.Add(work())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(work()); err == nil {
		t.Error("the same work twice")
	}
	text, err := b.Text()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err = Open(dir, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		client, server string
		at             time.Duration
		want           bool
	}{
		{"10.0.0.10", "10.0.0.1", time.Hour, true}, {"10.0.0.1", "10.0.0.9", time.Hour, true}, {"10.0.0.10", "10.0.1.77", 0, true},
		{"10.0.0.10", "10.0.0.2", time.Hour, true}, {"10.0.0.2", "10.0.0.10", time.Hour, false}, {"10.0.0.11", "10.0.0.2", time.Hour, false},
		{"10.0.0.10", "10.0.0.1", -time.Nanosecond, false}, {"10.0.0.10", "10.0.0.1", 4 * time.Hour, false},
	} {
		got, ok := b.Of(netip.MustParseAddr(c.client), netip.MustParseAddr(c.server), eight.Add(c.at).UnixNano())
		if ok != c.want || ok && got.ID != w.ID {
			t.Errorf("%+v: %v %s", c, ok, got.ID)
		}
	}
	if n := testing.AllocsPerRun(100, func() { b.Of(netip.AddrFrom4([4]byte{1}), netip.AddrFrom4([4]byte{2}), 5) }); n != 0 {
		t.Errorf("%v allocations to learn that nobody works", n)
	}
}

// TestTurn: begin and end are each told once, an end before its time too, and that of one that never began not at all.
func TestTurn(t *testing.T) {
	later := work()
	later.From, later.Until = eight.Add(24*time.Hour), eight.Add(25*time.Hour)
	b, err := Open(t.TempDir(), []Window{work(), later})
	if err != nil {
		t.Fatal(err)
	}
	id := b.Windows()[0].ID
	turn := func(at time.Duration, wantBegun, wantOver int) {
		t.Helper()
		if begun, over := b.Turn(eight.Add(at)); len(begun) != wantBegun || len(over) != wantOver {
			t.Errorf("%v: %d begun, %d over", at, len(begun), len(over))
		}
	}
	turn(-time.Hour, 0, 0)
	turn(time.Minute, 1, 0)
	turn(2*time.Minute, 0, 0)
	b.Count(id, true)
	if _, err := b.End(id, eight.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	turn(time.Hour, 0, 1)
	turn(2*time.Hour, 0, 0)
	if _, err := b.End(id, eight.Add(3*time.Hour)); err == nil {
		t.Error("ended twice")
	}
	if _, err := b.End(b.Windows()[1].ID, eight.Add(3*time.Hour)); err != nil {
		t.Error(err)
	}
	turn(26*time.Hour, 0, 0)
	if w := b.Windows()[0]; !w.Over || w.Withheld != 1 {
		t.Errorf("%+v", w)
	}
}
