package suricata

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/roje-ot/roje/rules/strict"
)

const (
	maxUnit = 255
	maxCode = 255
	maxWord = 65535
)

// categories are the kinds of function codes, Modbus Application Protocol V1.1b3 clause 5.1, as conditions, each with a
// code that is of the kind.
var categories = map[string]struct {
	where string
	code  int
}{
	"assigned":   {assigned, 3},
	"unassigned": {"not (" + assigned + ") and not (" + reserved + ") and not (" + user + ")", 44},
	"public":     {"not (" + reserved + ") and not (" + user + ")", 3},
	"user":       {user, 65},
	"reserved":   {reserved, 9},
	"all":        {"code >= 0", 3},
}

const (
	assigned = "code in [1, 2, 3, 4, 5, 6, 7, 11, 12, 15, 16, 17, 20, 21, 22, 23, 24]" +
		" or code == 8 and (modbus.sub in 0..4 or modbus.sub in 10..18 or modbus.sub == 20) or code == 43 and modbus.mei in [13, 14]"
	reserved = "code in [9, 10, 13, 14, 41, 42, 90, 91, 125, 126, 127]" +
		" or code == 8 and (modbus.sub in 5..9 or modbus.sub == 19 or modbus.sub > 20) or code == 43 and (modbus.mei < 13 or modbus.mei > 14)"
	user = "code in 65..72 or code in 100..110"
)

// outside are codes that are not of a category, for its denial.
var outside = map[string]int{"assigned": 65, "unassigned": 3, "public": 65, "user": 3, "reserved": 3}

// An access is what a function code does to one of the tables.
type access struct {
	read  bool
	table string
	code  int
	first string // words of its range: the first address, and how many
	n     string
}

// accesses are the functions that the standard's tables are read and written with.
var accesses = []access{
	{true, "coils", 1, "modbus.addr", "modbus.count"},
	{true, "discretes", 2, "modbus.addr", "modbus.count"},
	{true, "holding", 3, "modbus.addr", "modbus.count"},
	{true, "input", 4, "modbus.addr", "modbus.count"},
	{true, "holding", 23, "modbus.addr", "modbus.count"},
	{false, "coils", 5, "modbus.addr", "1"},
	{false, "holding", 6, "modbus.addr", "1"},
	{false, "coils", 15, "modbus.addr", "modbus.count"},
	{false, "holding", 16, "modbus.addr", "modbus.count"},
	{false, "holding", 22, "modbus.addr", "1"},
	{false, "holding", 23, "modbus.write_addr", "modbus.write_count"},
	{true, "", 20, "", ""},
	{false, "", 21, "", ""},
	{true, "", 24, "", ""},
}

