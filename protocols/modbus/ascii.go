package modbus

// ASCII frames (Modbus over Serial Line V1.02, 2.5.2), here inside TCP.
const (
	leastASCII = 9   // ":", unit, function code, LRC, CR LF
	mostASCII  = 513 // the longest frame
)

// digit is the value of a hex digit, or a number above 15.
func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// frontASCII judges the frame at the front of b by its form, and says whether its LRC is right. Its last byte is LF, or
// delimiter where a diagnostic has set another one. Its first seen bytes were judged before, and left it open.
func frontASCII(b []byte, seen int, delimiter byte) (v verdict, right bool) {
	if b[0] != ':' {
		return verdict{state: no, end: 1}, false
	}
	fresh := max(1, seen-1)
	for fresh < min(len(b), mostASCII-2) && digit(b[fresh]) <= 15 {
		fresh++
	}
	if fresh >= len(b) {
		return verdict{end: len(b) + 1}, false // digits so far: they are added up when the end is there
	}
	var sum, high byte
	for i := 1; i < len(b); i++ {
		c := b[i]
		x := digit(c)
		switch {
		case x > 15 && c == '\r' && i&1 != 0 && i+2 >= leastASCII:
			switch {
			case i+1 >= len(b):
				return verdict{end: len(b) + 1}, false
			case b[i+1] == '\n' || b[i+1] == delimiter:
				return verdict{state: yes, n: i + 2, end: i + 2}, sum == 0
			}
			return verdict{state: no, end: i + 2}, false
		case x > 15 || i >= mostASCII-2:
			return verdict{state: no, end: i + 1}, false
		case i&1 != 0:
			high = x << 4
		default:
			sum += high | x
		}
	}
	return verdict{end: len(b) + 1}, false
}

// tryASCII judges the place i of b: the frame has marks at both ends and must have the right LRC.
func tryASCII(b []byte, i, seen int, delimiter byte, last bool) verdict {
	v, right := frontASCII(b[i:], seen-i, delimiter)
	v.end += i
	if v.state == pending && last {
		return verdict{state: no, end: len(b)}
	}
	if v.state == yes && !right {
		v.state = no
	}
	return v
}

// followASCII judges b, which begins where a frame ended; a wrong LRC is forgiven.
func followASCII(b []byte, seen int, delimiter byte, last bool) verdict {
	v, _ := frontASCII(b, seen, delimiter)
	if v.state == pending && last {
		return verdict{state: no, end: len(b)}
	}
	return v
}

// unhex appends the bytes whose hex digits stand between the marks of the frame b.
func unhex(dst, b []byte) []byte {
	for i := 1; i+1 < len(b) && digit(b[i]) <= 15; i += 2 {
		dst = append(dst, digit(b[i])<<4|digit(b[i+1]))
	}
	return dst
}
