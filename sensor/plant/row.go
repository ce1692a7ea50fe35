package plant

import (
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
