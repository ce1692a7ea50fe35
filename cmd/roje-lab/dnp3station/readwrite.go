package dnp3station

import "slices"

// classes read by group 60: variation 1 is class 0, the static data.
func (d *duty) read(r *request) error {
	var iin uint16
	var out []Objects
	for _, h := range r.heads {
		more, ok := d.readHead(h)
		if !ok {
			iin |= iinObject
		}
		out = append(out, more...)
	}
	if r.broadcast {
		return nil
	}
	d.more = out
	return d.next(r.master, r.seq, 0x80, iin, d.count() > 0)
}

// count says how many events wait for the confirmation of what carries them.
func (o *Outstation) count() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.queue {
		if r.sent {
			n++
		}
	}
	return n
}

// order in which class 0 gives the static data.
var order = []Kind{Binary, DoubleBit, BinaryOutput, Counter, FrozenCounter, Analog, AnalogOutput, Octets}

func (d *duty) readHead(h head) ([]Objects, bool) {
	switch {
	case h.g == 60 && h.v == 1:
		var out []Objects
		for _, kind := range order {
			out = append(out, d.statics(kind, 0, 0, -1)...)
		}
		return out, true
	case h.g == 60 && h.v <= 4:
		return d.pending(func(r *record) bool { return r.state.Class == h.v-1 }), true
	case h.g == 50:
		return []Objects{Count(50, 1, 1, le48(d.Clock.Now())...)}, true
	case h.g == 70 && h.v == 5:
		return d.fileRead(h)
	case h.g == 80:
		iin := d.indications()
		return []Objects{Range(80, 1, 0, 15, byte(iin), byte(iin>>8))}, true
	case h.g == 0:
		return d.attributes(h), true
	}
	for kind, e := range events {
		if e.g == h.g {
			return d.pending(func(r *record) bool { return r.kind == kind }), true
		}
	}
	if !slices.Contains(order, Kind(h.g)) {
		return nil, false
	}
	if h.q == 0x06 {
		return d.statics(Kind(h.g), h.v, 0, -1), true
	}
	if h.stop >= len(d.Points[Kind(h.g)]) {
		return nil, false
	}
	out := d.statics(Kind(h.g), h.v, h.start, h.stop)
	return out, len(out) > 0
}

// statics encodes points of a kind; stop -1 is the last.
func (d *duty) statics(kind Kind, v byte, start, stop int) []Objects {
	d.mu.Lock()
	defer d.mu.Unlock()
	points := d.Points[kind]
	if stop < 0 {
		stop = len(points) - 1
	}
	if len(points) == 0 {
		return nil
	}
	var out []Objects
	for ; start <= stop; start += atMost {
		o, ok := static(kind, v, points[start:min(start+atMost, stop+1)], start)
		if !ok {
			return nil
		}
		out = append(out, o)
	}
	return out
}

const atMost = 100 // points under one header, so that long answers can be cut into fragments

// attributes of the device (group 0): a string each.
func (d *duty) attributes(h head) []Objects {
	known := map[byte]string{252: "Roje lab", 250: "RL-2000 bay controller", 242: "2.14.3", 248: "RL2000-0117", 246: "Substation North"}
	var out []Objects
	for v := 255; v > 0; v-- {
		if text, ok := known[byte(v)]; ok && (h.v == byte(v) || h.v == 254) {
			out = append(out, append(Range(0, byte(v), 0, 0, 1, byte(len(text))), text...)) // type 1: visible string
		}
	}
	return out
}

// write takes the time, the restart indication, deadbands and octet strings; files are written by handle.
func (d *duty) write(r *request) error {
	var iin uint16
	for _, h := range r.heads {
		switch {
		case h.g == 50 && len(h.items) > 0:
			d.clear(iinNeedTime)
		case h.g == 80 && h.start == 7:
			d.clear(iinRestart)
		case h.g == 34:
		case h.g == 110:
			d.mu.Lock()
			for _, it := range h.items {
				if it.index < len(d.Points[Octets]) {
					d.Points[Octets][it.index].Text = string(it.data)
				}
			}
			d.mu.Unlock()
		case h.g == 70 && h.v == 5:
			return d.fileWrite(r, h)
		default:
			iin |= iinObject
		}
	}
	return d.respond(r, iin)
}

func (d *duty) clear(bit uint16) {
	d.mu.Lock()
	d.iin &^= bit
	d.mu.Unlock()
}
