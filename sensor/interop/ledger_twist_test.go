package interop

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
)

// A lane is an address modulo lanes. It decides what happens to commands of a point, so that neither a script nor the
// relay needs to be told.
const (
	lanes     = 20
	laneMute  = 7 // no answer comes
	laneFalse = 8 // the answer is about another point, or with another value
	laneDeny  = 9 // the station's program refuses
	laneBare  = 6 // executed without the select that the station asks for
)

// ordinary says whether nothing special happens to a lane.
func ordinary(addr int) bool {
	lane := addr % lanes
	return lane < laneBare || lane > laneDeny
}

// pick returns an address below n on a lane that nothing special happens to.
func pick(rng *rand.Rand, n int) int {
	for {
		if addr := rng.IntN(n); ordinary(addr) {
			return addr
		}
	}
}

// onLane returns an address below n on the lane.
func onLane(rng *rand.Rand, n, lane int) int { return lane + lanes*rng.IntN(n/lanes) }

// A twisted is a session whose answers are swallowed or falsified, as its requests decide. A request and its answer are
// a piece each, since the stacks wait for answers.
type twisted struct {
	address func(b []byte) (addr int, ok bool) // the point of a command in what a client sends
	falsify func(b []byte)                     // makes an answer one about something else, in place

	mu   sync.Mutex // guards lane
	lane int        // of the command that waits for its answer; -1 for none
}

func (w *twisted) pass(server bool, b []byte) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !server {
		w.lane = -1
		if addr, ok := w.address(b); ok {
			w.lane = addr % lanes
		}
		return b
	}
	switch w.lane {
	case laneMute:
		return nil
	case laneFalse:
		w.falsify(b)
	}
	return b
}

// twistModbus swallows and falsifies the answers of writes.
func twistModbus() func(bool, []byte) []byte {
	w := &twisted{lane: -1, address: func(b []byte) (int, bool) {
		switch {
		case len(b) < 12:
		case b[7] == 5 || b[7] == 6 || b[7] == 15 || b[7] == 16 || b[7] == 22:
			return int(binary.BigEndian.Uint16(b[8:])), true
		case b[7] == 23 && len(b) > 14:
			return int(binary.BigEndian.Uint16(b[12:])), true
		}
		return 0, false
	}, falsify: func(b []byte) {
		if len(b) > 9 && b[7] != 23 && b[7]&0x80 == 0 {
			b[9] ^= 1
		}
	}}
	return w.pass
}

// Where the parts of a short DNP3 message lie: after the link header, the transport header and the application control.
const (
	dnp3Function = 12
	dnp3Objects  = 13 // of a request; two octets of indications come before those of a response
)

// dnp3Index finds the first index of a control in b, whose objects begin at from: qualifiers 17 and 28 (IEEE 1815 4.2.2.7).
func dnp3Index(b []byte, from int) (at int, index uint16, ok bool) {
	if len(b) < from+7 {
		return 0, 0, false
	}
	if b[from+2] == 0x17 {
		return from + 4, uint16(b[from+4]), true
	}
	return from + 5, binary.LittleEndian.Uint16(b[from+5:]), b[from+2] == 0x28
}

// twistDNP3 swallows and falsifies the answers of OPERATE and DIRECT_OPERATE.
func twistDNP3() func(bool, []byte) []byte {
	w := &twisted{lane: -1, address: func(b []byte) (int, bool) {
		if len(b) < dnp3Objects || b[dnp3Function] != dnp3station.Operate && b[dnp3Function] != dnp3station.DirectOperate {
			return 0, false
		}
		_, index, ok := dnp3Index(b, dnp3Objects)
		return int(index), ok
	}, falsify: func(b []byte) {
		const header, checksum = 10, 2
		if at, _, ok := dnp3Index(b, dnp3Objects+2); ok && b[dnp3Function] == dnp3station.Response {
			b[at] ^= 1
			block := min(header+16, len(b)-checksum)
			whole := dnp3station.Frame(b[3], binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:]), b[header:block])
			copy(b[header:block+checksum], whole[header:])
		}
	}}
	return w.pass
}

// twistIEC104 falsifies the value in the confirmation of an execute. No answer is swallowed: both ends would see from its
// number that it is missing. All are late: c104's client does not see a confirmation that comes before it waits for it.
func twistIEC104() func(bool, []byte) []byte {
	const kind, cause, ioa, element = 6, 8, 12, 15
	return func(server bool, b []byte) []byte {
		if server {
			time.Sleep(5 * time.Millisecond)
		}
		for at := 0; server && at+2 <= len(b); at += 2 + int(b[at+1]) {
			apdu := b[at:min(len(b), at+2+int(b[at+1]))]
			if len(apdu) <= element || apdu[2]&1 != 0 || apdu[kind] < 45 || apdu[kind] > 64 || apdu[cause] != 7 {
				continue
			}
			if addr := int(apdu[ioa]) | int(apdu[ioa+1])<<8; addr%lanes == laneFalse {
				apdu[element] ^= 1
			}
		}
		return b
	}
}
