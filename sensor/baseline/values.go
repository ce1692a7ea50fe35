package baseline

import (
	"fmt"
	"io"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/course"
)

// values takes the values of a message's points: those that a station shows are learned, or held against what was
// learned of them, and those that a client writes must be read back as they are. Values that come by an operation which
// was not approved say nothing more than that.
func (b *Baseline) values(e *rules.Event, c *context, phase rules.Phase) {
	m := e.Msg
	learn := phase == rules.Learn
	changes := m.Op == protocols.Write || m.Op == protocols.Operate
	if c.link == nil || m.Faults != 0 || len(m.Points) == 0 && m.Status == 0 || !learn && !e.Facts.Approved {
		return
	}
	if c.track == nil || c.trackStation != m.Station {
		c.track, c.trackStation = b.courses.Track(course.Key{Server: e.Flow.Server.Addr(), Station: m.Station}, learn), m.Station
		if c.track == nil {
			return
		}
	}
	switch {
	case m.From == protocols.Client && m.Op == protocols.Write:
		c.track.Written(m, e.At)
	case m.From == protocols.Client:
	case m.Status != 0 && changes:
		c.track.Refused()
	case m.Status == 0 && !changes:
		b.courses.Fixed = e.Facts.Novel != 0 || !learn && b.paused(e)
		c.track.Take(m, e.At, learn, &e.Facts)
	}
}

// Drifts returns the measured points whose range was widened while it was enforced.
func (b *Baseline) Drifts() []course.Drift { return b.courses.Drifts() }

// driftText lists drifts for people.
func driftText(all []course.Drift) Answer {
	return func(out io.Writer) error {
		for _, d := range all {
			bound := ""
			if d.Bound {
				bound = "; values lie farther than a week may widen it"
			}
			if _, err := fmt.Fprintf(out, "%s station %d %s %d: learned %g to %g, now %g to %g%s\n", d.Server, d.Station, d.Kind, d.Addr, d.Low, d.High, d.Lower, d.More, bound); err != nil {
				return err
			}
		}
		return nil
	}
}
