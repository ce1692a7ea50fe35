package coverage

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/roje-ot/roje/rules"
)

// A Finding is a way in which the sensor is blind. It is told when it begins and, with a greater Count, when it is over.
type Finding struct {
	Rule              string
	Severity          rules.Severity
	Title             string // a sentence
	Learned, Observed string
	Client, Server    netip.Addr    // not valid where it is about several
	Near              [2]netip.Addr // hosts of the link by which it was noticed
	Proto             string
	First, Last       int64 // of what it stands on, and when it was said or over; Unix nanoseconds
	Count             uint64
	Silence           bool // it says that nothing is heard, which a rule may have said of the same hosts
	Over              bool
}

// A kind is a way to be blind.
type kind uint8

const (
	oneSided kind = iota
	undecoded
	twice
	silent
	kinds
)

// what is said of each kind.
var says = [kinds]struct {
	rule     string
	severity rules.Severity
}{
	oneSided:  {"sensor-link-one-sided", rules.High},
	undecoded: {"sensor-link-undecoded", rules.High},
	twice:     {"sensor-link-doubled", rules.Low},
	silent:    {"sensor-link-silent", rules.Medium},
}

// say tells a finding of a link, once until it is over.
func (b *Book) say(l *Link, k kind, f Finding) {
	if l.said[k] != nil {
		return
	}
	f.Rule, f.Severity, f.Client, f.Server, f.Proto, f.Count = says[k].rule, says[k].severity, l.Client, l.Server, l.Proto, 1
	f.Near = [2]netip.Addr{l.Client, l.Server}
	if f.Title == "" {
		f.Title = fmt.Sprintf("Packets of %s come twice at %s: two mirrors, or both sides of a router, show the same traffic, and rates that are learned from it are wrong", l, l.Source)
	}
	said := f
	l.said[k] = &said
	b.found(f)
}

// over says that a finding of a link has ended at a time.
func (b *Book) over(l *Link, k kind, at int64) {
	f := l.said[k]
	if f == nil {
		return
	}
	l.said[k] = nil
	f.Last, f.Over, f.Count = max(at, f.Last), true, f.Count+1
	f.Observed += "; over at " + stamp(at)
	b.found(*f)
}

func (l *Link) String() string {
	proto := l.Proto
	if proto == "" {
		proto = l.Transport
	}
	return fmt.Sprintf("%s to %s port %d (%s)", l.Client, l.Server, l.Port, proto)
}

func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339) }

// unwatched is time in which nothing at all was seen, not even a tick: nobody watched.
const unwatched = 15 * time.Minute

// Tick says what time it is, at least once a second: in packet time, or, where no packet comes, by the wall.
func (b *Book) Tick(now int64) {
	past := now - b.now
	if b.now == 0 || past < -int64(time.Second) || past > int64(unwatched) {
		b.begin(now)
		return
	}
	if past < int64(time.Second)/2 {
		return
	}
	b.now = now
	for _, l := range b.links {
		b.look(l, now)
		l.suffer(past)
	}
}

// begin watches anew from now on: what was not heard before proves nothing.
func (b *Book) begin(now int64) {
	b.now, b.since = now, now
	for _, l := range b.links {
		l.proof, l.dark, l.darkFor = [2]int64{}, 0, 0
	}
}

// soon is a time less than a promise, by what a look can come late.
func soon(promise time.Duration) int64 { return int64(promise - promise/4) }

// look says what is wrong with a link now.
func (b *Book) look(l *Link, now int64) {
	if l.Proto == "" {
		return // what of it reaches the sensor is for the filter in the kernel to say
	}
	for side := range l.Heard {
		last := max(l.Heard[side], b.since)
		if l.Heard[side] == 0 {
			last = max(l.First, b.since)
		}
		if l.said[oneSided] != nil || l.proof[side] == 0 || l.Heard[1-side] <= l.Heard[side] || now-last < soon(b.config.OneSided) || now-l.proof[side] < int64(b.config.OneSided)/4 {
			continue
		}
		why := "the other side has got it, so the mirror does not show it"
		if l.Transport == "udp" {
			why = "either it says nothing any more, or the mirror does not show it"
		}
		was := "it was never seen"
		if l.Heard[side] != 0 {
			was = "last seen " + stamp(l.Heard[side])
		}
		l.Blind.OneSided += seconds(now - last)
		l.lost = side
		b.say(l, oneSided, Finding{
			Title:    fmt.Sprintf("Only one side of %s is seen at %s: what %s sends is missing; %s, and half of what happens there is not watched", l, l.Source, sideNames[side], why),
			Observed: fmt.Sprintf("%s: %s", sideNames[side], was), First: last, Last: now,
		})
	}
	if l.Learned && l.dark != 0 && l.darkFor >= leastDark && now-l.dark >= soon(b.config.Undecoded) {
		if l.said[undecoded] == nil {
			l.Blind.Undecoded += seconds(now - l.dark)
		}
		b.say(l, undecoded, Finding{
			Title:   fmt.Sprintf("The learned link of %s is seen and no longer understood: it may be encrypted now, or something else speaks on its port, and what it says is not watched", l),
			Learned: "decoded as " + l.Proto, Observed: fmt.Sprintf("%d bytes since %s, none of them decoded", l.darkFor, stamp(l.dark)), First: l.dark, Last: now,
		})
	}
	if !l.Told && l.quiet(b, now) {
		if !l.again {
			l.Blind.Silent += seconds(now - max(l.Last, b.since))
		}
		l.Told, l.again = true, false
		b.silence(l, now)
	}
}

