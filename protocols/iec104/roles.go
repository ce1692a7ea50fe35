package iec104

import "github.com/roje-ot/roje/protocols"

// Who is the controlling station is a balance of evidence, not who opened the connection: connections may be opened
// by the controlled station (60870-5-104 clause 7.1 has it the other way, gateways do not). The hint weighs least and
// yields to the first message; one forged message does not turn the roles.
const (
	hintWeight    = 1
	messageWeight = 2  // an ASDU that only one side may send
	startWeight   = 8  // STARTDT and STOPDT
	maxBalance    = 24 // so that roles learned wrongly can be unlearned
)

// lean adds evidence that dir is the controlling station.
func (d *decoder) lean(dir protocols.Dir, weight int) {
	if dir == 1 {
		weight = -weight
	}
	d.balance = max(-maxBalance, min(d.balance+weight, maxBalance))
}

// side is the role of dir as far as it is known; with no evidence at all, end 0 counts as the controlling station.
func (d *decoder) side(dir protocols.Dir) protocols.Side {
	if (d.balance >= 0) == (dir == 0) {
		return protocols.Client
	}
	return protocols.Server
}

// spoke weighs a message that only side sends, and says whether dir, in its role, was allowed to send it.
func (d *decoder) spoke(dir protocols.Dir, side protocols.Side, weight int) bool {
	if side == protocols.Server {
		d.lean(dir.Other(), weight)
	} else {
		d.lean(dir, weight)
	}
	return d.side(dir) == side
}
