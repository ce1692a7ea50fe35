package asset

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// What a device says of itself, by message. code is the function or type, field the JSON field of the protocol that
// holds it, if it is one.
var sayings = []struct {
	proto string
	code  uint16
	by    string
	read  func(*Ident, *protocols.Message)
}{
	{"modbus", 43, "modbus 43/14", readObjects},
	{"modbus", 17, "modbus 17", readServerID},
	{"dnp3", 129, "dnp3 group 0", readAttributes},
}

const endOfInit = 70 // 104 M_EI_NA_1, IEC 60870-5-101 7.3.3.1

// identify notes what e's sender, a part of d, says of itself.
func (r *Registry) identify(d *device, p *Part, e *rules.Event) {
	m := e.Msg
	if m.Code == endOfInit && m.Proto.Name == "iec104" {
		if p.Restarted != nil {
			d.change(e.At, "restarted", "", m.Proto.Name)
		}
		at := Time(e.At)
		p.Restarted = &at
		r.mark(d)
		return
	}
	for i := range sayings {
		s := &sayings[i]
		if s.code != m.Code || s.proto != m.Proto.Name || s.proto == "dnp3" && !hasAttributes(m) {
			continue
		}
		said := Ident{By: s.by}
		if p.Ident != nil {
			said = *p.Ident
		}
		before := said
		s.read(&said, m)
		if said == before {
			return
		}
		if p.Ident != nil {
			d.compare(e.At, &before, &said)
		}
		said.By = s.by
		p.Ident = &said
		r.mark(d)
	}
}

// compare puts what has changed into the history. What was not known before is no change.
func (d *device) compare(at int64, old, now *Ident) {
	for _, c := range []struct{ what, from, to string }{
		{"vendor", old.Vendor, now.Vendor}, {"model", old.Model, now.Model}, {"firmware", old.Firmware, now.Firmware},
		{"hardware", old.Hardware, now.Hardware}, {"serial", old.Serial, now.Serial}, {"name", old.Name, now.Name}, {"location", old.Location, now.Location},
	} {
		if c.from != "" && c.from != c.to {
			d.change(at, c.what, c.from, c.to)
		}
	}
}

// set takes a text that a device says, without what cannot be shown.
func set(to *string, text string) {
	text = strings.TrimSpace(strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return -1
	}, text))
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	if text != "" {
		*to = text
	}
}

// fieldOf returns the JSON value of a protocol's field.
func fieldOf(m *protocols.Message, name string) []byte {
	for i := range m.Proto.Field {
		if f := &m.Proto.Field[i]; f.Name == name && f.JSON != nil {
			return f.JSON(nil, m)
		}
	}
	return nil
}

// readObjects reads the objects of device identification, MODBUS Application Protocol V1.1b3 6.21.
func readObjects(id *Ident, m *protocols.Message) {
	var objects []struct {
		ID   int
		Text string
	}
	if json.Unmarshal(fieldOf(m, "objects"), &objects) != nil {
		return // not a device identification
	}
	rows := map[int]*string{0: &id.Vendor, 1: &id.Model, 2: &id.Firmware, 6: &id.Name}
	product := ""
	for _, o := range objects {
		if to := rows[o.ID]; to != nil {
			set(to, o.Text)
		} else if o.ID == 4 && product == "" || o.ID == 5 {
			product = o.Text // product name, model name
		}
	}
	if id.Model == "" {
		set(&id.Model, product)
	}
}

// readServerID reads the report of function 17, whose form is the maker's own.
func readServerID(id *Ident, m *protocols.Message) {
	var text string
	if json.Unmarshal(fieldOf(m, "server_id"), &text) == nil && id.Model == "" {
		set(&id.Model, text)
	}
}

// hasAttributes tells whether a response carries device attributes.
func hasAttributes(m *protocols.Message) bool {
	return len(m.Points) > 0 && m.Points[0].Type>>8 == 0 && m.Points[0].Type != 0
}

// readAttributes reads group 0, IEEE 1815 A.1.
func readAttributes(id *Ident, m *protocols.Message) {
	rows := map[uint16]*string{242: &id.Firmware, 243: &id.Hardware, 245: &id.Location, 247: &id.Name, 248: &id.Serial, 250: &id.Model, 252: &id.Vendor}
	for i := range m.Points {
		p := &m.Points[i]
		if to := rows[p.Type&0xff]; to != nil && p.Type>>8 == 0 && p.Has&protocols.HasText != 0 {
			set(to, string(m.Text(p)))
		}
	}
}