// quiet says whether a learned link has been silent for too long.
func (l *Link) quiet(b *Book, now int64) bool {
	return l.Learned && b.has(l.Source) && now-max(l.Last, b.since) >= max(soon(b.config.Silent), 3*l.Longest+5*int64(time.Second))
}

// has says whether a source of that name is watched now.
func (b *Book) has(name string) bool {
	return slices.ContainsFunc(b.sources, func(s *Source) bool { return s.name == name })
}

// suffer adds to the time of the day in which the link was not what it should be.
func (l *Link) suffer(ns int64) {
	if l.said[oneSided] != nil {
		l.Blind.OneSided += seconds(ns)
	}
	if l.said[undecoded] != nil {
		l.Blind.Undecoded += seconds(ns)
	}
	if l.Told {
		l.Blind.Silent += seconds(ns)
	}
}

// A cause is a silence that stands for those of several links.
type cause struct {
	Finding
	holds func(*Link) bool
}

// scopes are what can be silent, the widest first. A silence is said of the widest of which nothing is heard.
var scopes = []struct {
	key   func(*Link) string
	title string // with the scope's name and how many links it has
	hosts func(*Link) (client, server netip.Addr)
}{
	{func(l *Link) string { return "at " + l.Source }, "None of the %[2]d learned links %[1]s is heard any more: what happens there is not watched",
		func(*Link) (c, s netip.Addr) { return c, s }},
	{func(l *Link) string { return "station " + l.Server.String() }, "None of the %[2]d learned links of %[1]s is heard any more",
		func(l *Link) (c, s netip.Addr) { return c, l.Server }},
	{func(l *Link) string { return "master " + l.Client.String() }, "None of the %[2]d learned links of %[1]s is heard any more",
		func(l *Link) (c, s netip.Addr) { return l.Client, s }},
}

// silence says that a link is silent, or, if others that share a cause with it are too, that of all of them.
func (b *Book) silence(l *Link, now int64) {
	for _, scope := range scopes {
		if c := b.causes[scope.key(l)]; c != nil {
			c.Count++
			return
		}
	}
	for _, scope := range scopes {
		key, n, alive := scope.key(l), 0, false
		for _, other := range b.links {
			if !other.Learned || other.Proto == "" || scope.key(other) != key {
				continue
			}
			n++
			alive = alive || other.Last-l.Last > int64(5*time.Second)+3*l.Longest || now-other.Last <= other.Longest+int64(2*time.Second)
		}
		if n < 2 || alive {
			continue
		}
		f := Finding{
			Rule: says[silent].rule, Severity: says[silent].severity, Title: fmt.Sprintf(scope.title, key, n), Learned: l.rhythm(),
			Observed: "nothing since " + stamp(l.Last), Proto: l.Proto, First: max(l.Last, b.since), Last: now, Count: 1, Silence: true, Near: [2]netip.Addr{l.Client, l.Server},
		}
		f.Client, f.Server = scope.hosts(l)
		b.causes[key] = &cause{Finding: f, holds: func(o *Link) bool { return scope.key(o) == key }}
		b.found(f)
		return
	}
	b.say(l, silent, Finding{
		Title:   fmt.Sprintf("The learned link of %s is heard no more: what happens there is not watched", l),
		Learned: l.rhythm(), Observed: "nothing since " + stamp(l.Last), First: max(l.Last, b.since), Last: now, Silence: true,
	})
}

func (l *Link) rhythm() string {
	return fmt.Sprintf("at most %.0f seconds without a packet", seconds(l.Longest))
}

// heard ends the silences that stand for a link that is heard. Those of its fellows that go on are said anew, by
// themselves.
func (b *Book) heard(l *Link, at int64) {
	for key, c := range b.causes {
		if !c.holds(l) {
			continue
		}
		delete(b.causes, key)
		c.Last, c.Over, c.Count = max(at, c.Last), true, c.Count+1
		c.Observed += "; over at " + stamp(at)
		b.found(c.Finding)
		for _, o := range b.links {
			if o != l && c.holds(o) && o.said[silent] == nil {
				o.Told, o.again = false, true
			}
		}
	}
}

// Ailing is how many links there are, and how many of them are at present one-sided, not decoded though learned, and
// silent though learned.
func (b *Book) Ailing() (links, one, dark, quiet int) {
	for _, l := range b.links {
		if l.said[oneSided] != nil {
			one++
		}
		if l.said[undecoded] != nil {
			dark++
		}
		if l.Told {
			quiet++
		}
	}
	return len(b.links), one, dark, quiet
}
