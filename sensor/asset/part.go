package asset

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// part returns the sub-address of e's sender, made if need be; nil if there is no room.
func (r *Registry) part(d *device, e *rules.Event) *Part {
	m := e.Msg
	for _, p := range d.Parts {
		if p.Station == m.Station && p.Proto == m.Proto.Name {
			return p
		}
	}
	if len(d.Parts) >= maxParts {
		return nil
	}
	p := &Part{Proto: m.Proto.Name, Station: m.Station, First: Time(e.At), Last: Time(e.At)}
	if len(d.Parts) > 0 {
		d.change(e.At, "part", "", fmt.Sprintf("%s station %d", p.Proto, p.Station))
	}
	d.Parts = append(d.Parts, p)
	r.mark(d)
	return p
}

// firstEphemeral is the lowest port that hosts pick by themselves on Linux. An outstation that calls its master has such
// a one, and its service is on the protocol's port.
const firstEphemeral = 32768

func (r *Registry) service(d *device, e *rules.Event) *Service {
	m, port := e.Msg, e.Flow.Server.Port()
	if tcp := m.Proto.TCP; port >= firstEphemeral && len(tcp) > 0 {
		port = tcp[0]
	}
	transport := e.Flow.Transport.String()
	for _, s := range d.Serves {
		if s.Proto == m.Proto.Name && s.Port == port && s.Transport == transport {
			return s
		}
	}
	if len(d.Serves) >= maxServes {
		return nil
	}
	s := &Service{Proto: m.Proto.Name, Transport: transport, Port: port, First: Time(e.At), Last: Time(e.At)}
	if len(d.Serves) > 0 {
		d.change(e.At, "service", "", fmt.Sprintf("%s on %s port %d", s.Proto, s.Transport, s.Port))
	}
	d.Serves = append(d.Serves, s)
	r.mark(d)
	return s
}

func (r *Registry) peer(d *device, addr netip.Addr) {
	addr = addr.Unmap()
	if len(d.Peers) < maxPeers && !slices.Contains(d.Peers, addr) {
		d.Peers = append(d.Peers, addr)
		r.mark(d)
	}
}

func comparePart(a, b *Part) int {
	return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Station, b.Station))
}

func compareService(a, b *Service) int {
	return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Transport, b.Transport))
}

// A role is what messages show a device to do.
type role uint8

// The roles, by bit.
const (
	outstation  role = 1 << iota // answers requests of a control protocol
	master                       // is answered
	engineering                  // configures, restarts or transfers files, and is answered
	timeSource                   // sets clocks, and is answered
)

var roleNames = [...]string{"outstation", "master", "engineering", "time_source"}

// gateway is the role of a device behind which several stations of one protocol answer.
const gateway = "gateway"

// shows maps what a client does to the role that it shows.
var shows = map[protocols.Op]role{protocols.Configure: engineering, protocols.File: engineering, protocols.Restart: engineering, protocols.Time: timeSource}

// role notes what a message shows of its two ends. A request alone shows nothing until its sender has been answered.
func (r *Registry) role(t *talk, m *protocols.Message, at int64) {
	switch {
	case m.From == protocols.Server && m.HasCode:
		r.play(t.to, outstation, at)
		r.play(t.from, master, at)
	case m.From == protocols.Client && t.from.roles&master != 0:
		if shown := shows[m.Op]; shown != 0 {
			r.play(t.from, shown, at)
		}
	}
}

func (r *Registry) play(d *device, what role, at int64) {
	if d.roles&what != 0 {
		return
	}
	if d.roles != 0 {
		for i, name := range roleNames {
			if what == 1<<i {
				d.change(at, "role", "", name)
			}
		}
	}
	d.roles |= what
	r.mark(d)
}

// words lists the roles; that of a gateway follows from the parts.
func (w role) words(a *Asset) []string {
	var words []string
	for i, name := range roleNames {
		if w&(1<<i) != 0 {
			words = append(words, name)
		}
	}
	n := map[string]int{}
	for _, p := range a.Parts {
		n[p.Proto]++
		if n[p.Proto] == 2 && !slices.Contains(words, gateway) {
			words = append(words, gateway)
		}
	}
	return words
}

// rolesOf is the reverse of words.
func rolesOf(words []string) (w role) {
	for i, name := range roleNames {
		if slices.Contains(words, name) {
			w |= 1 << i
		}
	}
	return w
}
