package dnp3station

import (
	"encoding/binary"
	"math"
	"time"
)

// controls does SELECT, OPERATE and both DIRECT OPERATE: every object is answered with its status.
func (d *duty) controls(r *request) error {
	key := string(r.raw[2:])
	now := d.Clock.Now()
	status := byte(statusOK)
	switch r.fc {
	case Select:
		d.selected = map[string]time.Time{key: now.Add(selectLife)}
		d.selectSeq = r.seq
	case Operate: // same objects, the next sequence number, in time
		until, ok := d.selected[key]
		if !ok || now.After(until) || r.seq != (d.selectSeq+1)&0x0f {
			status = statusNoSelect
		}
		d.selected = map[string]time.Time{}
	}
	var out Objects
	for _, h := range r.heads {
		echo := append(Objects(nil), h.whole...)
		at := len(h.whole)
		for i := len(h.items) - 1; i >= 0; i-- {
			it := h.items[i]
			st := status
			if st == statusOK {
				st = d.actuate(h, it, r.fc != Select)
			}
			echo[at-1] = st // the status is the last octet of each object
			at -= len(it.data) + map[byte]int{0x17: 1, 0x28: 2}[h.q]
		}
		out = append(out, echo...)
	}
	return d.respond(r, 0, out)
}

// actuate checks one control and, if for real, carries it out.
func (d *duty) actuate(h head, it item, real bool) byte {
	kind := map[byte]Kind{12: BinaryOutput, 41: AnalogOutput}[h.g]
	points := d.Points[kind]
	if it.index >= len(points) {
		return statusUnknown
	}
	if !real {
		return statusOK
	}
	p := points[it.index]
	v, follows := analog(h.v, it.data), Analog
	if h.g == 12 {
		v, follows = relay(it.data[0]), Binary
	}
	d.Move(kind, it.index, v)
	if p.Moves >= 0 {
		d.line.At(d.Clock.Now().Add(d.Travel), func() error {
			d.Move(follows, p.Moves, v)
			return nil
		})
	}
	return statusOK
}

// relay is the state that a control code leads to.
func relay(code byte) float64 {
	switch code & 0xcf {
	case PulseOn, LatchOn, Close:
		return 1
	}
	return 0
}

// analog reads an analog output command by its variation.
func analog(v byte, b []byte) float64 {
	switch v {
	case 1:
		return float64(int32(binary.LittleEndian.Uint32(b)))
	case 2:
		return float64(int16(binary.LittleEndian.Uint16(b)))
	case 3:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case 4:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}
