package plant

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/dnp3"
	"github.com/roje-ot/roje/rules"
)

// profileRoot is the root element of a DNP3 device profile, IEEE Std 1815-2012 14.8. Its namespace changed with each
// version of the schema (http://www.dnp3.org/DNP3/DeviceProfile/Jan2010, …/April2016, http://www.dnp.org/DNP3/DeviceProfile),
// and the names of the elements below did not: any namespace is taken.
const profileRoot = "DNP3DeviceProfileDocument"

// profileLists are the elements of one point, below dataPointsList/LIST/dataPoints.
var profileLists = map[string]struct {
	list   string
	kind   protocols.Kind
	double bool
}{
	"binaryInput":    {"binaryInputPoints", protocols.BinaryIn, false},
	"doubleBitInput": {"doubleBitInputPoints", protocols.BinaryIn, true},
	"binaryOutput":   {"binaryOutputPoints", protocols.BinaryOut, false},
	"counter":        {"counterPoints", protocols.Counter, false},
	"analogInput":    {"analogInputPoints", protocols.AnalogIn, false},
	"analogOutput":   {"analogOutputPoints", protocols.AnalogOut, false},
}

// maxDepth is deeper than any profile nests.
const maxDepth = 32

// readProfile reads the point lists of a device profile. A document type declaration is refused, so that no entity can
// stand for anything.
func (l *reading) readProfile(text []byte) {
	in := xml.NewDecoder(bytes.NewReader(text))
	in.Strict = true
	in.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		return nil, errors.New("its encoding is " + charset + "; save it as UTF-8")
	}
	var path []string
	inside, found := false, false
	for {
		line, column := in.InputPos()
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			l.fault(line, column, "%v; nothing behind it was read", err)
			return
		}
		switch t := token.(type) {
		case xml.Directive:
			l.fault(line, column, "a device profile declares no document type and no entities; take the line out")
			return
		case xml.StartElement:
			name := t.Name.Local
			if len(path) == 0 && name != profileRoot {
				l.fault(line, column, "the document is a <%s>, not a <%s>", name, profileRoot)
				return
			}
			if path = append(path, name); len(path) > maxDepth {
				l.fault(line, column, "elements are nested deeper than %d", maxDepth)
				return
			}
			inside = inside || name == "dataPointsList"
			found = found || inside
			if of, ok := profileLists[name]; inside && ok && len(path) > 2 && path[len(path)-2] == "dataPoints" && path[len(path)-3] == of.list {
				p, err := l.profilePoint(in, line, column, name)
				if err != nil {
					l.fault(line, column, "%v; nothing behind it was read", err)
					return
				}
				path = path[:len(path)-1]
				if p != nil && !l.add(p) {
					return
				}
			}
		case xml.EndElement:
			inside = inside && t.Name.Local != "dataPointsList"
			path = path[:len(path)-1]
		}
	}
	if !found {
		l.fault(1, 1, "the profile has no dataPointsList: it says what the device can do, and nothing of its points; export it with the point list of the configuration")
	}
}

// A profileElement is what is read of one point. What it does not name is skipped.
type profileElement struct {
	Index       string `xml:"index"`
	Name        string `xml:"name"`
	Description string `xml:"description"`
	Class       string `xml:"changeEventClass"`
	CountClass  string `xml:"counterEventClass"`
	Units       string `xml:"units"`
	Scale       string `xml:"scaleFactor"`
	Offset      string `xml:"scaleOffset"`
	Operations  *struct {
		Any []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	} `xml:"supportedControlOperations"`
}

// profilePoint reads the element of one point, whose start was read; nil where it is wrong.
func (l *reading) profilePoint(in *xml.Decoder, line, column int, name string) (*Point, error) {
	of := profileLists[name]
	var e profileElement
	start := xml.StartElement{Name: xml.Name{Local: name}}
	if err := in.DecodeElement(&e, &start); err != nil {
		return nil, err
	}
	bad := false
	fault := func(format string, args ...any) {
		bad = true
		l.fault(line, column, format, args...)
	}
	p := &Point{Proto: dnp3.Protocol, Assets: l.addrs, Kind: of.kind, Double: of.double, N: 1, Name: strings.Join(strings.Fields(e.Name), " "),
		File: l.Path, Line: line, Reads: of.kind != protocols.BinaryOut && of.kind != protocols.AnalogOut}
	p.Type = types[dnp3.Protocol][slices.IndexFunc(types[dnp3.Protocol], func(t *Type) bool { return t.kind == of.kind && t.double == of.double })]
	if p.Any = l.Station == nil; !p.Any {
		p.Station = *l.Station
	}
	if n, err := strconv.ParseUint(strings.TrimSpace(e.Index), 10, 16); err != nil {
		fault("the index of a %s is %q; it is 0 to 65535", name, e.Index)
	} else {
		p.Addr = uint32(n)
	}
	if p.Name == "" {
		p.Name = strings.Join(strings.Fields(e.Description), " ")
	}
	if r := []rune(p.Name); len(r) > maxName {
		p.Name = string(r[:maxName-1]) + "…"
	}
	if p.Name == "" {
		p.Name = p.Type.Name + " " + strings.TrimSpace(e.Index)
	}
	class := strings.TrimSpace(e.Class)
	if of.kind == protocols.Counter {
		class = strings.TrimSpace(e.CountClass)
	}
	p.Class = classOf(class) // "assigned by the master" and the like are no class
	if e.Operations != nil {
		p.Reads = true // a list of operations that names none
		for _, op := range e.Operations.Any {
			p.Reads = p.Reads && plain(op.Text) == "false"
		}
	}
	p.label = rules.Label{Unit: strings.TrimSpace(e.Units), Scale: 1}
	for _, v := range []struct {
		text, what string
		to         *float64
	}{{e.Scale, "scaleFactor", &p.label.Scale}, {e.Offset, "scaleOffset", &p.label.Offset}} {
		if text := strings.TrimSpace(v.text); text != "" {
			n, err := parseDecimal(text)
			if err != nil {
				fault("the %s of %q is %q, no number", v.what, p.Name, text)
			}
			*v.to = n
		}
	}
	if bad {
		return nil, nil
	}
	p.finish()
	return p, nil
}
