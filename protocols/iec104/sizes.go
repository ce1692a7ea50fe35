package iec104

// A sizing is the lengths of the three header fields that a project may choose (IEC 60870-5-101 clause 7.2).
type sizing struct{ cause, common, object uint8 }

// sizings are all of them; 104's own is the first (60870-5-104 clause 9), then those of 101 by how common they are.
var sizings = [12]sizing{{2, 2, 3}, {1, 1, 2}, {1, 2, 2}, {1, 2, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 3}, {2, 1, 2}, {2, 1, 3}, {1, 2, 1}, {2, 1, 1}, {2, 2, 1}}

var sizingNames = [12]string{"2/2/3", "1/1/2", "1/2/2", "1/2/3", "2/2/2", "1/1/1", "1/1/3", "2/1/2", "2/1/3", "1/2/1", "2/1/1", "2/2/1"}

// A sizer learns a connection's sizing, for both directions, by arithmetic: an ASDU's length must be that of its
// header and of N objects of its type. No other sizing gives the length that 2/2/3 gives, so a 104 connection is sure
// from its first ASDU. Others can agree in length (1/2/2 and 2/1/2); among those the content decides: addresses that
// the type may carry, an unused originator, small common addresses.
//
// A sizing that explained ASDUs gives way only when those that contradict it in a row are as many as those that spoke
// for it, up to 3: one odd frame is a fault and not a new sizing. If 2/2/3 never explained any, two in a row are enough;
// one is, if the newcomer has a cause of one octet and the octet behind it is not 0. Under 2/2/3 that would be an
// originator, which most connections leave 0; under 1/1/2 it is the station. So a 1/1/2 connection is decoded right
// from its first ASDU of fixed size.
type sizer struct {
	use    uint8 // index of sizings
	hits   uint8 // ASDUs explained since use was chosen, up to patience
	missed uint8 // ASDUs in a row that use did not explain and another sizing did
	score  [len(sizings)]uint8
}

const (
	patience = 3
	maxScore = 40
	lead     = 3 // by how much another sizing must explain the content better to be preferred among equals
)

func (s *sizer) sizing() *sizing { return &sizings[s.use] }

// length is that of an ASDU with n objects of size octets; of one element each if they are a run.
func (z *sizing) length(n, size int, run bool) int {
	h := 2 + int(z.cause) + int(z.common)
	if run {
		return h + int(z.object) + n*size
	}
	return h + n*(int(z.object)+size)
}

// explains says whether length is the one that an ASDU of type r with qualifier vsq has under z. Fixed is false for
// types whose length says nothing.
func (z *sizing) explains(r *row, vsq byte, length int) (fits, fixed bool) {
	if r == nil || r.form&(bodyless|segment) != 0 || vsq&0x7f == 0 {
		return false, false
	}
	return z.length(int(vsq&0x7f), r.size, vsq&0x80 != 0) == length, true
}

// telling is how many octets of a frame agrees looks at.
const telling = header + 3

// agrees says whether the frame that b begins with has a known type, the length that the sizing in use gives it, and a
// cause that its type allows: evidence that these octets are a frame.
func (s *sizer) agrees(b []byte) bool {
	a := b[header:telling]
	r := rowOf[a[0]]
	fits, _ := s.sizing().explains(r, a[1], int(b[1])-minLength)
	if !fits {
		return false
	}
	_, _, legal := r.class.sender(a[2] & 0x3f)
	return legal
}

// denies says whether the frame that b begins with cannot be what a station sends: a reserved type, no objects, a cause
// that its type does not allow, or a length that contradicts its type under the sizing that is known, or under all.
func (s *sizer) denies(b []byte) bool {
	a := b[header:telling]
	r := rowOf[a[0]]
	if r == nil {
		return a[0] < 128
	}
	if _, _, legal := r.class.sender(a[2] & 0x3f); !legal || a[1]&0x7f == 0 {
		return true
	}
	length := int(b[1]) - minLength
	fits, fixed := s.sizing().explains(r, a[1], length)
	for i := 0; fixed && !fits && s.hits == 0 && i < len(sizings); i++ {
		fits, _ = sizings[i].explains(r, a[1], length)
	}
	return fixed && !fits
}

// learn looks at one whole ASDU before it is decoded.
func (s *sizer) learn(r *row, a []byte) {
	if len(a) < 2 {
		return
	}
	fits, fixed := s.sizing().explains(r, a[1], len(a))
	switch {
	case !fixed:
		return
	case fits && s.use == 0:
		s.hits, s.missed = patience, 0
		return
	}
	best := -1
	for i := range sizings {
		z := &sizings[i]
		if ok, _ := z.explains(r, a[1], len(a)); !ok {
			s.score[i] /= 2
			continue
		}
		s.score[i] = min(s.score[i]+1+z.plausible(r, a), maxScore)
		if best < 0 || s.score[i] > s.score[best] {
			best = i
		}
	}
	switch {
	case best < 0: // explained by none: malformed, and no evidence
	case fits:
		s.hits, s.missed = min(s.hits+1, patience), 0
		if s.score[best] >= s.score[s.use]+lead {
			s.use = uint8(best)
		}
	case s.missed+1 < s.hits, s.hits == 0 && s.missed == 0 && (sizings[best].cause == 2 || a[3] == 0):
		s.missed++
	default:
		s.use, s.hits, s.missed = uint8(best), 1, 0
	}
}

// plausible counts what speaks for z in an ASDU whose length it explains.
func (z *sizing) plausible(r *row, a []byte) (points uint8) {
	if z.cause == 2 && a[3] == 0 {
		points++
	}
	h := 2 + int(z.cause)
	ca, ioa := little(a[h:h+int(z.common)]), little(a[h+int(z.common):h+int(z.common)+int(z.object)])
	if ca != 0 {
		points++
	}
	if *z == sizings[1] { // by far the most common of 101
		points++
	}
	if z.common == 2 && (ca < 256 || ca == 0xffff) {
		points++
	}
	if r.class.address == anyAddress || (r.class.address == zero) == (ioa == 0) {
		points++
	}
	return points
}

// little reads up to four octets, least significant first.
func little(b []byte) (v uint32) {
	for i, c := range b {
		v |= uint32(c) << (8 * i)
	}
	return v
}
