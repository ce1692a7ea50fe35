package lang_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// labels are those of a list, by address.
type labels map[uint32]*rules.Label

func (l labels) Label(_ netip.AddrPort, _ *protocols.Message, p *protocols.Point) *rules.Label {
	return l[p.Addr]
}

// TestLabels: sentences call points what the lists do, beside their addresses.
func TestLabels(t *testing.T) {
	for _, test := range []struct {
		text  string
		known labels
		want  string
	}{
		{"{targets}", nil, "analog output 100 = 2.5, 200 to 202"},
		{"{targets}", labels{7: {Text: "another"}}, "analog output 100 = 2.5, 200 to 202"},
		{"{targets}", labels{100: {Text: "set-point T1, bay E03"}}, "set-point T1, bay E03 (analog output 100) = 2.5, analog output 200 to 202"},
		{"{targets}", labels{200: {Text: "spare"}}, "analog output 100 = 2.5, spare (analog output 200 to 202)"},
		{"{targets}", labels{100: {Text: "voltage", Unit: "kV", Scale: 0.1}}, "voltage (analog output 100) = 0.25 kV (2.5), analog output 200 to 202"},
		{"{targets}", labels{100: {Text: "voltage", Unit: "kV", Scale: 1}}, "voltage (analog output 100) = 2.5 kV, analog output 200 to 202"},
		{"at address {addr}", labels{100: {Text: "voltage"}}, "at address 100 (voltage)"},
		{"at address {addr}", nil, "at address 100"},
	} {
		set, err := vocabulary().Load("f.yaml", []byte(strings.Replace(good, "{client} did {name}[ to {station}] at {at}", test.text, 1)))
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		e := env()
		if test.known != nil {
			e.Labels = test.known
		}
		if got := set[0].Message.Render(e); got != test.want {
			t.Errorf("%s with %v\n got %s\nwant %s", test.text, test.known, got, test.want)
		}
	}
}

// TestLabelValue: what is sent, in the unit of the list.
func TestLabelValue(t *testing.T) {
	for _, test := range []struct {
		label     rules.Label
		raw, want float64
	}{
		{rules.Label{}, 5, 5},
		{rules.Label{Scale: 2, Offset: 1}, 5, 11},
		{rules.Label{Signed: true, Scale: 0.5}, 65535, -0.5},
		{rules.Label{Signed: true}, 32767, 32767},
		{rules.Label{Signed: true}, -3, -3},
	} {
		if got := test.label.Value(test.raw); got != test.want {
			t.Errorf("%+v: %v is %v, want %v", test.label, test.raw, got, test.want)
		}
	}
}
