package baseline

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

const (
	delayBins     = 104            // a quarter of an octave each: of microseconds, up to a minute
	delayWindow   = 300e9          // ns over which the answers are looked at together
	minAnswers    = 20             // in a window
	delayPatience = 2 * 3600 * 1e9 // ns for which slow answers are not learned
	minDelays     = 500            // learned answers before a delay means something
	delaySlack    = 1.5            // of the learned 99.9th percentile
	perMille      = 1000
	usualOfMille  = 999
)

// delays is how long the server of a link takes to answer: what was learned, and the answers of the last minutes.
type delays struct {
	learned   [delayBins]uint32
	n         uint64
	lately    [delayBins]uint32
	count     uint64
	since     int64 // packet time of the first of them
	slowSince int64 // since when answers are slow while they are being learned; 0: they are not
}

// delayBin is the bin of a delay in nanoseconds.
func delayBin(rtt int64) int {
	us := uint64(rtt) / 1000
	if us < 4 {
		return int(us)
	}
	octave := bits.Len64(us) - 3
	return min(4*octave+int(us>>octave), delayBins-1)
}

// delayOf is the upper end of a bin, ns.
func delayOf(bin int) int64 {
	if bin < 8 {
		return int64(bin+1) * 1000
	}
	octave := bin/4 - 1
	return int64(bin%4+5) << octave * 1000
}

// quantile is the delay below which so many of a thousand lie, ns; n is how many there are.
func quantile(of *[delayBins]uint32, n, mille uint64) int64 {
	left := (n*mille + perMille - 1) / perMille
	for bin, k := range of {
		if uint64(k) >= left {
			return delayOf(bin)
		}
		left -= uint64(k)
	}
	return delayOf(delayBins - 1)
}

// answered tells whether e is an answer that came in time, whose delay means something.
func answered(e *rules.Event) bool {
	return e.Msg.From == protocols.Server && e.Msg.Turn == protocols.Response && e.Msg.RTT > 0
}

// over tells whether the window ends before an answer of packet time at.
func (d *delays) over(at int64) bool { return at < d.since || at-d.since >= delayWindow }

// judge tells whether half of the window's answers came far later than nearly all that were learned; usual is what these
// needed, ns, and 0 where nothing can be said.
func (d *delays) judge(at int64) (slow bool, median, usual int64) {
	if d.n < minDelays || d.count < minAnswers || at < d.since || at-d.since >= 2*delayWindow {
		return false, 0, 0
	}
	median, usual = quantile(&d.lately, d.count, perMille/2), quantile(&d.learned, d.n, usualOfMille)
	return float64(median) > delaySlack*float64(usual), median, usual
}

// begin starts a window.
func (d *delays) begin(at int64) { d.lately, d.count, d.since = [delayBins]uint32{}, 0, at }

// take puts an answer into the window.
func (d *delays) take(rtt int64) {
	d.lately[delayBin(rtt)]++
	d.count++
}

// learnDelay takes the delay of an answer. A window is learned when it is over; one that is slow beside what was learned only
// once such windows have come for so long that the line has changed: an attack that goes on for less teaches nothing.
func (l *link) learnDelay(rtt, at int64) {
	if l.delays == nil {
		l.delays = &delays{since: at}
	}
	d := l.delays
	if d.over(at) {
		slow, _, _ := d.judge(at)
		if !slow {
			d.slowSince = 0
		} else if d.slowSince == 0 || at < d.slowSince {
			d.slowSince = at
		}
		if !slow || at-d.slowSince >= delayPatience {
			for bin, n := range d.lately {
				d.learned[bin] += n
			}
			d.n += d.count
		}
		d.begin(at)
	}
	d.take(rtt)
}

// compareDelay takes the delay of an answer, and with the first one after a window says in f what that held.
func (l *link) compareDelay(rtt, at int64, f *rules.Facts) {
	d := l.delays
	if d == nil || d.n < minDelays {
		return
	}
	if d.over(at) {
		slow, median, usual := d.judge(at)
		f.Slow, f.Delay, f.UsualDelay = slow, float64(median)/1e6, float64(usual)/1e6
		d.begin(at)
	}
	d.take(rtt)
}

// String writes what was learned: "57:340,58:12" is 340 answers of bin 57 and 12 of the next.
func (d *delays) String() string {
	if d == nil {
		return ""
	}
	var parts []string
	for bin, n := range d.learned {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d:%d", bin, n))
		}
	}
	return strings.Join(parts, ",")
}

// parseDelays reads what String wrote; nil where nothing was learned.
func parseDelays(text string) (*delays, error) {
	if text == "" {
		return nil, nil
	}
	d := &delays{}
	for part := range strings.SplitSeq(text, ",") {
		bin, count, _ := strings.Cut(part, ":")
		i, errBin := strconv.ParseUint(bin, 10, 8)
		n, errCount := strconv.ParseUint(count, 10, 32)
		if errBin != nil || errCount != nil || i >= delayBins {
			return nil, fmt.Errorf("%q is not a number of answers with their delay", part)
		}
		d.learned[i] += uint32(n)
		d.n += n
	}
	return d, nil
}
