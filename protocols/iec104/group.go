package iec104

import "github.com/roje-ot/roje/protocols"

// A group is a redundancy group (60870-5-104 clause 10.2): the connections between one controlling and one controlled
// station, of which one has started data transfer and the others are only tested. Which connections are of one group
// comes from the Kin in the hint. A second control centre is a group of its own, as the standard has it.
type group struct {
	active *decoder // started last; nil before any was
}

// groupOf returns the group that the kin of a new connection share, nil for a connection without kin.
func groupOf(kin *protocols.Kin) *group {
	if kin == nil {
		return nil
	}
	g, ok := kin.State.(*group)
	if !ok {
		g = &group{}
		kin.State = g
	}
	return g
}

// carries notes that d transfers data: its start was confirmed, or it was joined while it did.
func (d *decoder) carries() {
	g := d.group
	if g == nil || g.active == d {
		return
	}
	if before := g.active; before != nil && d.phase == started && (d.standby || !before.ended) { // else it was opened anew
		d.det.switched = true
		d.det.both = before.phase == started && !before.ended
	}
	g.active = d
}

// Ended implements protocols.Ender: a connection that has ended transfers nothing any more.
func (d *decoder) Ended() { d.ended = true }

// kindred notes, for a U frame, what the group looks like.
func (d *decoder) kindred() {
	if d.group == nil {
		return
	}
	if a := d.group.active; a != nil && a != d && !a.ended {
		d.standby = true
	}
	if d.kin.Conns < 2 {
		return
	}
	d.det.kin = uint32(d.kin.Conns)
	d.det.active = d.group.active == d && d.phase != stopped && d.phase != stopping
}
