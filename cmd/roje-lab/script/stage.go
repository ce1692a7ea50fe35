package script

import (
	"fmt"
	"math"
	"net"
	"sync"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
	"github.com/roje-ot/roje/cmd/roje-lab/simnet"
	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

// Stage is where a script plays: hosts by name, and what was said and done.
type Stage struct {
	Tally *tally.Tally
	Pace  time.Duration // the shortest poll period; all others are multiples of it

	host func(name string) station.Host
	net  *simnet.Net // nil on real sockets

	stations Stations                                // of the substation
	units    map[string]map[byte]*modbusstation.Unit // of the site, by host
	skip     map[string]byte                         // function code that a host is not polled with any more

	mu    sync.Mutex
	acts  []Performed
	fails []error
}

// NewStage makes a stage on hosts that somebody else provides.
func NewStage(host func(name string) station.Host, pace time.Duration) *Stage {
	return &Stage{Tally: &tally.Tally{}, Pace: pace, host: host, skip: map[string]byte{}}
}

// virtual makes a stage in virtual time, with the whole cast.
func virtual(start time.Time, seed uint64, pace time.Duration, tap simnet.Tap) *Stage {
	n := simnet.New(start, seed, tap)
	lans := []*simnet.LAN{{Router: mac(0x01)}, {Router: mac(0x02), VLAN: 20}}
	hosts := map[string]station.Host{}
	for _, p := range Cast {
		hosts[p.Name] = n.Host(simnet.Spec{Name: p.Name, Addr: addr(p.Name), MAC: mac(p.MAC), LAN: lans[p.Site],
			Remote: p.Remote, TTL: p.TTL, Think: p.Think})
	}
	s := NewStage(func(name string) station.Host { return hosts[name] }, pace)
	s.net = n
	return s
}

// fail keeps an error that the script did not expect.
func (s *Stage) fail(who string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = append(s.fails, fmt.Errorf("%s: %w", who, err))
}

// Failures are the errors that the script did not expect; a test holds that there are none.
func (s *Stage) Failures() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fails
}

// serve makes a host answer on a port.
func (s *Stage) serve(host, network, port string, serve func(net.Conn) error) {
	if _, err := station.Serve(s.host(host), network, port, serve); err != nil {
		s.fail(host, err)
	}
}

// dial connects two members of the cast.
func (s *Stage) dial(from, network, to, port string) (net.Conn, error) {
	return s.host(from).Dial(network, addr(to).String()+port)
}

// wave is a measured value: a slow swing, a faster one and a little noise, the same for the same time.
func wave(base, swing float64, period time.Duration, salt uint64) func(time.Time) float64 {
	return func(t time.Time) float64 {
		x := 2 * math.Pi * float64(t.UnixNano()) / float64(period)
		h := (uint64(t.UnixNano()) + salt) * 0x9e3779b97f4a7c15
		noise := float64(h>>40)/float64(1<<24) - 0.5
		return base + swing*(math.Sin(x+float64(salt))+0.3*math.Sin(7.3*x)+0.1*noise)
	}
}

// climb is a counter.
func climb(perHour float64, start float64) func(time.Time) float64 {
	return func(t time.Time) float64 {
		return math.Floor(start + perHour*float64(t.Unix()%(30*86400))/3600)
	}
}
