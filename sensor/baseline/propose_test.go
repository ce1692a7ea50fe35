package baseline

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/course"
)

// steadily plays steps in three hours of two days.
func (b *Baseline) steadily(steps ...step) {
	for _, h := range []int64{1, 2, 25} {
		b.play(h*hour, steps...)
	}
}

// TestSupport: what counts as another hour and another day.
func TestSupport(t *testing.T) {
	for _, test := range []struct {
		name  string
		hours []int64
		want  support
	}{
		{"often in one hour", []int64{5, 5, 5, 5}, support{1, 1, 5}},
		{"three hours of one day", []int64{5, 6, 7}, support{3, 1, 7}},
		{"two days", []int64{23, 24, 25}, support{3, 2, 25}},
		{"time runs back", []int64{30, 29, 3, 30}, support{1, 1, 30}},
		{"the first hour of all", []int64{0, 0, 1}, support{2, 1, 1}},
	} {
		var s support
		for _, h := range test.hours {
			s.note(h * hour)
		}
		if s != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, s, test.want)
		}
	}
}

// classes lists what is proposed as "class what ranges".
func classes(b *Baseline) (all []string) {
	for _, g := range b.Propose(time.Unix(0, 100*hour)) {
		for _, it := range g.Items {
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s: %s %s", g.Class, g.What, it.Ranges)))
		}
	}
	return all
}

// TestPropose: each waiting item is in the class that its support and what it does ask for.
func TestPropose(t *testing.T) {
	b := openIn(t, "", rules.Learn)
	b.steadily(poll, answer, write)
	b.play(26*hour, restart, answer.with(func(s *step) { s.points = values(500, 1, 2) }), // a new run of points, once
		write.with(func(s *step) { s.points = values(51, 1) }), poll.with(func(s *step) { s.client = "10.0.0.66" }))
	want := []string{
		"reads: host", "reads: host", "reads: link modbus", "reads: modbus function 3 from the client", "reads: modbus function 3 from the server",
		"reads: points analog_out 100-103", "reads: station modbus",
		"commands: modbus function 6 from the client", "commands: target analog_out",
		"rare: host", "rare: link modbus", "rare: modbus function 3 from the client", "rare: points analog_out 500-501", "rare: station modbus", "rare: target analog_out",
		"held: modbus function 8 from the client",
	}
	if got := classes(b); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	d := b.Decide(Choice{Who: "engineer", At: time.Unix(0, 27*hour), Classes: []Class{Reads}})
	if d.Left != 8 || len(d.Held) != 1 || d.Approved["points"] != 1 {
		t.Errorf("%+v", d)
	}
	if got := classes(b); !slices.Equal(got, want[7:]) {
		t.Errorf("after the approval of reads: %q\nwant %q", got, want[7:])
	}
	b.SetPhase(rules.Enforce)
	if e := b.play(28*hour, poll, answer); e.Facts.Novel != 0 || !e.Facts.Approved {
		t.Errorf("the approved poll is new: %s", words(e.Facts.Novel))
	}
	for name, s := range map[string]step{"write": write, "rare points": answer.with(func(s *step) { s.points = values(500, 1) }), "rare client": poll.with(func(s *step) { s.client = "10.0.0.66" })} {
		if e := b.play(28*hour, s); e.Facts.Novel == 0 {
			t.Errorf("%s was approved silently", name)
		}
	}
	// A host that is a server as well is a class of its own.
	b = openIn(t, "", rules.Learn)
	b.steadily(answer, poll.with(func(s *step) { s.client, s.server = "10.0.0.1", "10.0.0.2" }))
	if got := classes(b); !slices.Contains(got, "mixed: link modbus") {
		t.Errorf("a station that polls another: %q", got)
	}
}

// TestExtremes: one value far out does not widen a range silently, ordinary spread does.
func TestExtremes(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float64 // one per hour
		want   bool
	}{
		{"spread", []float64{20, 22, 21, 24, 19, 23, 20, 25}, false},
		{"one far out", []float64{20, 22, 21, 24, 950, 23, 20, 25}, true},
		{"one far below", []float64{20, 22, 21, 24, -400, 23, 20, 25}, true},
		{"one far out among few", []float64{20, 22.5, 21, 950}, true},
		{"often far out", []float64{20, 22, 950, 940, 960, 20}, false},
		{"two hours", []float64{20, 950}, false},
	} {
		b := openIn(t, "", rules.Learn)
		for i, v := range test.values {
			b.play(int64(i+1)*hour, write.with(func(s *step) { s.points = values(50, v) }))
		}
		for _, target := range b.targets {
			if got := course.Doubtful(&target.lows, &target.highs); got != test.want {
				t.Errorf("%s: doubtful %v, want %v (lows %s, highs %s)", test.name, got, test.want, target.lows.String(), target.highs.String())
			}
			again, err := course.ParseExtremes(target.highs.String())
			if err != nil || again != target.highs {
				t.Errorf("%s: %q reads as %v, %v", test.name, target.highs.String(), again, err)
			}
		}
	}
}

