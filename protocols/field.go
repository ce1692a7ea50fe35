package protocols

import "strconv"

// A Field is one member of a protocol's own object in an event ("modbus": {"tid": ...}) and, unless it is a JSON one,
// a word of the rule language (modbus.tid). Exactly one of Int, Bool, Text and JSON is set.
type Field struct {
	Name string
	Doc  string
	Int  func(*Message) (v int64, ok bool)
	Bool func(*Message) (v, ok bool)
	Text func(*Message) (v string, ok bool)  // a constant or a string that outlives the message; must not allocate
	JSON func(dst []byte, m *Message) []byte // appends a JSON value, or nothing where there is none
}

// AppendJSON appends m's protocol object: the fields that are present, in the order of the table.
func (m *Message) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for i := range m.Proto.Field {
		f := &m.Proto.Field[i]
		mark := len(dst)
		if dst[mark-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, f.Name...)
		dst = append(dst, '"', ':')
		value := len(dst)
		dst = f.append(dst, m)
		if len(dst) == value {
			dst = dst[:mark]
		}
	}
	return append(dst, '}')
}

func (f *Field) append(dst []byte, m *Message) []byte {
	switch {
	case f.Int != nil:
		if v, ok := f.Int(m); ok {
			dst = strconv.AppendInt(dst, v, 10)
		}
	case f.Bool != nil:
		if v, ok := f.Bool(m); ok {
			dst = strconv.AppendBool(dst, v)
		}
	case f.Text != nil:
		if v, ok := f.Text(m); ok {
			dst = AppendString(dst, v)
		}
	default:
		dst = f.JSON(dst, m)
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Bytes that are not UTF-8 are taken as Latin-1, so that what a device said
// stays readable and nothing is lost.
func AppendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < 0x80:
			dst = append(dst, c)
		default:
			n := validRune(s, i)
			if n == 0 {
				dst = append(dst, 0xc0|c>>6, 0x80|c&0x3f)
				continue
			}
			for range n {
				dst = append(dst, s[i])
				i++
			}
			i--
		}
	}
	return append(dst, '"')
}

// AppendHex appends b as a JSON string of hex digits.
func AppendHex(dst, b []byte) []byte {
	dst = append(dst, '"')
	for _, c := range b {
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return append(dst, '"')
}
