package modbus

import "encoding/binary"

// A form is the shape of a function's request or response PDU: how long it is, as far as its head says it. The zero
// form fits nothing.
type form struct {
	n    int                 // bytes of the PDU without those that are counted
	at   int                 // where the byte count stands, or 0 if nothing is counted
	min  int                 // least byte count
	even bool                // the byte count is even: registers
	walk func(p []byte) int  // replaces all of the above
	sure func(p []byte) bool // for forms of any length: whether the content alone is convincing
}

// What size says instead of a length.
const (
	moreBytes = 0  // the head is not complete
	noForm    = -1 // p is not of this form
	anySize   = -2 // the form has no length of its own
)

// size is the length of the PDU that p begins, or one of the three above.
func (f *form) size(p []byte) int {
	if f.walk != nil {
		return f.walk(p)
	}
	if f.n == 0 {
		return noForm
	}
	if f.at == 0 {
		return f.n
	}
	if len(p) <= f.at {
		return moreBytes
	}
	count := int(p[f.at])
	if count < f.min || f.even && count&1 != 0 {
		return noForm
	}
	return f.n + count
}

// fits reports whether p, of which more may be missing, has this form when it is total bytes long.
func (f *form) fits(p []byte, total int) bool {
	switch size := f.size(p); size {
	case anySize:
		return f.sure != nil && f.sure(p)
	case moreBytes, noForm:
		return false
	default:
		return size == total
	}
}

// shape says as which of the two sides' PDUs p can pass, if it is total bytes long. It reads no further than len(p).
func shape(p []byte, total int) (request, response bool) {
	if len(p) == 0 {
		return false, false
	}
	if p[0]&0x80 != 0 {
		return false, len(p) >= 2 && total == 2 && exceptionNames[p[1]] != "" && p[0] != 0x80
	}
	r := &rows[p[0]]
	return r.ask.fits(p, total), r.reply.fits(p, total)
}

// convincing reports whether p can stand for itself: its length is what its content says, or it is a function code and
// nothing else.
func convincing(p []byte, total int) bool {
	if total == 1 && len(p) == 1 {
		return p[0]&0x7f != 0
	}
	request, response := shape(p, total)
	return request || response
}

// known reports whether fc is a function code of the table, or an exception to one.
func known(fc byte) bool { return rows[fc&0x7f].name != "" }

// decoded reports whether fc is a function with a decoder of its own, or an exception to one.
func decoded(fc byte) bool { return rows[fc&0x7f].request != nil }

func fixed(n int) form               { return form{n: n} }
func counted(n, at int) form         { return form{n: n, at: at} }
func bits() form                     { return form{n: 2, at: 1, min: 1} }
func registers() form                { return form{n: 2, at: 1, min: 2, even: true} }
func open(p []byte) int              { return anySize }
func walked(f func([]byte) int) form { return form{walk: f} }

// diagnosticForm: sub-function and one word, save for those that carry any number of words (6.8).
func diagnosticForm(p []byte) int {
	if len(p) < 3 {
		return moreBytes
	}
	if sub := binary.BigEndian.Uint16(p[1:]); sub == returnQueryData || sub == modbusPlusStatistics {
		return anySize
	}
	return 5
}

// echoedData: return query data, if it is one word as usual, or two; otherwise nothing is sure of it.
func echoedData(p []byte) bool { return len(p) == 5 || len(p) == 7 }

// fifoForm: a byte count of two bytes, which includes the FIFO count (6.18).
func fifoForm(p []byte) int {
	if len(p) < 3 {
		return moreBytes
	}
	count := int(binary.BigEndian.Uint16(p[1:]))
	if count < 2 || count > 64 {
		return noForm
	}
	return 3 + count
}

// fileAskForm: sub-requests of 7 bytes, each of which begins with reference type 6 (6.14).
func fileAskForm(p []byte) int {
	if len(p) < 2 {
		return moreBytes
	}
	end := 2 + int(p[1])
	if p[1]%7 != 0 {
		return noForm
	}
	for i := 2; i < end && i < len(p); i += 7 {
		if p[i] != fileReference {
			return noForm
		}
	}
	return end
}

// fileReplyForm: sub-responses that begin with their length, which includes the reference type behind it (6.14).
func fileReplyForm(p []byte) int {
	if len(p) < 2 {
		return moreBytes
	}
	end := 2 + int(p[1])
	for i := 2; i < end && i < len(p); i += 1 + int(p[i]) {
		if p[i]&1 == 0 || i+1 < len(p) && p[i+1] != fileReference {
			return noForm
		}
	}
	return end
}
