package modbus

import "encoding/binary"

// The MBAP header (Modbus Messaging on TCP/IP V1.0b 3.1.3).
const (
	headerLen = 7
	leastLen  = 2    // LEN of a unit and a function code
	mostLen   = 254  // LEN of the longest PDU
	mostUMAS  = 1100 // UMAS agrees on longer ones, of 1021 bytes and a little more
)

// frameLen is the length of the ADU whose header begins h, which holds at least 8 bytes, or 0 where LEN is impossible.
func frameLen(h []byte) int {
	n := int(binary.BigEndian.Uint16(h[4:]))
	if n < leastLen || n > mostLen && (n > mostUMAS || h[headerLen] != umasCode) {
		return 0
	}
	return 6 + n
}

// followMBAP judges b, which begins where an ADU ended.
func followMBAP(b []byte, last bool) verdict {
	if len(b) <= headerLen {
		if last {
			return verdict{state: no}
		}
		return verdict{}
	}
	n := frameLen(b)
	switch {
	case n == 0:
		return verdict{state: no}
	case b[2]|b[3] == 0:
		if n > len(b) {
			if !last {
				return verdict{}
			}
			n = len(b)
		}
		return verdict{state: yes, n: n}
	}
	return judgeMBAP(b, 0, n, inForm, last, binary.BigEndian.Uint16(b[2:]))
}

// faith is how much an ADU must show for itself where none stands before it.
type faith uint8

const (
	inChain  faith = iota // another ADU must follow
	inForm                // or its length must be what its content says
	inHeader              // or its function must be one with a decoder
)

// tryMBAP judges the place i of b, where an ADU may begin.
func tryMBAP(b []byte, i int, f faith, last bool) verdict {
	h := b[i:]
	if at := refuted(h, 0, f > inChain); at > headerLen && f > inChain && h[headerLen] == 0 && frameLen(h) > 0 {
		f = inChain // function 0 is none, but a client may send it first of all; another ADU must bear it out
	} else if at > 0 {
		return verdict{state: no, end: i + at}
	}
	if len(h) <= headerLen {
		if last {
			return verdict{state: no, end: len(b)}
		}
		return verdict{end: len(b) + 1}
	}
	return judgeMBAP(b, i, frameLen(h), f, last, 0)
}

// judgeMBAP decides on the ADU of n bytes at i, whose header is possible. The header behind it may have protocol id 0
// or pid.
func judgeMBAP(b []byte, i, n int, f faith, last bool, pid uint16) verdict {
	end := i + n
	if end > len(b) {
		switch {
		case !last:
			return verdict{end: end}
		case f > inChain && convincing(b[i+headerLen:], n-headerLen):
			return verdict{state: yes, n: len(b) - i, end: len(b)}
		}
		return verdict{state: no, end: len(b)}
	}
	p := b[i+headerLen : end]
	if f > inChain && convincing(p, len(p)) || f == inHeader && decoded(p[0]) {
		return verdict{state: yes, n: n, end: end}
	}
	next := b[end:]
	if at := refuted(next, pid, true); at > 0 {
		return verdict{state: no, end: end + at}
	}
	switch {
	case len(next) > headerLen:
		return verdict{state: yes, n: n, end: end + headerLen + 1}
	case !last:
		return verdict{end: len(b) + 1}
	case len(next) == 0 || len(next) >= 4:
		return verdict{state: yes, n: n, end: len(b)}
	}
	return verdict{state: no, end: len(b)}
}

// refuted is the number of bytes of h after which it is clear that h begins no ADU of protocol id 0 or pid, or 0. The
// function code must be a known one, or with anyCode at least a possible one.
func refuted(h []byte, pid uint16, anyCode bool) int {
	switch {
	case len(h) < 4:
		if len(h) == 3 && h[2] != 0 && h[2] != byte(pid>>8) {
			return 3
		}
		return 0
	case h[2] != 0 && h[2] != byte(pid>>8):
		return 3
	}
	switch id := binary.BigEndian.Uint16(h[2:]); {
	case id != 0 && id != pid:
		return 4
	case len(h) > 4 && h[4] > mostUMAS>>8:
		return 5
	case len(h) <= headerLen:
		return 0
	case frameLen(h) == 0 || h[headerLen]&0x7f == 0 || !anyCode && !known(h[headerLen]):
		return headerLen + 1
	}
	return 0
}
