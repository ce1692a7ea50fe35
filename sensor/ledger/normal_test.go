package ledger_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/ledger/ledgertest"
	"github.com/roje-ot/roje/testdata/need"
)

// A tally counts what the ledger tells the rules.
type tally struct{ actions, seen, missing, alone int }

// tallyOf runs a capture through flow and ledger.
func tallyOf(t testing.TB, path string) (n tally) {
	t.Helper()
	ledgertest.New(ledger.Config{Tell: func(e *rules.Event) {
		switch {
		case e.Act.Unasked:
			n.alone++
			return
		case e.Act.Effect == rules.EffectSeen:
			n.seen++
		case e.Act.Effect == rules.EffectMissing:
			n.missing++
		}
		n.actions++
	}}, nil).File(t, path)
	return n
}

// TestNormalDays holds that no effect is missed and no change is nobody's on the lab's normal days, whose operators and
// programs switch, and whose stations do what they are told.
func TestNormalDays(t *testing.T) {
	for _, name := range []string{"day-normal.pcapng.gz", "day-normal-2.pcap.gz"} {
		n := tallyOf(t, filepath.Join(need.Root(t), "testdata", name))
		t.Logf("%s: %+v", name, n)
		if n.actions == 0 || n.seen == 0 || n.missing > 0 || n.alone > 0 {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

// TestCorpusEffects holds that neither is said of any public capture: none of them holds an outage of a station's
// outputs, and those that are attacks use well-formed commands that are carried out.
func TestCorpusEffects(t *testing.T) {
	need.Long(t)
	dir := filepath.Join(need.Corpus(t), "captures")
	var sum tally
	captures := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "pcap") {
			return err
		}
		if file, err := capture.Open(path); err != nil {
			return nil // TestEveryByte of the sensor says which cannot be read
		} else {
			file.Close()
		}
		n := tallyOf(t, path)
		if captures++; n.missing+n.alone > 0 {
			t.Errorf("%s: %+v", path, n)
		}
		sum.actions, sum.seen, sum.missing, sum.alone = sum.actions+n.actions, sum.seen+n.seen, sum.missing+n.missing, sum.alone+n.alone
		return nil
	})
	if err != nil || captures == 0 {
		t.Fatal(err, captures)
	}
	t.Logf("%d captures: %+v", captures, sum)
}
