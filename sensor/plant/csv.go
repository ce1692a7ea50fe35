package plant

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/protocols/dnp3"
	"github.com/roje-ot/roje/protocols/iec104"
	"github.com/roje-ot/roje/protocols/modbus"
	"github.com/roje-ot/roje/rules/strict"
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

// point reads the row; nil where it is wrong.
func (r *row) point() *Point {
	line, _ := r.in.FieldPos(0)
	if n := len(r.fields); n > r.at.width && !empty(r.fields[r.at.width:]) {
		r.reading.fault(line, 1, "the row has %d fields and the headings %d; put text with a separator in it into quotes", n, r.at.width)
		return nil
	}
	proto := r.protocol()
	if proto == nil {
		return nil
	}
	p := &Point{Proto: proto, Assets: r.assets(), N: 1, Name: r.text("name"), Bay: r.text("bay"), Part: r.text("part"), File: r.File.Path, Line: line}
	switch {
	case p.Name == "":
		r.fault("name", "the point has no name")
	case utf8.RuneCountInString(p.Name+p.Bay+p.Part) > maxName:
		r.fault("name", "the name, the bay and the part have together more than %d characters", maxName)
	}
	most := map[*protocols.Protocol]uint64{modbus.Protocol: 255, iec104.Protocol: 65535, dnp3.Protocol: 65535}[proto]
	if n, ok := r.number("station", most); ok {
		p.Station = n
	} else if r.File.Station != nil {
		p.Station = *r.File.Station
	} else {
		p.Any = true
	}
	r.kinds(p)
	r.values(p)
	if r.bad {
		return nil
	}
	p.finish()
	return p
}

// protocol is that of the row, of the configuration, or of the headings.
func (r *row) protocol() *protocols.Protocol {
	word := r.text("protocol")
	if word == "" {
		word = r.File.Protocol
	}
	if word == "" {
		if r.at.proto == nil {
			r.fault("protocol", "the headings do not tell the protocol; add protocol: to the configuration, or a column")
		}
		return r.at.proto
	}
	if p, ok := catalog.Named(strings.ToLower(word)); ok && types[p] != nil {
		return p
	}
	r.fault("protocol", "%v", strict.Unknown("protocol", word, protocolNames()))
	return nil
}

func protocolNames() (names []string) {
	for _, p := range catalog.All {
		if types[p] != nil {
			names = append(names, p.Name)
		}
	}
	return names
}

// assets are the addresses in the row, or those of the configuration.
func (r *row) assets() []netip.Addr {
	text := r.text("asset")
	if text == "" {
		return r.File.addrs
	}
	var all []netip.Addr
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == ',' || c == ';' }) {
		a, err := netip.ParseAddr(word)
		if err != nil {
			r.fault("asset", "asset %q is no IP address", word)
			return nil
		}
		all = append(all, a.Unmap())
	}
	return all
}

// kinds reads what the point is and where.
func (r *row) kinds(p *Point) {
	if text := r.text("type"); text != "" {
		t, err := typeOf(p.Proto, text)
		if err != nil {
			r.fault("type", "%v", err)
			return
		}
		p.Type = t
	}
	if p.Proto == modbus.Protocol {
		r.register(p)
		return
	}
	name, most := "ioa", uint64(1<<24-1)
	if p.Proto == dnp3.Protocol {
		name, most = "index", 65535
	}
	if r.text(name) == "" && r.at.at[place("address")] >= 0 {
		name = "address"
	}
	n, ok := r.number(name, most)
	switch {
	case !ok && r.text(name) == "":
		r.fault(name, "the point has no address")
	case p.Type == nil:
		r.fault("type", "the point has no type")
	default:
		p.Addr, p.Kind, p.Double = n, p.Type.kind, p.Type.double
	}
}

