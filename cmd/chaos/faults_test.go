package chaos

import (
	"bytes"
	"slices"
	"time"
)

// faults are what happens, with how often each is in a deck. do returns false where it could not be just now.
var faults = []struct {
	name   string
	weight int
	do     func(*world) bool
}{
	{"kill sensor", 8, func(w *world) bool { return w.again(w.any(nil), 5+w.rnd.IntN(40), 200+w.rnd.IntN(600)) }},
	{"clock", 3, (*world).wrongClock},
	{"cut link", 3, (*world).cutLink},
	{"cut connections", 1, func(w *world) bool { w.gate.wire.Cut(); return true }},
	{"flood", 1, (*world).flood},
	{"sensor's disk full", 2, (*world).sensorDisk},
	{"kill collector", 3, func(w *world) bool { return w.killCentres(w.rnd.IntN(collectors)) }},
	{"kill both collectors", 1, func(w *world) bool { return w.killCentres(0, 1) }},
	{"collector's disk full", 1, (*world).centreDisk},
	{"kill database", 2, (*world).killDatabase},
	{"database's disk full", 1, (*world).databaseDisk},
	{"act of a person", 1, (*world).hold},
	{"act of an attacker", 3, (*world).attack},
}

// any picks a sensor of some kind.
func (w *world) any(kind func(*site) bool) *site {
	var some []*site
	for _, s := range w.sites {
		if kind == nil || kind(s) {
			some = append(some, s)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[w.rnd.IntN(len(some))]
}

// again kills a sensor and starts it again, with n more alerts in its spool.
func (w *world) again(s *site, n, size int) bool {
	s.kill()
	s.feed(w.rnd, n, size)
	s.start()
	return true
}

// wrongClock starts a sensor again with a clock that is wrong, or will jump while it runs, or is right again.
func (w *world) wrongClock() bool {
	s := w.any(func(s *site) bool { return s.fickle })
	wrong := func() time.Duration {
		return []time.Duration{0, time.Hour, -time.Hour, 40 * 24 * time.Hour, -3 * 365 * 24 * time.Hour}[w.rnd.IntN(5)]
	}
	s.clock = &clock{first: wrong(), then: wrong(), jump: time.Duration(w.rnd.IntN(20)) * time.Second}
	return w.again(s, 5+w.rnd.IntN(20), 300)
}

func (w *world) cutLink() bool {
	s := w.any(func(s *site) bool { return !s.wan.down })
	if s == nil {
		return false
	}
	s.wan.cut(true)
	w.after(2+w.rnd.IntN(8), func() { s.wan.cut(false) })
	return true
}

// flood spools more than a spool holds, where it cannot be delivered.
func (w *world) flood() bool {
	s := w.any(func(s *site) bool { return s.budget == spoolLeast && !s.wan.down })
	if s == nil {
		return false
	}
	s.wan.cut(true)
	w.after(4, func() { s.wan.cut(false) })
	return w.again(s, 700, 2500)
}

func (w *world) sensorDisk() bool {
	s := w.any(func(s *site) bool { return s.disk != "" && !s.filled })
	if s == nil {
		return false
	}
	s.filled, s.full = true, true
	if err := fill(s.disk); err != nil {
		w.t.Fatal(err)
	}
	w.after(2+w.rnd.IntN(6), func() { s.free() })
	return true
}

func (w *world) killCentres(which ...int) bool {
	for _, n := range which {
		c := w.centres[n]
		if c.away {
			continue
		}
		c.proc.Kill()
		c.away = true
		w.after(w.rnd.IntN(4), func() { c.back() })
	}
	return true
}

func (w *world) centreDisk() bool {
	c := w.centres[w.rnd.IntN(collectors)]
	if c.full {
		return false
	}
	c.full = true
	if err := fill(c.disk); err != nil {
		w.t.Fatal(err)
	}
	w.after(2+w.rnd.IntN(4), func() { c.free() })
	return true
}

func (w *world) killDatabase() bool {
	if w.gone || w.crowded {
		return false
	}
	w.pg.Kill()
	w.gone = true
	w.after(1+w.rnd.IntN(3), w.databaseBack)
	return true
}

// databaseDisk takes the database's room: it may stop by itself, and is killed with the end of it.
func (w *world) databaseDisk() bool {
	if w.gone || w.crowded {
		return false
	}
	w.crowded = true
	if err := fill(w.pgDisk); err != nil {
		w.t.Fatal(err)
	}
	w.after(3, w.databaseBack)
	return true
}

// databaseBack ends what has happened to the database.
func (w *world) databaseBack() {
	if !w.gone && !w.crowded {
		return
	}
	if err := free(w.pgDisk); err != nil {
		w.t.Fatal(err)
	}
	if !w.gone { // it may have ended by itself
		w.pg.Kill()
	}
	w.pg.Restart()
	w.gone, w.crowded = false, false
}

// attack plays a capture of the lab to a sensor that watches an interface.
func (w *world) attack() bool {
	w.any(func(s *site) bool { return s.live }).play(acts[w.rnd.IntN(len(acts))])
	return true
}

// heal ends all faults, and waits until everything is delivered.
func (w *world) heal() {
	w.t.Log(w)
	for _, l := range w.later {
		l.do()
	}
	w.later = nil
	w.databaseBack()
	for _, c := range w.centres {
		if err := free(c.disk); err != nil {
			w.t.Fatal(err)
		}
		c.back()
		c.look()
	}
	for _, s := range w.sites { // which also ends a long wait before the next try
		s.free()
		if s.wan.down {
			s.wan.cut(false)
		}
		s.clock = nil
		w.again(s, 10, 300)
	}
	w.lastWords()
	w.drain()
}

// lastWords has each live sensor raise something, and all end in order: what they raised in that life is on disk then.
func (w *world) lastWords() {
	for _, s := range w.sites {
		n := 0
		w.wait("an alert of "+s.name, func() bool {
			if s.live && s.hear() == 0 {
				s.play(acts[n%len(acts)])
				n++
			}
			return !s.live || s.hear() > 0
		})
	}
	for _, s := range w.sites {
		if err := s.proc.Stop(); err != nil {
			w.t.Errorf("%s ends with %v\n%s", s.name, err, s.tail())
		}
		s.last = s.heard()
		s.start()
	}
}

// drain waits until every sensor has delivered what is in its spool.
func (w *world) drain() {
	left := slices.Clone(w.sites)
	w.wait("all spools to be empty", func() bool {
		for _, c := range w.centres {
			c.look()
		}
		left = slices.DeleteFunc(left, func(s *site) bool {
			select {
			case <-s.proc.Ended():
				if err := s.proc.Wait(); err != nil {
					w.t.Fatalf("%s has ended: %v\n%s", s.name, err, s.tail())
				}
				return true // at the end of its capture, with nothing left
			default:
			}
			n, err := s.waiting()
			return err == nil && n == 0
		})
		return len(left) == 0
	})
	for _, s := range w.sites {
		s.proc.Kill()
	}
}

// wait waits for an event; the deadline only tells a hang.
func (w *world) wait(what string, met func() bool) {
	w.t.Helper()
	for end := time.Now().Add(5 * time.Minute); !met(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			for _, s := range w.sites {
				n, err := s.waiting()
				w.t.Logf("%s: %d bytes wait, %v; it says:\n%s", s.name, n, err, s.tail())
			}
			for _, c := range w.centres {
				w.t.Logf("collector %d says:\n%s", c.n, c.tail())
			}
			w.t.Fatalf("waited for %s in vain", what)
		}
	}
}

// replaceOnce is text with what is in it once replaced.
func replaceOnce(text []byte, old, with string) []byte {
	return bytes.Replace(text, []byte(old), []byte(with), 1)
}
