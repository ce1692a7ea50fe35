package share

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

// known is where masks come from in tests.
type known struct {
	secret byte
	names  []string
}

func (k known) Secret(context.Context, store.Scope, string) ([]byte, error) {
	return []byte{k.secret}, nil
}

func (k known) Sensors(context.Context, store.Scope) (all []store.Sensor, err error) {
	for i, name := range k.names {
		all = append(all, store.Sensor{ID: fmt.Sprintf("sensor%016d", i), Name: name})
	}
	return all, nil
}

func mask(t testing.TB, from known, recipient string) *Mask {
	t.Helper()
	m, err := NewMask(t.Context(), from, store.Scope{}, recipient)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMaskText holds that no address and no name stays in a text, and that everything else does.
func TestMaskText(t *testing.T) {
	m := mask(t, known{1, []string{"Podgorica 2", "Подстаница Север", "RTU"}}, "cert")
	for _, c := range []struct {
		text  string
		gone  []string
		stays []string
	}{
		{"10.20.0.66:49152 sent \"on\" to object 4001 at 10.20.0.7", []string{"10.20.0"}, []string{":49152 sent \"on\" to object 4001 at "}},
		{"10.20.0.0/16 and (10.20.0.7), 10.20.0.7.", []string{"10.20"}, []string{"/16 and (", "), ", "."}},
		{"[2001:db8::9]:40000 and fe80::1%eth0: also ::ffff:10.1.2.3", []string{"2001:db8", "fe80", "10.1.2", "eth0"}, []string{"]:40000 and ", ": also "}},
		{"02:00:5E:10:00:66, 02-00-5e-10-00-66 and 0200.5e10.0066", []string{"5E:10", "5e-10", "5e10"}, []string{", ", " and "}},
		{"2001:db8::9:40000, 02:00:5e:10:00:66:502, 3:10.1.2.3", []string{"db8", "5e:10", "10.1.2"}, []string{":40000, ", ":502, "}},
		{"at 12:30:45 on 2026-03-01T08:00:00Z, 3 of 10: T0836.001", nil, []string{"at 12:30:45 on 2026-03-01T08:00:00Z, 3 of 10: T0836.001"}},
		{"at podgorica 2, in PODGORICA 2; not Podgorica 25", []string{"podgorica 2,", "PODGORICA 2;"}, []string{"not Podgorica 25"}},
		{"Подстаница Север: RTU-7, RTUs", []string{"Север", "RTU-7"}, []string{"-7, RTUs"}},
		{"of sensor0000000000000002.", []string{"sensor0000000000000002"}, []string{"of name-"}},
		{strings.Repeat("1:", 500), nil, []string{"1:1:1"}},
		{"", nil, nil},
	} {
		got := m.Text(c.text)
		for _, gone := range c.gone {
			if strings.Contains(got, gone) {
				t.Errorf("%q: %q is still in %q", c.text, gone, got)
			}
		}
		for _, stays := range c.stays {
			if !strings.Contains(got, stays) {
				t.Errorf("%q: %q is no more in %q", c.text, stays, got)
			}
		}
		if again := m.Text(c.text); again != got {
			t.Errorf("%q is %q and then %q", c.text, got, again)
		}
	}
}

// TestMaskAddresses holds what pseudonyms are: of their kind, the same for the same host however it is written, and others
// for another recipient and another operator.
func TestMaskAddresses(t *testing.T) {
	m := mask(t, known{1, nil}, "cert")
	for text, space := range map[string]string{"10.20.0.66": "240.0.0.0/4", "2001:db8::9": "fd00::/8"} {
		got := m.endpoint(text)
		if addr, err := netip.ParseAddr(got); err != nil || !netip.MustParsePrefix(space).Contains(addr) {
			t.Errorf("%s is %q, want one of %s", text, got, space)
		}
		for name, other := range map[string]*Mask{"another recipient": mask(t, known{1, nil}, "cert2"), "another operator": mask(t, known{2, nil}, "cert")} {
			if other.endpoint(text) == got {
				t.Errorf("%s: %s gets the same pseudonym", text, name)
			}
		}
	}
	for _, same := range [][]string{
		{"10.20.0.66", "::ffff:10.20.0.66"}, {"2001:db8::9", "2001:DB8:0::9"}, {"02:00:5e:10:00:66", "02-00-5E-10-00-66", "0200.5e10.0066"},
	} {
		for _, text := range same[1:] {
			if a, b := m.endpoint(same[0]), m.endpoint(text); a != b {
				t.Errorf("%s is %s and %s is %s", same[0], a, text, b)
			}
		}
	}
	if got := m.endpoint("10.20.0.66:502"); got != m.endpoint("10.20.0.66")+":502" {
		t.Errorf("with its port it is %q", got)
	}
	if got := m.endpoint("plc-7.north.example"); !strings.HasPrefix(got, "name-") {
		t.Errorf("a host's name is %q", got)
	}
	seen := map[string]int{}
	for i := range 2000 {
		seen[m.endpoint(fmt.Sprintf("10.0.%d.%d", i/250, i%250))]++
	}
	if len(seen) < 1998 {
		t.Errorf("2000 hosts have %d pseudonyms", len(seen))
	}
}

// originals is what of the specimens must not leave under pseudonyms.
var originals = []string{"10.20.0", "10.30.0", "2001:db8", "02:00:5e", "a-104", "a-modbus", "a-dnp3", "a-arp", "a-bare", "i-1", "sensor000", "Podgorica", "10.20"}

// specimens are the specimens' releases, with an operator's names in their texts.
func specimens(masked bool) (all []store.Released) {
	for _, a := range specimen.Alerts() {
		a.Title += " at Podgorica 2"
		a.Learned += " (Podgorica 2)"
		a.Evidence = &rules.Evidence{File: "10.20.0.7.pcapng", SHA256: "00"}
		all = append(all, store.Released{
			Alert: store.Alert{Alert: a, Sensor: "sensor0000000000000000", SensorName: "Podgorica 2", Body: []byte(a.Title)},
			TLP:   store.Amber, Created: specimen.Start.Add(time.Hour), Added: specimen.Start.Add(2 * time.Hour), Version: 1, Masked: masked,
		})
	}
	return all
}

// TestNothingOfTheOperatorLeaves looks for original addresses and names, byte by byte, in all that leaves under pseudonyms, in
// every form; and holds that the same look finds them in what leaves without.
func TestNothingOfTheOperatorLeaves(t *testing.T) {
	m := mask(t, known{1, []string{"Podgorica 2"}}, "cert")
	for _, masked := range []bool{true, false} {
		found := map[string]bool{}
		for _, r := range specimens(masked) {
			as := m.Released(r)
			texts := map[string]string{}
			for _, o := range Bundle("north-grid", as) {
				texts["STIX"] += string(o.JSON())
			}
			e, ok := MISP("north-grid", as)
			if !ok || texts["STIX"] == "" {
				t.Fatalf("%s does not leave at all", r.Alert.ID)
			}
			texts["MISP"] = string(mispJSON(e.Event)) + string(mispJSON(e.Manifest)) + strings.Join(e.Hashes, "\n")
			for _, c := range columns {
				texts["CSV"] += c.of(&as) + ","
			}
			whole, err := json.Marshal(as)
			if err != nil {
				t.Fatal(err)
			}
			texts["all of it"] = string(whole)
			for form, text := range texts {
				for _, original := range originals {
					if strings.Contains(text, original) {
						found[original] = true
						if masked {
							t.Errorf("%s of %s: %q is in it: %s", form, r.Alert.ID, original, text)
						}
					}
				}
			}
		}
		if !masked && len(found) < len(originals)-1 { // of the incident nothing leaves
			t.Errorf("without pseudonyms only %v were found: the look is blind", found)
		}
	}
	for _, r := range specimens(true) {
		_, ok := MISP("north-grid", r)
		if ok || Bundle("north-grid", r) != nil {
			t.Errorf("%s leaves though no mask was put on", r.Alert.ID)
		}
	}
}

// TestMaskKeeps holds that two alerts of one host show the same pseudonym, and that what a finding is about stays.
func TestMaskKeeps(t *testing.T) {
	m := mask(t, known{1, nil}, "cert")
	all := specimens(true)
	first, arp := m.Released(all[0]), m.Released(all[3])
	if host, _, _ := strings.Cut(first.Alert.Server, ":"); host != arp.Alert.Server {
		t.Errorf("one host is %s and %s", host, arp.Alert.Server)
	}
	if a := first.Alert; *a.Station != 7 || a.Points[0].Addr != 4001 || a.Proto != "iec104" || !strings.HasSuffix(a.Server, ":2404") || !strings.Contains(a.Title, "object 4001 of station 7") {
		t.Errorf("%+v", a)
	}
	if all[0].Alert.Client != "10.20.0.66:49152" || all[0].Alert.Title == first.Alert.Title {
		t.Error("the release itself was changed")
	}
}

func FuzzMask(f *testing.F) {
	m := &Mask{key: []byte{1}, names: []string{"Podgorica"}}
	for _, a := range specimen.Alerts() {
		f.Add(a.Title)
	}
	f.Add("::1 fe80::1%eth0 1:2:3:4:5:6:7:8 ::ffff:1.2.3.4 İstanbul PODGORICA")
	f.Fuzz(func(t *testing.T, text string) {
		got := m.Text(text)
		for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;()[]\"'", r) }) {
			addr, err := netip.ParseAddr(part)
			if err != nil || addr.Zone() != "" || len(part) < 7 {
				continue
			}
			for _, left := range strings.FieldsFunc(got, func(r rune) bool { return strings.ContainsRune(" ,;()[]\"'", r) }) {
				if left == part {
					t.Errorf("%q: the address %s is still in %q", text, part, got)
				}
			}
		}
	})
}
