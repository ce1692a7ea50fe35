package modbus

import "github.com/roje-ot/roje/protocols"

// roles finds out which end of a connection is the server: from the ports if they say it, else from PDUs that only one
// side can send. Ports are overruled once both ends have shown the opposite and neither what the ports say, as with
// a gateway that calls its master.
type roles struct {
	hinted  bool
	turned  bool // the hint was overruled
	decided bool // server has been relied upon
	server  protocols.Dir
	asked   [2]uint8 // by direction: PDUs that only a client sends, up to a limit
	told    [2]uint8 // by direction: PDUs that only a server sends, up to a limit
}

// enough PDUs from each end overrule the hint.
const enough = 2

// note takes one PDU into account.
func (r *roles) note(dir protocols.Dir, request, response bool) {
	const limit = 200
	switch {
	case request == response:
	case request && r.asked[dir] < limit:
		r.asked[dir]++
	case response && r.told[dir] < limit:
		r.told[dir]++
	}
}

// side is the role of dir. Where nothing is known yet, answers says whether the PDU is one that the other end waits for.
// changed says that all that was concluded from roles so far is void.
func (r *roles) side(dir protocols.Dir, answers bool) (side protocols.Side, changed bool) {
	server := r.server
	switch s, c := r.server, r.server.Other(); {
	case r.hinted:
		if !r.turned && r.asked[s] >= enough && r.told[c] >= enough && r.told[s] == 0 && r.asked[c] == 0 {
			server, r.turned = c, true
		}
	default:
		zero, one := int(r.told[0])+int(r.asked[1]), int(r.told[1])+int(r.asked[0])
		switch {
		case zero > one:
			server = 0
		case one > zero:
			server = 1
		case answers:
			return protocols.Server, false
		default:
			return protocols.Client, false
		}
	}
	changed, r.server = r.decided && server != r.server, server
	r.decided = true
	if dir == server {
		return protocols.Server, changed
	}
	return protocols.Client, changed
}
