package iec104

import (
	"encoding/binary"
	"time"

	"github.com/roje-ot/roje/protocols"
)

const (
	minute = int64(time.Minute)
	hour   = int64(time.Hour)
	day    = 24 * hour
)

// readCP24 reads milliseconds and minute (7.2.6.19). The hour is the one that brings the time nearest to the arrival
// of the frame.
func readCP24(o *object, b []byte) {
	ms, min, invalid := clock(b)
	o.flag(invalid, protocols.TimeInvalid)
	o.flag(b[2]&0x40 != 0, protocols.TimeSubstituted)
	if ms >= 60_000 || min >= 60 {
		o.badTime(invalid)
		return
	}
	t := o.at - mod(o.at, hour) + min*minute + ms*int64(time.Millisecond)
	switch {
	case t-o.at > hour/2:
		t -= hour
	case o.at-t > hour/2:
		t += hour
	}
	o.time(t)
}

// readCP56 reads a date and time (7.2.6.18), taken as UTC. Two digits of the year below 70 are of this century, as
// most stacks have it; some count from 1900 and send more than 99, which is shown as they mean it. The day of the week may be left out and is not looked at.
func readCP56(o *object, b []byte) {
	ms, min, invalid := clock(b)
	o.flag(invalid, protocols.TimeInvalid)
	o.flag(b[2]&0x40 != 0, protocols.TimeSubstituted)
	h, dom, month, year := int64(b[3]&0x1f), int(b[4]&0x1f), int(b[5]&0x0f), int(b[6]&0x7f)
	if ms >= 60_000 || min >= 60 || h >= 24 || month < 1 || month > 12 || dom < 1 || dom > days(year, month) {
		o.badTime(invalid)
		return
	}
	if year > 99 {
		o.badTime(invalid)
	}
	if year < 70 {
		year += 2000
	} else {
		year += 1900
	}
	o.time(date(year, month, dom)*day + h*hour + min*minute + ms*int64(time.Millisecond))
}

// clock reads the part that both tags share: milliseconds within the minute, the minute, and IV.
func clock(b []byte) (ms, min int64, invalid bool) {
	return int64(binary.LittleEndian.Uint16(b)), int64(b[2] & 0x3f), b[2]&0x80 != 0
}

// badTime faults a time that no clock shows, unless the station itself says that it is invalid.
func (o *object) badTime(invalid bool) {
	if !invalid {
		o.faults |= protocols.BadTime
	}
}

func (o *object) time(t int64) {
	o.p.Time = t
	o.p.Has |= protocols.HasTime
}

// mod is the remainder that is never negative.
func mod(a, n int64) int64 { return (a%n + n) % n }

var monthDays = [13]int{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// days returns the days of a month of the two-digit years 1970 to 2069, in which every fourth is a leap year.
func days(year, month int) int {
	if month == 2 && year%4 == 0 {
		return 29
	}
	return monthDays[month]
}

// date returns the days from 1970-01-01 to a date of the Gregorian calendar, counting years from March.
func date(year, month, dom int) int64 {
	y, m := int64(year), int64(month)
	if m < 3 {
		y, m = y-1, m+12
	}
	return 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + int64(dom) - 719_469
}
