package evidence

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules/batch"
)

// A lane plays the spool and, behind it, a collector that keeps what continues what it has.
type lane struct {
	waits  []batch.Piece
	others uint64
	have   map[string][]byte
	gone   map[string]string
	full   error
	most   int
}

func (l *lane) Put(p batch.Piece) error {
	if l.full != nil {
		return l.full
	}
	p.Data = bytes.Clone(p.Data)
	l.waits = append(l.waits, p)
	l.most = max(l.most, len(l.waits))
	return nil
}

func (l *lane) Waits() (uint64, uint64) { return uint64(len(l.waits)), l.others }

// deliver has the oldest piece arrive.
func (l *lane) deliver() {
	p := l.waits[0]
	l.waits = l.waits[1:]
	if p.Gone != "" {
		l.gone[p.Alert] = p.Gone
	} else if int(p.At) == len(l.have[p.Alert]) {
		l.have[p.Alert] = append(l.have[p.Alert], p.Data...)
	}
}

// asks are what is not whole yet of these alerts.
func (l *lane) asks(files map[string][]byte, alerts ...string) (all []batch.Ask) {
	for _, a := range alerts {
		if len(l.have[a]) < len(files[a]) && l.gone[a] == "" {
			all = append(all, batch.Ask{Alert: a, From: int64(len(l.have[a]))})
		}
	}
	return all
}

func newLane() *lane { return &lane{have: map[string][]byte{}, gone: map[string]string{}} }

// evidenceFiles writes files of several lengths, each the evidence of an alert.
func evidenceFiles(t *testing.T) (string, map[string][]byte) {
	t.Helper()
	dir, files := t.TempDir(), map[string][]byte{}
	for name, n := range map[string]int{"one": 1, "piece": 100, "more": 1234} {
		files[name] = bytes.Repeat([]byte(name), n)[:n]
		if err := os.WriteFile(filepath.Join(dir, name+".pcapng"), files[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, files
}

// TestCourier asks for evidence while pieces are lost, the courier restarts and the files change, and holds that all of
// it arrives, that little waits at a time, and that nothing is put while anything else waits.
func TestCourier(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, disturb := range map[string]func(step int, c **Courier, l *lane, anew func()){
		"nothing": func(int, **Courier, *lane, func()) {},
		"lost": func(step int, _ **Courier, l *lane, _ func()) {
			if step%3 == 2 && len(l.waits) > 0 {
				l.waits = l.waits[1:]
			}
		},
		"restart": func(step int, _ **Courier, _ *lane, anew func()) {
			if step%4 == 3 {
				anew()
			}
		},
		"all lost": func(step int, _ **Courier, l *lane, anew func()) {
			if step%5 == 4 {
				l.waits = nil
				anew()
			}
		},
	} {
		dir, files := evidenceFiles(t)
		l := newLane()
		settings := Settings{Dir: dir, Lane: l, Now: func() time.Time { return now }, Piece: 100}
		c := NewCourier(settings)
		steps := 0
		for ; len(l.asks(files, "one", "piece", "more", "none")) > 0 || l.gone["none"] == ""; steps++ {
			if steps > 1000 {
				t.Fatalf("%s: after %d steps %d of %d bytes are there", name, steps, len(l.have["more"]), len(files["more"]))
			}
			asks := l.asks(files, "one", "piece", "more")
			if l.gone["none"] == "" {
				asks = append(asks, batch.Ask{Alert: "none"})
			}
			c.Asked(asks)
			l.others = 1
			waited := len(l.waits)
			if _, err := c.Step(); err != nil || len(l.waits) != waited {
				t.Fatalf("%s: %d pieces are put while others wait, %v", name, len(l.waits)-waited, err)
			}
			l.others = 0
			if _, err := c.Step(); err != nil {
				t.Fatal(err)
			}
			disturb(steps, &c, l, func() { c = NewCourier(settings) })
			if len(l.waits) > 0 {
				l.deliver()
			}
		}
		for alert, want := range files {
			if !bytes.Equal(l.have[alert], want) {
				t.Errorf("%s: %s: %d bytes came, want %d", name, alert, len(l.have[alert]), len(want))
			}
		}
		if l.most > inFlight {
			t.Errorf("%s: %d pieces waited at a time", name, l.most)
		}
		c.Asked(nil)
		if busy, err := c.Step(); busy || err != nil || !c.Idle() {
			t.Errorf("%s: busy %v when nothing is asked for, %v", name, busy, err)
		}
	}
}

// TestCourierUnasked: what is written is sent by itself only where the settings say so.
func TestCourierUnasked(t *testing.T) {
	for send, want := range map[string]int{"": 0, SendAsked: 0, SendNone: 0, SendAll: 1234} {
		dir, _ := evidenceFiles(t)
		l := newLane()
		c := NewCourier(Settings{Sending: Sending{Send: send}, Dir: dir, Lane: l, Now: time.Now, Piece: 100})
		c.Written("more")
		for busy := true; busy; {
			var err error
			if busy, err = c.Step(); err != nil {
				t.Fatal(err)
			}
			for len(l.waits) > 0 {
				l.deliver()
			}
		}
		if got := len(l.have["more"]); got != want || !c.Idle() {
			t.Errorf("%q: %d bytes came, want %d", send, got, want)
		}
		if c.Asked([]batch.Ask{{Alert: "one"}}); send == SendNone {
			if _, err := c.Step(); err != nil || len(l.waits) != 1 || l.waits[0].Gone == "" {
				t.Errorf("asked for what may not leave: %+v, %v", l.waits, err)
			}
		}
	}
	var none *Courier
	none.Asked([]batch.Ask{{Alert: "x"}})
	none.Written("x")
	if !none.Idle() {
		t.Error("no courier is busy")
	}
}

// TestCourierBudget: no more than a day's bytes are sent in a day, give or take a piece.
func TestCourierBudget(t *testing.T) {
	dir, files := evidenceFiles(t)
	l := newLane()
	now := time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)
	c := NewCourier(Settings{Sending: Sending{DayBytes: 450}, Dir: dir, Lane: l, Now: func() time.Time { return now }, Piece: 100})
	var came []int
	for range 4 {
		for range 20 {
			c.Asked(l.asks(files, "more"))
			if _, err := c.Step(); err != nil {
				t.Fatal(err)
			}
			for len(l.waits) > 0 {
				l.deliver()
			}
		}
		came = append(came, len(l.have["more"]))
		now = now.Add(24 * time.Hour)
	}
	if want := []int{500, 1000, 1234, 1234}; came[0] != want[0] || came[1] != want[1] || came[2] != want[2] || came[3] != want[3] {
		t.Errorf("by day %v, want %v", came, want)
	}
	l.full = errors.New("no")
	c.Asked([]batch.Ask{{Alert: "one"}})
	if _, err := c.Step(); err == nil {
		t.Error("a spool that takes nothing is no error")
	}
	for _, bad := range []Sending{{Send: "always"}, {DayBytes: 5}, {DayBytes: -1}} {
		if err := bad.Check(); err == nil || !strings.Contains(err.Error(), "evidence_to_collector.") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