// modbus translates the value of one modbus keyword. It looks at requests.
func (r *translation) modbus(value string) error {
	r.proto, r.from = "modbus", client
	var table, way string
	var address, written *span
	function := -1
	for i, part := range split(value) {
		word, rest, _ := strings.Cut(strings.TrimSpace(part), " ")
		rest = strings.TrimSpace(rest)
		var err error
		switch word {
		case "unit":
			var s span
			if s, err = number("unit", rest, maxUnit); err == nil {
				r.numberClause("station", s, maxUnit)
			}
		case "function":
			function, err = r.function(rest)
		case "subfunction":
			err = r.subfunction(function, rest)
		case "access":
			way, table, _ = strings.Cut(rest, " ")
			table = strings.TrimSpace(table)
			if way != "read" && way != "write" {
				err = leave("", "%v", strict.Unknown("modbus access", way, []string{"read", "write"}))
			} else if tables := []string{"discretes", "coils", "input", "holding"}; table != "" && !contains(tables, table) {
				err = leave("", "%v", strict.Unknown("modbus table", table, tables))
			} else if way == "write" && (table == "discretes" || table == "input") {
				err = leave("write coils or holding", "%s are never written", table)
			}
		case "address":
			var s span
			if s, err = number("address", rest, maxWord+1); err == nil {
				s = s.shift(-1) // Suricata's addresses count from 1
				address = &s
			}
		case "value":
			var s span
			if s, err = number("value", rest, maxWord); err == nil {
				written = &s
			}
		default:
			err = leave("", "%v", strict.Unknown("modbus setting", word, []string{"unit", "function", "subfunction", "access", "address", "value"}))
		}
		if err == nil && i > 0 && word == "access" && function >= 0 {
			err = leave("", "modbus looks at a function or at an access, not at both")
		}
		if err != nil {
			return err
		}
	}
	switch {
	case way == "" && (address != nil || written != nil):
		return leave("write: access read holding, address 100", "an address without an access")
	case table == "" && address != nil:
		return leave("it is one of discretes, coils, input, holding", "an address of no table")
	case address == nil && written != nil:
		return leave("write: access write holding, address 100, value 5", "a value without an address")
	case written != nil && way == "read":
		return leave("", "what is read has no value in the request")
	case way != "":
		return r.access(way == "read", table, address, written)
	}
	return nil
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// function translates a function code or a category, and returns the code; 0 for a category.
func (r *translation) function(rest string) (int, error) {
	not := false
	name := rest
	if n, ok := strings.CutPrefix(rest, "!"); ok {
		not, name = true, strings.TrimSpace(n)
	}
	if c, ok := categories[name]; ok {
		where, code := "("+c.where+")", c.code
		if not {
			where, code = "not "+where, outside[name]
			if code == 0 {
				return 0, leave("", "no function is outside of %q", name)
			}
		}
		r.clause(where)
		r.set("code", strconv.Itoa(code))
		return 0, nil
	}
	if not {
		return 0, leave("a single function is not denied: write the ones that are meant", "function %q", rest)
	}
	n, err := strconv.ParseUint(rest, 10, 8)
	if err != nil || n == 0 {
		names := make([]string, 0, len(categories))
		for name := range categories {
			names = append(names, name)
		}
		return 0, leave("write a function code from 1 to 255", "%v", strict.Unknown("modbus function", rest, names))
	}
	r.code(span{lo: int64(n), hi: int64(n)})
	return int(n), nil
}

// subfunction translates what belongs to the functions that have one.
func (r *translation) subfunction(function int, rest string) error {
	words := map[int]string{8: "modbus.sub", 43: "modbus.mei"}
	word := words[function]
	if word == "" {
		return leave("diagnostics is function 8, and function 43 has types of its own", "function %d has no subfunction", function)
	}
	n, err := strconv.ParseUint(rest, 10, 16)
	if err != nil {
		return leave("write a whole number", "subfunction %q", rest)
	}
	r.clause(fmt.Sprintf("%s == %d", word, n))
	r.set(word, strconv.FormatUint(n, 10))
	return nil
}

// access translates what is done to a table, at an address, with a value.
func (r *translation) access(read bool, table string, address, written *span) error {
	var of []access
	for _, a := range accesses {
		if a.read == read && (table == "" || a.table == table) {
			of = append(of, a)
		}
	}
	var codes, reach []string
	groups := map[string][]string{}
	for _, a := range of {
		codes = append(codes, strconv.Itoa(a.code))
		if address != nil && written == nil {
			where := address.overlaps(a.first, a.n)
			if groups[where] == nil {
				reach = append(reach, where)
			}
			groups[where] = append(groups[where], strconv.Itoa(a.code))
		}
	}
	r.codes = append(r.codes, codes...)
	r.set("code", codes[0])
	if address == nil {
		return nil
	}
	at, ok := address.pick(maxWord)
	if !ok {
		return leave("Suricata's addresses count from 1", "there is no such address")
	}
	if written == nil {
		if len(reach) > 1 {
			for i, where := range reach {
				reach[i] = "code in [" + strings.Join(groups[where], ", ") + "] and " + where
			}
		}
		r.clause("(" + strings.Join(reach, " or ") + ")")
		r.set("modbus.addr", strconv.FormatInt(at, 10))
		r.set("modbus.count", "1")
		return nil
	}
	v, ok := written.pick(maxWord)
	if !ok || table == "coils" && !written.has(0) && !written.has(1) {
		return leave("a coil is written with 0 or 1", "there is no such value")
	}
	if table == "coils" && v > 1 {
		v = 1
		if !written.has(1) {
			v = 0
		}
	}
	r.each = true
	r.clause(address.where("addr", maxWord))
	r.clause(written.where("value", maxWord))
	r.points = fmt.Sprintf("[{addr: %d, value: %d}]", at, v)
	if table == "coils" {
		r.note("the value of a coil is taken as 1 and 0, whatever stands for it on the wire")
	}
	return nil
}
