package modbus

import "github.com/roje-ot/roje/protocols"

// probe judges the first bytes of one side of a connection on any port: two frames in a row must agree with their own
// lengths, both as requests or both as responses, or be right in their CRC or LRC.
func probe(b []byte, last bool) protocols.Guess {
	if len(b) == 0 {
		return maybe(last)
	}
	guess := probeMBAP(b)
	if b[0] == ':' {
		guess = max(guess, probeASCII(b))
	} else {
		guess = max(guess, probeRTU(b))
	}
	if guess == protocols.Maybe {
		return maybe(last)
	}
	return guess
}

func maybe(last bool) protocols.Guess {
	if last {
		return protocols.No
	}
	return protocols.Maybe
}

func probeMBAP(b []byte) protocols.Guess {
	asks, tells := true, true
	for range 2 {
		if refuted(b, 0, false) > 0 {
			return protocols.No
		}
		if len(b) <= headerLen || len(b) < frameLen(b) {
			return protocols.Maybe
		}
		n := frameLen(b)
		request, response := shape(b[headerLen:n], n-headerLen)
		asks, tells = asks && request, tells && response
		if !asks && !tells {
			return protocols.No
		}
		b = b[n:]
	}
	return protocols.Yes
}

func probeRTU(b []byte) protocols.Guess {
	for range 2 {
		switch v := frontRTU(b, 0); v.state {
		case no:
			return protocols.No
		case pending:
			return protocols.Maybe
		default:
			b = b[v.n:]
		}
	}
	return protocols.Yes
}

func probeASCII(b []byte) protocols.Guess {
	for range 2 {
		if len(b) == 0 {
			return protocols.Maybe
		}
		v := tryASCII(b, 0, 0, '\n', false)
		switch v.state {
		case no:
			return protocols.No
		case pending:
			return protocols.Maybe
		default:
			b = b[v.n:]
		}
	}
	return protocols.Yes
}
