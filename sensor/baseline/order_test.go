package baseline

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/roje-ot/roje/rules"
)

// TestOrders: what can be asked, what is refused, and that a decision has a name, a reason and a version.
func TestOrders(t *testing.T) {
	b := openIn(t, "", rules.Learn)
	for h := range int64(30) {
		b.play(h*hour, poll, answer, write)
	}
	for _, c := range []struct {
		order Order
		want  string // of the answer
		err   string
	}{
		{Order{Do: "show"}, `"kind":"link"`, ""},
		{Order{Do: "diff"}, `"state":"pending"`, ""},
		{Order{Do: "aprove"}, "", `did you mean "approve"`},
		{Order{Do: "approve", Classes: []Class{Reads}}, "", "it needs a name"},
		{Order{Do: "approve", Who: "anna", Classes: []Class{ByItem}}, "", "are not approved together"},
		{Order{Do: "approve", Who: "anna", Item: "link nobody"}, "", "no item"},
		{Order{Do: "approve", Who: "anna", Why: "T-1", Classes: []Class{Reads, Commands, Mixed, Rarely}}, "approved 1 link", ""},
		{Order{Do: "propose"}, "", ""},
		{Order{Do: "rollback", Who: "anna", Version: 7}, "", "there is no version 7"},
		{Order{Do: "import", Who: "anna", Text: []byte("{")}, "", "line 1"},
		{Order{Do: "relearn", Who: "anna", Why: "new firmware", Host: b.links[firstLink(b)].server.addr}, "", ""},
		{Order{Do: "rollback", Who: "boss", Why: "too early", Version: 1}, "", ""},
		{Order{Do: "versions"}, "boss", ""},
		{Order{Do: "versions"}, "back to version 1: too early", ""},
	} {
		var out strings.Builder
		answer, err := b.Do(&c.order, time.Unix(0, 40*hour))
		if err == nil {
			err = answer(&out)
		}
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%+v: %v, want %q", c.order, err, c.err)
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%+v: %q, want %q", c.order, out.String(), c.want)
		}
	}
	if n := len(b.versions); n != 3 {
		t.Errorf("%d versions, want 3", n)
	}
}

func firstLink(b *Baseline) linkKey {
	for key := range b.links {
		return key
	}
	return linkKey{}
}

// TestUnwritten: what the disk does not take is written with the next snapshot, the newer over the older.
func TestUnwritten(t *testing.T) {
	dir := t.TempDir()
	b := openIn(t, dir, rules.Learn)
	shut, err := bbolt.Open(filepath.Join(t.TempDir(), "other"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := shut.Close(); err != nil {
		t.Fatal(err)
	}
	good := b.db
	b.db = shut
	b.play(hour, poll, answer)
	if b.Flush() == nil {
		t.Fatal("a file that is closed took it")
	}
	b.Approve("test", time.Unix(0, 2*hour))
	if b.Flush() == nil {
		t.Fatal("a file that is closed took it")
	}
	b.db = good
	b.play(3*hour, answer.with(func(s *step) { s.points = values(200, 1, 2) }))
	want := export(t, b)
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := b.db.Close(); err != nil { // as if killed
		t.Fatal(err)
	}
	b = openIn(t, dir, rules.Learn)
	defer b.Close()
	if got := export(t, b); got != want {
		t.Errorf("after a kill\n got %s\nwant %s", got, want)
	}
	if _, err := b.itemsOf(1); err != nil {
		t.Error(err)
	}
}
