package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/roje-ot/roje/cmd/chaos/rig"
	"github.com/roje-ot/roje/testdata/need"
)

var (
	lasts = flag.Duration("for", 10*time.Minute, "how long everything happens")
	seed  = flag.Uint64("seed", 7, "of what happens, and in which order")
)

const sensors = 20

// afterwards is what healing, draining and judging may take beside the faults themselves.
const afterwards = 6 * time.Minute

// TestChaos is the whole story: see the package.
func TestChaos(t *testing.T) {
	need.Long(t)
	need.Superuser(t)
	t.Logf("seed %d", *seed)
	w := newWorld(t)
	long := *lasts
	if end, ok := t.Deadline(); ok && time.Until(end)-afterwards < long {
		long = max(time.Until(end)-afterwards, time.Minute)
		t.Logf("shortened to %v by -timeout; give -timeout 20m for all of it", long.Round(time.Second))
	}
	for began := time.Now(); time.Since(began) < long; w.round++ {
		w.look()
		w.strike()
		time.Sleep(time.Second + time.Duration(w.rnd.IntN(1500))*time.Millisecond) // so that things get under way; it decides nothing
	}
	w.heal()
	w.judge()
}

// A world is everything that there is.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	hub     *rig.Namespace
	pg      *need.Cluster
	pgDisk  string
	pgName  string
	gone    bool // the database is
	crowded bool // its disk is full
	centres [collectors]*centre
	gate    *gate
	sites   []*site

	round  int
	deck   []int
	later  []later
	struck map[string]int
	acts   int
}

// later is what ends a fault.
type later struct {
	round int
	do    func()
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(*seed, *seed)), hub: rig.NewNamespace(t), struck: map[string]int{}}
	files := build(t)
	w.pg, w.pgDisk = database(t)
	w.pgName = w.pg.Database()
	for i := range w.centres {
		c := newCentre(t, w.hub, i, files.collector, w.pg.URL("roje", w.pgName))
		if w.centres[i] = c; i > 0 { // as the documentation says: all have the same authority
			if err := os.CopyFS(certificates(c.data), os.DirFS(certificates(w.centres[0].data))); err != nil {
				t.Fatal(err)
			}
		}
		if <-c.start(); !c.serves.Load() {
			t.Fatalf("collector %d does not start:\n%s", i, c.tail())
		}
	}
	w.gate = newGate(t, w.hub, certificates(w.centres[0].data))
	for n := range sensors {
		s := newSite(t, w.hub, n, files)
		port := plainPort
		if n%4 == 3 {
			port = repeatPort
		}
		w.sites = append(w.sites, s)
		if port == repeatPort { // which can repeat only what it has the keys for
			s.enrol(plainPort, w.centres[0].token)
			moved(s, repeatPort)
			w.gate.know(s)
		} else {
			s.enrol(port, w.centres[n%collectors].token)
		}
		s.feed(w.rnd, 20, 300)
		s.start()
	}
	return w
}

// look starts again what has ended, and ends the faults that are due.
func (w *world) look() {
	var left []later
	for _, l := range w.later {
		if l.round <= w.round {
			l.do()
		} else {
			left = append(left, l)
		}
	}
	w.later = left
	for _, c := range w.centres {
		if !w.gone {
			c.look()
		}
	}
	for _, s := range w.sites {
		s.look()
	}
}

// after ends a fault some rounds later.
func (w *world) after(rounds int, do func()) {
	w.later = append(w.later, later{w.round + rounds, do})
}

// strike has the next thing happen. Each deck of faults holds all kinds, as often as their weights say.
func (w *world) strike() {
	if len(w.deck) == 0 {
		for i, f := range faults {
			for range f.weight {
				w.deck = append(w.deck, i)
			}
		}
		w.rnd.Shuffle(len(w.deck), func(i, j int) { w.deck[i], w.deck[j] = w.deck[j], w.deck[i] })
	}
	f := faults[w.deck[0]]
	w.deck = w.deck[1:]
	if f.do(w) {
		w.struck[f.name]++
	}
}

// moved has a sensor speak to another port of the gate.
func moved(s *site, port string) {
	file := s.enrolment() + "/enrolment.json"
	text, err := os.ReadFile(file)
	if err == nil {
		text = replaceOnce(text, s.wan.hubIP+":"+plainPort, s.wan.hubIP+":"+port)
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// hold has a person keep an alert: an act that the audit log must show. Whether there is a database just now is chance.
func (w *world) hold() bool {
	s := w.sites[w.rnd.IntN(len(w.sites))]
	for id := range s.fed {
		cmd := exec.Command(w.centres[0].program, "hold", id, "--data", w.centres[w.rnd.IntN(collectors)].data)
		if out, err := cmd.CombinedOutput(); err != nil {
			w.t.Logf("round %d: hold %s: %.200s", w.round, id, out)
			return false
		}
		w.acts++
		return true
	}
	return false
}

func (w *world) String() string {
	return fmt.Sprintf("%d rounds: %v; %d connections cut, %d deliveries repeated, %d answers dropped, %d acts", w.round, w.struck, w.gate.wire.Cuts(), w.gate.Repeated.Load(), w.gate.Dropped.Load(), w.acts)
}
