package share

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/attack"
)

// icsExtension names the property extension of network-traffic that carries what the message said.
const icsExtension = "ics-message"

var icsExtensionID = ownID("extension-definition", icsExtension)

// icsSchema is the JSON Schema of the extension; it travels in the extension definition, so that no link can break.
//
//go:embed ics.schema.json
var icsSchema string

// stacks says, per protocol, the layers above the network layer by their names in the IANA service registry. The
// transport is said where the standard leaves no choice (IEC 60870-5-104 is TCP); Modbus and DNP3 also run over UDP.
var stacks = map[string][]string{
	"modbus": {"mbap"},
	"dnp3":   {"dnp"},
	"iec104": {"tcp", "iec-104"},
}

// protocols lists the layers of an alert's traffic, lowest first (STIX 2.1 §6.12).
func protocols(hostType, proto string) []string {
	layers := []string{strings.TrimSuffix(hostType, "-addr")}
	if hostType == "mac-addr" {
		layers[0] = "ethernet"
	}
	if above, ok := stacks[proto]; ok {
		return append(layers, above...)
	}
	if proto != "" {
		layers = append(layers, strings.ToLower(proto))
	}
	return layers
}

// extension is the message's content for machines; nil if the alert is not about a message.
func extension(a *rules.Alert) Object {
	if a.Proto == "" {
		return nil
	}
	ext := Object{"extension_type": "property-extension", "protocol": a.Proto}
	if a.Name != "" {
		ext["name"] = a.Name
	}
	if a.Code != nil {
		ext["code"] = *a.Code
	}
	if a.Station != nil {
		ext["station"] = *a.Station
	}
	var points []Object
	for _, p := range a.Points {
		point := Object{"kind": p.Kind, "address": p.Addr, "n": p.N}
		if p.Value != nil {
			point["value"] = *p.Value
		}
		points = append(points, point)
	}
	if points != nil {
		ext["points"] = points
	}
	return ext
}

// Words says an alert in plain text: its sentence, then every fact on a line of its own. It names no operator's staff,
// no file and no sensor.
func Words(a *rules.Alert) string {
	var b strings.Builder
	b.WriteString(a.Title)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "\n%s: %s", name, value)
		}
	}
	number := func(name string, value fmt.Stringer) { line(name, value.String()) }
	number("Severity", a.Severity)
	line("Rule", a.Rule)
	for _, id := range a.Techniques {
		line("Technique", id+" "+attack.Name(id))
	}
	line("First seen", instant(a.First))
	line("Last seen", instant(a.Last))
	line("Count", fmt.Sprint(a.Count))
	line("Client", a.Client)
	line("Server", a.Server)
	line("Protocol", a.Proto)
	if a.Station != nil {
		line("Station", fmt.Sprint(*a.Station))
	}
	if a.Code != nil {
		line("Code", fmt.Sprint(*a.Code))
	}
	line("Message", a.Name)
	for _, p := range a.Points {
		line("Point", PointWords(p))
	}
	line("Learned", a.Learned)
	line("Observed", a.Observed)
	return b.String()
}

// PointWords says a point, or a run of points, in a few words.
func PointWords(p rules.Point) string {
	text := fmt.Sprintf("%s %d", p.Kind, p.Addr)
	if p.N > 1 {
		text = fmt.Sprintf("%s %d to %d", p.Kind, p.Addr, uint64(p.Addr)+uint64(p.N)-1)
	}
	if p.Name != "" {
		text = p.Name + " (" + text + ")"
	}
	if p.Value != nil {
		text += fmt.Sprintf(" = %g", *p.Value)
	}
	if p.Quality != "" {
		text += " (" + p.Quality + ")"
	}
	return text
}