// register reads which registers of a Modbus unit the point takes.
func (r *row) register(p *Point) {
	reference := r.text("reference")
	switch {
	case reference != "":
		r.reference(p, reference)
	case r.text("table") == "":
		r.fault("table", "the point has neither a table nor a reference")
	case r.text("address") == "":
		r.fault("address", "the point has no address")
	default:
		kind, err := tableOf(r.text("table"))
		if err != nil {
			r.fault("table", "%v", err)
			return
		}
		p.Kind = kind
		p.Addr, _ = r.number("address", 65535)
	}
	if p.Type != nil && p.Type.count > 0 {
		p.N = p.Type.count
	}
	if n, ok := r.number("count", maxRegisters); ok {
		p.N = n
	}
	if p.N == 0 || p.Addr+p.N > 65536 {
		r.fault("count", "the point takes %d registers from %d on; a table has 65536", p.N, p.Addr)
	}
}

// reference reads 40001 or 400001: the table, then the number of the register, from 1 on.
func (r *row) reference(p *Point, text string) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err == nil && (len(text) == 5 || len(text) == 6) {
		for _, t := range tables {
			if uint64(t.first) == uint64(text[0]-'0') {
				number := n - uint64(t.first)*map[int]uint64{5: 10000, 6: 100000}[len(text)]
				if number >= 1 && number <= 65536 {
					p.Kind, p.Addr = t.kind, uint32(number-1)
					return
				}
			}
		}
	}
	r.fault("reference", "reference %q is none of 00001 to 465536: 0 is a coil, 1 a discrete input, 3 an input register, 4 a holding register", text)
}

// values reads what else a row says.
func (r *row) values(p *Point) {
	p.label.Unit = r.text("unit")
	p.label.Scale, p.label.Offset = r.decimal("scale", 1), r.decimal("offset", 0)
	p.label.Signed = p.Proto == modbus.Protocol && p.Type != nil && p.Type.signed
	if p.N > 1 {
		p.label.Scale, p.label.Offset, p.label.Unit = 1, 0, "" // the value is not in one register
	}
	if s := r.decimal("travel", 0); s < 0 || s > 3600 {
		r.fault("travel", "travel %v is not 0 to 3600 seconds", s)
	} else {
		p.Travel = int64(s * 1e9)
	}
	switch word := plain(r.text("access")); word {
	case "":
		p.Reads = !p.commands()
	case "r", "ro", "read", "readonly":
		p.Reads = true
	case "w", "rw", "wo", "write", "readwrite", "writeonly":
	default:
		r.fault("access", "access %q is none of r, rw, w", r.text("access"))
	}
	if word := r.text("class"); word != "" {
		if p.Class = classOf(word); p.Class == "" {
			r.fault("class", "class %q is none of none, 1, 2, 3", word)
		}
	}
	p.follows, p.told = r.target("indication", p), r.target("command", p)
}

// target reads the address of another point: a number, or in a Modbus list the table before it, as in
// "discrete input:17".
func (r *row) target(name string, p *Point) *target {
	text := r.text(name)
	if text == "" {
		return nil
	}
	_, column := r.position(name)
	t := &target{column: column}
	if p.Proto == modbus.Protocol {
		r.fault(name, "a Modbus write is judged by the registers that it writes, not by others; leave out the column")
		return nil
	}
	if kind, rest, ok := strings.Cut(text, ":"); ok {
		of, err := typeOf(p.Proto, kind)
		if err != nil {
			r.fault(name, "%v", err)
			return nil
		}
		t.kind, t.known, text = of.kind, true, strings.TrimSpace(rest)
	}
	n, err := strconv.ParseUint(text, 10, 24)
	if err != nil {
		r.fault(name, "%s %q is no address", name, text)
		return nil
	}
	t.addr = uint32(n)
	return t
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

// classOf reads the word of an event class; "" where it is none.
func classOf(word string) string {
	switch strings.ToLower(word) {
	case "none", "0":
		return "none"
	case "one", "1":
		return "1"
	case "two", "2":
		return "2"
	case "three", "3":
		return "3"
	}
	return ""
}
