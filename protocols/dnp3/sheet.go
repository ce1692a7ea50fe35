package dnp3

import (
	"strconv"
	"strings"

	"github.com/roje-ot/roje/protocols"
)

// sheets are the tables of docs/protocols.md that come from what the decoder works with.
func sheets() []protocols.Sheet {
	return []protocols.Sheet{objectSheet(), linkSheet(), statusSheet()}
}

func objectSheet() protocols.Sheet {
	s := protocols.Sheet{Title: "Objects", Header: []string{"Group", "Variation", "Object", "Points", "Fields"}}
	group := ""
	for i := range objects {
		o := &objects[i]
		if o.variation == 0 && !o.any {
			group = o.name
			s.Rows = append(s.Rows, []string{strconv.Itoa(int(o.group)), "0", group + ", any variation", points(o), "in requests"})
			continue
		}
		if o.group == 0 && attributeNames[o.variation] == "" {
			continue
		}
		v := strconv.Itoa(int(o.variation))
		if o.any {
			v = "any"
		}
		s.Rows = append(s.Rows, []string{strconv.Itoa(int(o.group)), v, group + ", " + o.name, points(o), describe(o.shape)})
	}
	return s
}

func points(o *object) string {
	if o.quiet {
		return ""
	}
	return o.kind.String()
}

// stepWords says in words what each kind of field holds.
var stepWords = [...]string{
	packed: "packed bits", flags: "flags", control: "control code", status: "status", commanded: "status and state", unsigned: "unsigned",
	signed: "signed", floating: "float", bcd: "BCD", absolute: "time", relative: "relative time", common: "common time", attribute: "typed value",
	octets: "octets", remainder: "text", sized: "text", blind: "", hidden: "not read",
}

func describe(s []step) string {
	if s == nil {
		return "in requests"
	}
	var words []string
	for _, f := range s {
		if w := stepWords[f.how]; w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, ", ")
}

func linkSheet() protocols.Sheet {
	s := protocols.Sheet{Title: "Link functions", Header: []string{"PRM", "Code", "Name"}}
	for prm := range linkFunctions {
		for code, f := range linkFunctions[prm] {
			if f.name != "" {
				s.Rows = append(s.Rows, []string{strconv.Itoa(prm), strconv.Itoa(code), f.name})
			}
		}
	}
	return s
}

func statusSheet() protocols.Sheet {
	s := protocols.Sheet{Title: "Control status", Header: []string{"Code", "Word"}}
	for code, w := range controlStatus {
		if w != "" {
			s.Rows = append(s.Rows, []string{strconv.Itoa(code), w})
		}
	}
	return s
}