// TestVersions: each decision is a link of a chain that survives a restart, and shows if it was changed.
func TestVersions(t *testing.T) {
	dir := t.TempDir()
	b := openIn(t, dir, rules.Learn)
	b.steadily(poll, answer, write)
	b.Decide(Choice{Who: "anna", Why: "ticket 7", At: time.Unix(0, 30*hour), Classes: []Class{Reads}})
	first := export(t, b)
	b.Decide(Choice{Who: "ben", At: time.Unix(0, 31*hour), Classes: []Class{Commands}})
	b.Decide(Choice{Who: "ben", At: time.Unix(0, 32*hour), Classes: []Class{Commands}}) // nothing left: no version
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = openIn(t, dir, rules.Enforce)
	defer b.Close()
	all, err := b.Versions()
	if err != nil || len(all) != 2 || all[0].Who != "anna" || all[0].Why != "ticket 7" || all[1].Prev != all[0].Hash || all[1].Items <= all[0].Items {
		t.Fatalf("%+v, %v", all, err)
	}
	if e := b.play(33*hour, write); e.Facts.Novel != 0 {
		t.Errorf("the approved write is new: %s", words(e.Facts.Novel))
	}
	if err := b.RollBack(3, netip.Addr{}, "anna", "", time.Unix(0, 34*hour)); err == nil {
		t.Error("there is no version 3 to go back to")
	}
	if err := b.RollBack(1, netip.Addr{}, "anna", "", time.Unix(0, 34*hour)); err != nil {
		t.Fatal(err)
	}
	if e := b.play(35*hour, write); e.Facts.Novel&rules.NewWriter == 0 {
		t.Errorf("the write is still approved: %s", words(e.Facts.Novel))
	}
	if e := b.play(35*hour, poll, answer); e.Facts.Novel != 0 {
		t.Errorf("the poll is no longer approved: %s", words(e.Facts.Novel))
	}
	approvedOf := func(text string) (n int) { return strings.Count(text, `"state":"approved"`) }
	if got, want := approvedOf(export(t, b)), approvedOf(first); got != want {
		t.Errorf("%d items are approved after going back, want %d", got, want)
	}
	if all, err = b.Versions(); err != nil || len(all) != 3 || all[2].Sum != all[0].Sum || all[2].Why != "back to version 1" {
		t.Errorf("%+v, %v", all, err)
	}
	b.versions[1].Who = "carl"
	if _, err := b.Versions(); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a changed version gives %v", err)
	}
}

// TestVersionTexts: of old versions as many items are kept as fit, and those of the latest in any case.
func TestVersionTexts(t *testing.T) {
	for _, c := range []struct{ versions, size, kept int }{{30, 100, keptTexts}, {10, maxTexts / 4, 4}, {2, maxTexts + 1, 1}} {
		b := openIn(t, t.TempDir(), rules.Learn)
		for n := 1; n <= c.versions; n++ {
			v := Version{N: n}
			b.versions = append(b.versions, v)
			if b.texts == nil {
				b.texts = map[int][]byte{}
			}
			b.texts[n] = make([]byte, c.size)
			if n%10 == 0 || n == c.versions {
				if err := b.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		var kept []uint64
		if err := b.db.View(func(tx *bbolt.Tx) error {
			return tx.Bucket(textBucket).ForEach(func(key, _ []byte) error { kept = append(kept, binary.BigEndian.Uint64(key)); return nil })
		}); err != nil {
			t.Fatal(err)
		}
		if len(kept) != c.kept || kept[len(kept)-1] != uint64(c.versions) {
			t.Errorf("%d versions of %d bytes: %v are kept, want %d", c.versions, c.size, kept, c.kept)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRelearn: one host learns while the others stay enforced.
func TestRelearn(t *testing.T) {
	b := openIn(t, "", rules.Learn)
	other := poll.with(func(s *step) { s.server = "10.0.0.2" })
	b.steadily(poll, answer, other, other.with(func(s *step) { s.from = protocols.Server }))
	b.Approve("anna", time.Unix(0, 30*hour))
	b.SetPhase(rules.Enforce)
	if err := b.Relearn(netip.MustParseAddr("10.0.0.9"), "anna", "", time.Unix(0, 31*hour)); err == nil {
		t.Error("a host that was never learned is learned anew")
	}
	if err := b.Relearn(netip.MustParseAddr("10.0.0.1"), "anna", "new firmware", time.Unix(0, 31*hour)); err != nil {
		t.Fatal(err)
	}
	changed := poll.with(func(s *step) { s.code = 4 })
	if e := b.play(32*hour, changed); e.Facts.Novel != 0 || e.Facts.Phase != rules.Learn {
		t.Errorf("the host that is learned anew: %s in %v", words(e.Facts.Novel), e.Facts.Phase)
	}
	if e := b.play(32*hour, other.with(func(s *step) { s.code = 4 })); e.Facts.Novel&rules.NewOp == 0 || e.Facts.Phase != rules.Enforce {
		t.Errorf("another host: %s in %v", words(e.Facts.Novel), e.Facts.Phase)
	}
	b.Decide(Choice{Who: "anna", At: time.Unix(0, 33*hour), Classes: Classes(), Host: netip.MustParseAddr("10.0.0.1")})
	if e := b.play(34*hour, changed); e.Facts.Novel&^rules.NewClient != 0 || e.Facts.Phase != rules.Enforce || !e.Facts.Approved {
		t.Errorf("after its approval: %s in %v", words(e.Facts.Novel), e.Facts.Phase)
	}
	if e := b.play(34*hour, changed.with(func(s *step) { s.code = 2 })); e.Facts.Novel&rules.NewOp == 0 {
		t.Errorf("what came after its approval is not new: %s", words(e.Facts.Novel))
	}
}

func TestSigned(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(export(t, learned(t, "")))
	line := Sign(text, private)
	if err := Verify(text, line, public); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"a changed text":      Verify(bytes.Replace(text, []byte("pending"), []byte("approved"), 1)[1:], line, public),
		"a changed signature": Verify(text, append([]byte("AAAA"), line[4:]...), public),
		"no signature":        Verify(text, nil, public),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
