package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/rules/lang"
)

// fire takes note of a finding of r on the event in g.env.
func (g *Engine) fire(r *running) {
	e := g.env.E
	key := g.seed.Uint64(uint64(r.number))
	for _, w := range r.Per {
		key = w.Hash(key, &g.env)
	}
	client, server := e.Flow.Client.Addr(), e.Flow.Server.Addr()
	if g.again(uint64(key), netip.Addr{}) {
		g.cases.touch(e.At, client, server)
		return
	}
	if r.silence() {
		if parent, ok := g.above(r, client, server); ok && g.again(parent, netip.Addr{}) {
			g.cases.touch(e.At, client, server)
			return
		}
		g.explain(r, uint64(key), client, server)
	}
	if fans(r) {
		in, out := fanKey{r.number, server, true}, fanKey{r.number, client, false}
		nIn, nOut := g.fan.note(in, client, e.At), g.fan.note(out, server, e.At)
		inKey, outKey := in.hash(g.seed), out.hash(g.seed)
		switch {
		case g.again(inKey, client) || g.again(outKey, server):
			g.cases.touch(e.At, client, server)
		case nIn >= fanClients:
			g.open(r, inKey, g.fan.hosts(in))
		case nOut >= fanServers:
			g.open(r, outKey, g.fan.hosts(out))
		default:
			g.open(r, uint64(key), nil)
		}
		return
	}
	g.open(r, uint64(key), nil)
}

// fans tells whether findings of r are told apart by both hosts, so that many of one side can be one finding.
func fans(r *running) bool {
	has := func(name string) bool {
		return slices.ContainsFunc(r.Per, func(w *lang.Word) bool { return w.Name == name })
	}
	return has("client") && has("server")
}

// maxMany bounds the hosts that a fan counts.
const maxMany = 4096

// again counts the event as a repeat of the finding of key, if that is open; other is the host that a fan counts.
func (g *Engine) again(key uint64, other netip.Addr) bool {
	f := g.fold.get(key)
	if f == nil {
		return false
	}
	e := g.env.E
	if f.ended(e.At) {
		g.settle(f)
		g.fold.close(key)
		return false
	}
	f.see(e)
	if f.many != nil && other.IsValid() && len(f.many) < maxMany {
		f.many[other] = struct{}{}
	}
	return true
}

// open makes and emits a new alert. many are the hosts of a fan, or nil.
func (g *Engine) open(r *running, key uint64, many []netip.Addr) {
	e := g.env.E
	f, closed := g.fold.add(key)
	if closed.open {
		g.settle(&closed)
	}
	f.rule, f.first, f.last = r, e.At, e.At
	f.flaps = g.fold.flapping(key, e.At)
	f.see(e)
	if many != nil {
		f.many = map[netip.Addr]struct{}{}
		for _, a := range many {
			f.many[a] = struct{}{}
		}
	}
	f.alert = g.alert(r, f)
	if many != nil {
		f.blur(key == fanKey{r.number, e.Flow.Server.Addr(), true}.hash(g.seed))
	}
	f.sentence = f.alert.Title
	g.say(f)
}

// blur takes the name of the many out of a fan's alert: the clients, or the servers.
func (f *finding) blur(clients bool) {
	if clients {
		f.alert.Client = ""
	} else {
		f.alert.Server = ""
	}
}

// say emits the finding as it stands.
func (g *Engine) say(f *finding) {
	a := *f.alert
	a.First, a.Last = time.Unix(0, f.first).UTC(), time.Unix(0, f.last).UTC()
	a.Count, a.Frames = f.count, f.frames()
	a.Points, a.Techniques = slices.Clone(a.Points), slices.Clone(a.Techniques)
	if f.many != nil {
		a.Title = f.headline()
	}
	f.emitted = f.count
	g.emit(&a)
}

// settle emits the finding if it has repeats that were not said.
func (g *Engine) settle(f *finding) {
	if f.count > f.emitted {
		g.say(f)
	}
}

// headline says how many hosts a fan stands for, before the sentence of its first event.
func (f *finding) headline() string {
	hosts := make([]netip.Addr, 0, len(f.many))
	for a := range f.many {
		hosts = append(hosts, a)
	}
	slices.SortFunc(hosts, netip.Addr.Compare)
	const named = 3
	names := make([]string, 0, named+1)
	for i, a := range hosts {
		if i == named {
			names = append(names, fmt.Sprintf("%d more", len(hosts)-i))
			break
		}
		names = append(names, a.String())
	}
	if f.alert.Client == "" {
		return fmt.Sprintf("%d clients at %s (%s), the first of them: %s", len(hosts), f.alert.Server, strings.Join(names, ", "), f.sentence)
	}
	return fmt.Sprintf("%s at %d servers (%s), the first of them: %s", f.alert.Client, len(hosts), strings.Join(names, ", "), f.sentence)
}

// sweep closes the findings whose quiet time is over.
func (g *Engine) sweep(at int64) {
	for _, f := range g.fold.all() {
		if f.ended(at) {
			g.settle(f)
			g.fold.close(f.key)
		}
	}
}

// Flush emits what was not yet said of every finding. Call it at the end of a replay and before closing.
func (g *Engine) Flush() {
	for _, f := range g.fold.all() {
		g.settle(f)
	}
}

func (k fanKey) hash(seed lang.Hash) uint64 {
	h := seed.Uint64(1).Uint64(uint64(k.rule)).Addr(k.host)
	if k.in {
		h = h.Uint64(1)
	}
	return uint64(h)
}

// hosts returns the hosts that were noted at key.
func (f *fan) hosts(key fanKey) []netip.Addr {
	var hosts []netip.Addr
	for _, h := range f.cells[f.index[key]].hosts {
		hosts = append(hosts, h.addr)
	}
	return hosts
}
