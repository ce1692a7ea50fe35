package plant

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// separators are what may stand between two fields.
const separators = ";,\t"

// separator is the one that the first line has most of, outside quotes.
func separator(text []byte) rune {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	count, quoted := map[rune]int{}, false
	for _, r := range string(line) {
		if r == '"' {
			quoted = !quoted
		} else if !quoted {
			count[r]++
		}
	}
	best := rune(separators[0])
	for _, r := range separators {
		if count[r] > count[best] {
			best = r
		}
	}
	return best
}

// A row is one row of a list being read.
type row struct {
	*reading
	fields []string
	in     *csv.Reader
	at     *headings
	bad    bool
}

// text is the trimmed field of a column, "" where there is none.
func (r *row) text(name string) string {
	field := r.at.at[place(name)]
	if field < 0 || field >= len(r.fields) {
		return ""
	}
	return strings.TrimSpace(r.fields[field])
}

// position is the line and the column, in bytes, of a field.
func (r *row) position(name string) (line, column int) {
	field := r.at.at[place(name)]
	if field < 0 || field >= len(r.fields) {
		line, _ = r.in.FieldPos(0)
		return line, 1
	}
	return r.in.FieldPos(field)
}

// fault notes what is wrong with a field.
func (r *row) fault(name, format string, args ...any) {
	line, column := r.position(name)
	r.bad = true
	r.reading.fault(line, column, format, args...)
}

// number reads a whole number of at most most; ok is false where the field is empty or wrong.
func (r *row) number(name string, most uint64) (uint32, bool) {
	text := r.text(name)
	if text == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err != nil && strings.ContainsAny(text, ".-"):
		r.fault(name, "%s %q is no whole number; write it as one number, not by its octets", name, text)
	case err != nil:
		r.fault(name, "%s %q is no whole number", name, text)
	case n > most:
		r.fault(name, "%s %d is greater than %d", name, n, most)
	default:
		return uint32(n), true
	}
	return 0, false
}

// decimal reads a number with a point or a comma; or is its value where the field is empty.
func (r *row) decimal(name string, or float64) float64 {
	text := r.text(name)
	if text == "" {
		return or
	}
	v, err := parseDecimal(text)
	if err != nil {
		r.fault(name, "%s %q is no number", name, text)
	}
	return v
}

// readCSV reads a point list.
func (l *reading) readCSV(text []byte) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) {
		line := 1
		for rest := text; len(rest) > 0; {
			r, n := utf8.DecodeRune(rest)
			if r == utf8.RuneError && n == 1 {
				break
			}
			if r == '\n' {
				line++
			}
			rest = rest[n:]
		}
		l.fault(line, 1, "this is not UTF-8; save the list as \"CSV UTF-8\"")
		return
	}
	in := csv.NewReader(bytes.NewReader(text))
	in.Comma, in.Comment, in.FieldsPerRecord, in.ReuseRecord = separator(text), '#', -1, false
	var at *headings
	for {
		fields, err := in.Read()
		var parse *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			if at == nil {
				l.fault(1, 1, "the file is empty; its first line must hold the headings")
			}
			return
		case errors.As(err, &parse):
			l.fault(parse.Line, parse.Column, "%v; nothing behind it was read", parse.Err)
			return
		case err != nil:
			l.fault(1, 1, "%v", err)
			return
		case at == nil:
			at = readHeadings(fields, l.Columns, func(field int, format string, args ...any) {
				line, column := in.FieldPos(field)
				l.fault(line, column, format, args...)
			})
			l.book.Unread[l.File.Path] = at.unread
			if at.at[place("name")] < 0 {
				l.fault(1, 1, "no column holds the names; its heading is one of %s, %s", "name", strings.Join(columns[place("name")].words, ", "))
				return
			}
			continue
		}
		if empty(fields) {
			continue
		}
		r := &row{reading: l, fields: fields, in: in, at: at}
		if p := r.point(); p != nil && !l.add(p) {
			return
		}
	}
}

func empty(fields []string) bool {
	for _, f := range fields {
		if strings.TrimSpace(f) != "" {
			return false
		}
	}
	return true
}

// parseDecimal reads a number with a decimal point or a decimal comma.
func parseDecimal(text string) (float64, error) {
	if strings.Count(text, ",") == 1 && !strings.Contains(text, ".") {
		text = strings.Replace(text, ",", ".", 1)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		err = strconv.ErrRange
	}
	return v, err
}
