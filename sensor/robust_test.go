package sensor

import (
	"math/rand/v2"
	"testing"

	"github.com/roje-ot/roje/sensor/capture"

	"github.com/roje-ot/roje/testdata/need"
)

// TestLoss drops packets of every clean capture at random. A message whose packets all arrived must be decoded: of all
// of them at least 99.5 % with 1 % of the packets lost. And after each loss no more than one message in each direction is
// missing beyond those that lost bytes themselves.
func TestLoss(t *testing.T) {
	need.Long(t)
	all := loads(t)
	for _, c := range []struct{ loss, least float64 }{{0.001, 0.999}, {0.01, 0.995}, {0.05, 0.99}} {
		var sum tallied
		for i := range all {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			sum.add(t, &all[i], func(int, capture.Packet) bool { return r.Float64() >= c.loss })
		}
		t.Logf("%.1f %% lost: %d of %d messages whose packets all arrived were decoded, %.3f %%, in %d captures; %d losses in streams", 100*c.loss,
			sum.got, sum.want, 100*sum.share(), len(all), sum.losses)
		if sum.share() < c.least {
			t.Errorf("%.1f %% lost: only %.3f %% decoded", 100*c.loss, 100*sum.share())
		}
	}
}

// TestMiddle joins every clean capture in its middle, and at a tenth and nine tenths of it.
func TestMiddle(t *testing.T) {
	need.Long(t)
	all := loads(t)
	var sum tallied
	for i := range all {
		for _, tenth := range []int{1, 5, 9} {
			start := len(all[i].packets) * tenth / 10
			sum.add(t, &all[i], func(n int, _ capture.Packet) bool { return n >= start })
		}
	}
	t.Logf("joined in the middle: %d of %d messages were decoded, %.3f %%", sum.got, sum.want, 100*sum.share())
	if sum.share() < 0.999 {
		t.Errorf("only %.3f %% decoded", 100*sum.share())
	}
}

// tallied sums up what was decoded of what arrived.
type tallied struct{ want, got, losses int }

func (s *tallied) share() float64 { return float64(s.got) / float64(s.want) }

// add decodes the packets of l that keep accepts and compares with all of them.
func (s *tallied) add(t *testing.T, l *load, keep func(n int, p capture.Packet) bool) {
	t.Helper()
	full := follow(l.packets)
	kept := make([]bool, len(l.packets))
	var rest []capture.Packet
	for i, p := range l.packets {
		if kept[i] = keep(i, p); kept[i] {
			rest = append(rest, p)
		}
	}
	decoded := decode(rest)
	missing, lost := map[*stream]int{}, map[*stream]int{}
	for _, m := range full.messages {
		if !m.stream.whole(m, kept) {
			continue
		}
		s.want++
		if decoded[m.key] > 0 {
			decoded[m.key]--
			s.got++
		} else {
			missing[m.stream]++
		}
	}
	for _, st := range full.streams {
		lost[st] = st.losses(kept)
		s.losses += lost[st]
	}
	for st, n := range missing {
		if n > lost[st] {
			t.Errorf("%s: %d messages are missing from a direction of %d packets that lost %d runs of packets", l.name, n, len(st.arrivals), lost[st])
		}
	}
}

// whole says whether all packets that brought m were kept.
func (s *stream) whole(m *sent, kept []bool) bool {
	for _, a := range s.arrivals[m.from : m.to+1] {
		if !kept[a.packet] {
			return false
		}
	}
	return true
}

// losses counts the runs of packets of s that were not kept.
func (s *stream) losses(kept []bool) (n int) {
	was := true
	for _, a := range s.arrivals {
		if !kept[a.packet] && was {
			n++
		}
		was = kept[a.packet]
	}
	return n
}
