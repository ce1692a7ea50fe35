package flow

// A copy of a packet from a second mirror comes within these times, nanoseconds. Without an IPv4 identification to go
// by, only a very quick one is believed to be a copy.
const (
	mirrorSame  = int64(10e6)
	mirrorQuick = int64(1e6)
)

// lately holds the last packets of one direction: a second mirror may be a few behind the first.
type lately struct {
	marks [4]mark
	next  uint8 // where the next one goes
}

// A mark is what is remembered of a packet: what it was, when it came, and its IPv4 identification.
type mark struct {
	name uint64
	at   int64
	ipid uint16
	set  bool
}

// holds says whether the packet of that name is a copy of one of the last. If it is, a third may follow.
func (l *lately) holds(v *view, name uint64) bool {
	limit := mirrorQuick
	if v.ipid != 0 {
		limit = mirrorSame
	}
	for i := range l.marks {
		m := &l.marks[i]
		if apart := v.info.At - m.at; m.name == name && m.ipid == v.ipid && m.set && apart >= -limit && apart <= limit {
			m.at = v.info.At
			return true
		}
	}
	return false
}

// add remembers a packet in the place of the one longest ago.
func (l *lately) add(v *view, name uint64) {
	m := &l.marks[l.next%uint8(len(l.marks))]
	m.name, m.at, m.ipid, m.set = name, v.info.At, v.ipid, true
	l.next++
}
