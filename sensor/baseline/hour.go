package baseline

const (
	hoursOfWeek = 168
	hourDays    = 14 // days for which a link must have been learned before its hours mean something
	hourCounts  = 20 // and commands
)

// hourOfWeek counts the hours since Monday 0:00 UTC.
func hourOfWeek(at int64) uint32 {
	const monday = 4 * 24 // the first one of 1970, in hours
	h := (at/anHour - monday) % hoursOfWeek
	if h < 0 {
		h += hoursOfWeek
	}
	return uint32(h)
}

// commanded notes that the link has commanded in the hour of packet time at. An hour of the week counts once it was seen in two
// weeks: an attacker who is there while the sensor learns is seldom there twice.
func (l *link) commanded(at int64) {
	l.commands++
	if at/anHour == l.hour {
		return
	}
	l.hour = at / anHour
	h := hourOfWeek(at)
	if l.once.has(h, h) {
		l.week.add(h, h)
	}
	l.once.add(h, h)
}

// unusualHour tells whether at lies more than an hour from all hours of the week in which the link was learned to command. A
// link that was learned for less than two weeks, or seldom commands, has no usual hours.
func (l *link) unusualHour(at int64) bool {
	if l.commands < hourCounts || l.last-l.first < hourDays*day {
		return false
	}
	h := hourOfWeek(at)
	for _, near := range [...]uint32{h + hoursOfWeek - 1, h, h + 1} {
		if n := near % hoursOfWeek; l.week.has(n, n) {
			return false
		}
	}
	return true
}
