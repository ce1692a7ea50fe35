package baseline

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// to writes a value to the register that learned has seen written from 20 to 30.
func to(v float64) step { return write.with(func(s *step) { s.points = values(50, v) }) }

// isNew tells whether the value is outside the approved range.
func isNew(b *Baseline, at int64, v float64) bool {
	phase := b.Phase()
	b.SetPhase(rules.Enforce)
	defer b.SetPhase(phase)
	return b.play(at, to(v)).Facts.Novel&rules.NewValue != 0
}

func beyond(b *Baseline) (key string) {
	for _, it := range b.Waiting() {
		if it.Beyond {
			key += it.Key()
		}
	}
	return key
}

// often writes what lies beyond the approved range in three hours of two days.
func often(b *Baseline) {
	for _, h := range []int64{27, 28, 50} {
		b.play(h*hour, to(400), to(500))
	}
}

// TestApprovedRangeStays: what is written to an approved point while the sensor still learns widens its range only once a
// person has approved that.
func TestApprovedRangeStays(t *testing.T) {
	at := time.Unix(0, 100*hour)
	for _, c := range []struct {
		name   string
		decide func(b *Baseline)
		waits  bool // after that
		known  bool // 500 is an ordinary value then
	}{
		{"nobody decides", func(*Baseline) {}, true, false},
		{"commands are approved, and it is rare", func(b *Baseline) {
			b.Decide(Choice{Who: "anna", At: at, Classes: []Class{Reads, Commands}})
		}, true, false},
		{"it is steady, and reads are approved", func(b *Baseline) {
			often(b)
			b.Decide(Choice{Who: "anna", At: at, Classes: []Class{Reads}})
		}, true, false},
		{"it is steady, and commands are approved", func(b *Baseline) {
			often(b)
			b.Decide(Choice{Who: "anna", At: at, Classes: []Class{Reads, Commands}})
		}, false, true},
		{"it is approved by itself", func(b *Baseline) {
			if err := b.ApproveItem(beyond(b), "anna", "", at); err != nil {
				t.Error(err)
			}
		}, false, true},
		{"it is rejected", func(b *Baseline) {
			if _, err := b.Reject(beyond(b), Choice{Who: "anna", At: at}); err != nil {
				t.Error(err)
			}
			if n := b.Decide(Choice{Who: "anna", At: at, Classes: Classes()[:5]}); len(n.Approved) != 0 {
				t.Errorf("%v was approved all the same", n.Approved)
			}
		}, true, false},
		{"the device is learned anew", func(b *Baseline) {
			if err := b.Relearn(netip.MustParseAddr("10.0.0.1"), "anna", "", at); err != nil {
				t.Error(err)
			}
			b.Decide(Choice{Who: "anna", At: at, Classes: []Class{Reads, Commands, Mixed}}) // the point itself is rare now
		}, false, false},
		{"the version of before is rolled back to", func(b *Baseline) {
			often(b)
			b.Approve("anna", at)
			if !strings.Contains(b.versions[1].Who, "anna") {
				t.Error("that was no decision")
			}
			if err := b.RollBack(1, netip.Addr{}, "anna", "", at); err != nil {
				t.Error(err)
			}
		}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			b := learned(t, dir)
			b.SetPhase(rules.Learn)
			b.play(26*hour, to(30.2), to(500), to(25))
			if waiting := beyond(b); isNew(b, 26*hour, 30.2) || !isNew(b, 26*hour, 500) || waiting == "" {
				t.Fatalf("after it was learned %q waits", waiting)
			}
			c.decide(b)
			for _, when := range []string{"then", "after a restart", "from what it exports"} {
				if got := beyond(b) != ""; got != c.waits {
					t.Errorf("%s: waits: %v, want %v: %q", when, got, c.waits, beyond(b))
				}
				if item := "target 10.0.0.1 station 00001 analog_out 00000050"; !slices.ContainsFunc(b.Items(), func(it *Item) bool { return it.Key() == item }) {
					t.Errorf("%s: %s is gone", when, item)
				}
				if c.name != "the device is learned anew" && isNew(b, 30*hour, 500) == c.known {
					t.Errorf("%s: the value is known: %v, want %v", when, !c.known, c.known)
				}
				if err := b.Flush(); err != nil {
					t.Fatal(err)
				}
				if when == "then" {
					if err := b.Close(); err != nil {
						t.Fatal(err)
					}
					b = openIn(t, dir, rules.Learn)
				} else if when == "after a restart" {
					var text strings.Builder
					if err := b.Export(&text); err != nil {
						t.Fatal(err)
					}
					defer b.Close()
					b = openIn(t, "", rules.Learn)
					if err := b.Import(strings.NewReader(text.String())); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// TestApprovedStays: what was approved of a host is not widened while it goes on being learned.
func TestApprovedStays(t *testing.T) {
	b := learned(t, "")
	known := b.play(26*hour, write).Facts.CommandPoints
	b.SetPhase(rules.Learn)
	both := write.with(func(s *step) { s.points = values(50, 20, 20, 20, 20, 20, 20, 20) })
	b.play(27*hour, both)
	if got := b.play(27*hour, write).Facts.CommandPoints; got <= known {
		t.Fatalf("%d points at once were learned, before %d, while some of them wait", got, known)
	}
	b = learned(t, "")
	b.SetPhase(rules.Learn)
	for at := range int64(7) { // one after the other, and then approved
		b.play((27+at)*hour, write.with(func(s *step) { s.points = values(50+uint32(at), 20) }))
	}
	b.Approve("anna", time.Unix(0, 40*hour))
	b.play(41*hour, both)
	if got := b.play(42*hour, write).Facts.CommandPoints; got != known {
		t.Errorf("%d points at once are approved, want %d: a burst on points that are approved was learned", got, known)
	}
	arp := func(at int64, mac byte) rules.Novel {
		e := poll.event(at)
		e.What, e.Msg, e.Flow.ClientMAC = rules.ARP, nil, rules.MAC{2, 0, 0, 0, 0, mac}
		b.Judge(e)
		return e.Facts.Novel
	}
	arp(43*hour, 1)
	arp(43*hour, 2)
	b.SetPhase(rules.Enforce)
	if arp(44*hour, 1) != 0 || arp(44*hour, 2)&rules.NewBinding == 0 {
		t.Error("a second link-layer address of an approved host was learned")
	}
	server, station, addr := netip.MustParseAddr("10.0.0.1"), uint32(1), uint32(5)
	if b.load(&Item{Kind: "target", Server: &server, Station: &station, Addr: &addr, Points: protocols.AnalogOut.String(), Beyond: true, State: Pending}) == nil {
		t.Error("a range without ends was taken")
	}
}
