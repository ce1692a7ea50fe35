package plant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/dnp3"
	"github.com/roje-ot/roje/protocols/iec104"
	"github.com/roje-ot/roje/protocols/modbus"
	"github.com/roje-ot/roje/rules/strict"
)

// A column is one that a list may have. Its heading is its name or one of the other words; capitals, spaces and signs do
// not count.
type column struct {
	name  string
	words []string
	proto *protocols.Protocol // of which it is a sign; nil: of none
	doc   string
}

// columns are all columns, in the order of docs/points.md.
var columns = []column{
	{"protocol", []string{"proto"}, nil, "iec104, modbus or dnp3; not needed where the other headings tell"},
	{"asset", []string{"assets", "ip", "ipaddress", "host", "server", "rtuip"}, nil, "IP addresses of the station, with spaces between; empty: any"},
	{"station", []string{"ca", "coa", "commonaddress", "commonaddressofasdu", "asduaddress", "casdu", "unitid", "slave", "slaveid", "slaveaddress", "outstation", "outstationaddress", "linkaddress", "dnpaddress"}, nil,
		"common address, unit id or outstation address; empty: any"},
	{"ioa", []string{"objectaddress", "informationobjectaddress", "infoobjectaddress", "ioaddress"}, iec104.Protocol, "information object address, as one number"},
	{"index", []string{"pointindex", "dnpindex", "pointnumber"}, dnp3.Protocol, "DNP3 index, per type"},
	{"table", []string{"registertype", "modbustable", "area", "registertable"}, modbus.Protocol, "coil, discrete input, input register or holding register"},
	{"address", []string{"addr", "register", "registeraddress", "offsetaddress"}, nil, "address as on the wire, the first is 0; of 104 and DNP3 the same as ioa and index"},
	{"reference", []string{"modicon", "modiconaddress", "modbusreference", "plcaddress"}, modbus.Protocol, "instead of table and address: 40001 is the first holding register"},
	{"count", []string{"quantity", "registers", "words", "numberofregisters"}, nil, "registers that the point takes; else what its type takes"},
	{"type", []string{"ti", "typeid", "typid", "asdutype", "datatype", "pointtype", "format"}, nil, "see below"},
	{"name", []string{"signal", "signalname", "pointname", "description", "designation", "text", "tag"}, nil, "what people call the point"},
	{"bay", []string{"feeder", "cubicle", "field"}, nil, "the bay: sentences say \"bay\" before it"},
	{"part", []string{"location", "equipment", "device", "cabinet", "room"}, nil, "another part of the plant, as it is to be said"},
	{"unit", []string{"units", "engineeringunit", "engineeringunits", "eu", "uom"}, nil, "unit of the value after scale and offset"},
	{"scale", []string{"scaling", "factor", "scalefactor", "multiplier", "gain"}, nil, "value = what is sent × scale + offset"},
	{"offset", []string{"scaleoffset"}, nil, "see scale"},
	{"access", []string{"rw", "readwrite", "accessright"}, nil, "r for what is only read, rw or w for what is written; else by type and table"},
	{"indication", []string{"indicationioa", "feedback", "feedbackioa", "returnioa", "statusioa", "indicationindex"}, nil, "of a command: the address of the point that follows it"},
	{"command", []string{"commandioa", "controlioa", "commandindex", "commandedby"}, nil, "of an indication: the address of the command that it follows"},
	{"travel", []string{"traveltime", "travels", "runtime"}, nil, "of a command: seconds until what it moves has moved; else 10"},
	{"class", []string{"eventclass", "defaultclass"}, nil, "of a DNP3 input: its event class: none, 1, 2 or 3"},
}

// place is the index of the column in columns, or -1.
func place(name string) int {
	return slices.IndexFunc(columns, func(c column) bool { return c.name == name })
}

// headings says where the columns of a file are.
type headings struct {
	at     []int // by column; -1 where the file has none
	width  int   // fields of the first row
	unread []string
	proto  *protocols.Protocol // that the headings are a sign of; nil where they are not
}

// readHeadings finds the columns by the first row. renamed gives, by column, the heading that this file has for it.
func readHeadings(row []string, renamed map[string]string, fault func(field int, format string, args ...any)) *headings {
	h := &headings{at: make([]int, len(columns)), width: len(row)}
	for i := range h.at {
		h.at[i] = -1
	}
	taken := map[int]bool{}
	take := func(c, field int) {
		if h.at[c] >= 0 {
			fault(field, "the headings %q and %q both mean %s; rename the one that is not meant, or say which under columns:", row[h.at[c]], row[field], columns[c].name)
			return
		}
		h.at[c] = field
		taken[field] = true
	}
	for name, heading := range renamed {
		c := place(name)
		field := slices.IndexFunc(row, func(text string) bool { return strings.TrimSpace(text) == strings.TrimSpace(heading) })
		if field < 0 {
			fault(0, "no column has the heading %q, which columns: names for %s", heading, name)
			continue
		}
		take(c, field)
	}
	for c := range columns { // a heading that is the column's own name goes before others that may mean it
		for field, text := range row {
			if !taken[field] && h.at[c] < 0 && plain(text) == columns[c].name {
				take(c, field)
			}
		}
	}
	settled := map[int]bool{} // columns whose heading leaves no doubt
	for c, field := range h.at {
		settled[c] = field >= 0
	}
	for field, text := range row {
		if taken[field] {
			continue
		}
		c := slices.IndexFunc(columns, func(c column) bool { return named(plain(text), c.name, c.words) })
		switch {
		case c < 0 || settled[c]:
			if text != "" {
				h.unread = append(h.unread, text)
			}
		default:
			take(c, field)
		}
	}
	for c, field := range h.at {
		if p := columns[c].proto; field >= 0 && p != nil {
			if h.proto != nil && h.proto != p {
				fault(field, "the heading %q belongs to a list of %s, others to one of %s; give each protocol a file, or a column protocol", row[field], p.Title, h.proto.Title)
			}
			h.proto = p
		}
	}
	return h
}

// checkColumns finds what is wrong with the keys of columns: in a configuration.
func checkColumns(renamed map[string]string) error {
	known := []string{}
	for _, c := range columns {
		known = append(known, c.name)
	}
	for name, heading := range renamed {
		switch {
		case place(name) < 0:
			return strict.Unknown("column", name, known)
		case heading == "":
			return fmt.Errorf("columns: %s has no heading", name)
		}
	}
	return nil
}

// Markdown returns the table of columns for the documentation.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| column | other headings | what it holds |\n|---|---|---|\n")
	for _, c := range columns {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.name, strings.Join(c.words, ", "), c.doc)
	}
	return b.String()
}

// TypesMarkdown returns the table of types for the documentation.
func TypesMarkdown() string {
	var b strings.Builder
	b.WriteString("| protocol | type | other spellings | on the wire |\n|---|---|---|---|\n")
	for _, proto := range []*protocols.Protocol{iec104.Protocol, dnp3.Protocol, modbus.Protocol} {
		what := map[*protocols.Protocol]string{iec104.Protocol: "types", dnp3.Protocol: "groups"}[proto]
		for _, t := range types[proto] {
			wire := "any"
			if len(t.codes) > 0 {
				wire = what + " " + strings.Trim(strings.ReplaceAll(fmt.Sprint(t.codes), " ", ", "), "[]")
			} else if proto == modbus.Protocol {
				wire = fmt.Sprintf("%d registers", max(t.count, 1))
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", proto.Name, t.Name, strings.Join(t.words, ", "), wire)
		}
	}
	return b.String()
}
