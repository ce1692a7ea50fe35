package baseline

import (
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
		c.track.Take(m, e.At, learn, &e.Facts)
	}
}
