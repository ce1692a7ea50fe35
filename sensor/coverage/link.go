package coverage

import (
	"fmt"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/flow"
)

// A Link is what is known of one link. Times are Unix nanoseconds of packets.
type Link struct {
	Key
	Proto   string   `json:"proto,omitempty"` // as which it was decoded last; "" if it never was
	First   int64    `json:"first"`
	Last    int64    `json:"last"`
	Heard   [2]int64 `json:"heard"`   // last frame of the client, and of the server; 0 if there was none
	Looks   int64    `json:"looks"`   // how often there was something new
	Longest int64    `json:"longest"` // pause between two of them
	Regular int64    `json:"regular"` // time since which it is heard regularly
	Learned bool     `json:"learned"`
	Source  string   `json:"source"` // that heard it last
	Told    bool     `json:"told"`   // its silence was said, and it has not ended
	Day     Sums     `json:"day"`
	Blind   Blind    `json:"blind"`

	gone    bool     // it made room for another
	proof   [2]int64 // time at which the other side was first seen to have got what was not seen; 0 if it was not
	alone   [2]int64 // looks at which the other side was heard, since this one was
	dark    int64    // time of the first bytes since the last that were decoded; 0 if there are none
	darkFor int64    // how many
	packets int64    // of the window over which copies are reckoned
	copies  int64
	again   bool // its silence was counted under another's
	lost    int  // the side that is missing, where that was said
	said    [kinds]*Finding
}

// The sides of a link.
const (
	clientSide = iota
	serverSide
)

var sideNames = [2]string{"the client", "the server"}

const (
	leastLooks  = 20  // before a link is learned
	leastPauses = 20  // and for how many of its longest pauses it was heard
	leastAlone  = 3   // looks at which one side of a link over UDP is heard alone before the other is missing
	leastDark   = 64  // bytes that are not decoded before that means something
	window      = 200 // packets over which copies are reckoned
	doubled     = 15  // percent of them that are copies, where a second mirror is suspected: each packet with payload twice gives 25 or more
)

// take takes what one of its connections has counted.
func (l *Link) take(s *Source, c *flow.Conn, d *Sums) {
	l.Day.Add(d)
	if c.Proto != nil && c.Count.Messages > 0 {
		l.Proto = c.Proto.Name
	}
	end := server(c)
	for side, dir := range [2]protocols.Dir{end.Other(), end} {
		if at := c.Heard[dir]; at > l.Heard[side] {
			l.Heard[side], l.proof[side], l.alone[side] = at, 0, 0
			l.alone[1-side]++
			if l.lost == side {
				s.book.over(l, oneSided, at)
			}
		}
	}
	for side, dir := range [2]protocols.Dir{end.Other(), end} {
		datagrams := l.Transport == "udp" && l.Heard[side] != 0 && l.alone[side] >= leastAlone
		if l.proof[side] == 0 && (datagrams || c.Missing(dir)) {
			l.proof[side] = max(c.Last, l.Heard[side])
		}
	}
	switch {
	case d.Decoded > 0:
		l.dark, l.darkFor = 0, 0
		s.book.over(l, undecoded, c.Last)
	case d.Seen > 0:
		if l.dark == 0 {
			l.dark = c.Last
		}
		l.darkFor += d.Seen
	}
	l.double(s.book, c, d)
	l.hear(s.book, c.Last)
}

// hear notes that something was heard of the link, and learns how regularly.
func (l *Link) hear(b *Book, at int64) {
	if at <= l.Last {
		return
	}
	switch pause := at - l.Last; {
	case l.Last == 0 || at < l.Regular:
		l.Regular = at
	case l.Told || l.Last < b.since: // it is heard again: that is no usual pause
	case pause > l.Longest:
		l.Longest = pause
	}
	l.Last, l.Told = at, false
	l.Looks++
	b.over(l, silent, at)
	b.heard(l, at)
	if l.Looks >= leastLooks && at-l.Regular >= max(leastPauses*l.Longest, int64(b.config.Learn)) {
		l.Learned = true
	}
}

// double reckons how many packets come twice.
func (l *Link) double(b *Book, c *flow.Conn, d *Sums) {
	l.packets += d.Packets
	l.copies += d.Copies
	if l.packets < window {
		return
	}
	percent := 100 * l.copies / l.packets
	if percent >= doubled && l.Proto != "" {
		b.say(l, twice, Finding{
			First: c.First, Last: c.Last,
			Observed: fmt.Sprintf("%d of %d packets came again within 10 ms", l.copies, l.packets),
		})
	} else if percent < doubled/2 {
		b.over(l, twice, c.Last)
	}
	l.packets, l.copies = 0, 0
}

// seconds is a time span in seconds.
func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }
