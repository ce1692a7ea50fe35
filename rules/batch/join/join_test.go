package join

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules/batch"
)

func TestToken(t *testing.T) {
	secret := bytes.Repeat([]byte{0xa5}, 20)
	for _, address := range []string{"", "192.0.2.1:8471", "[2001:db8::1]:8471", "collector.example.org:443"} {
		want := Token{CA: batch.Hash{1, 2, 255}, ID: NewID("north-west", [5]byte{1, 2, 3, 4, 5}), Secret: secret, Address: address}
		for _, text := range []string{want.String(), " " + want.String() + "\n"} {
			if got, err := Parse(text); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
			}
		}
		if op, err := Operator(want.ID); err != nil || op != "north-west" {
			t.Errorf("operator %q, %v", op, err)
		}
	}
	good := Token{ID: NewID("north", [5]byte{}), Secret: secret}.String()
	parts := strings.Split(good, ".")
	for name, c := range map[string]struct{ text, says string }{
		"nothing":            {"", "begins with roje1"},
		"something":          {"eyJhbGciOi.x.y", "begins with roje1"},
		"a newer version":    {"roje2" + good[5:], "another version"},
		"cut":                {strings.Join(parts[:3], "."), "cut short"},
		"cut in the secret":  {good[:len(good)-3], "secret is damaged"},
		"a damaged hash":     {"roje1.0000." + strings.Join(parts[2:], "."), "hash of the CA is damaged"},
		"no operator":        {strings.Replace(good, "north-", "", 1), "id is damaged"},
		"a path as operator": {strings.Replace(good, "north-", "../-", 1), "damaged"},
		"a bad address":      {good + ".nowhere", "not host:port"},
		"no host":            {good + ".:8471", "not host:port"},
		"no port":            {good + ".example.org:", "not host:port"},
		"a port too high":    {good + ".example.org:65536", "not host:port"},
		"bare IPv6":          {good + ".2001:db8::1:8471", "not host:port"},
		"half a bracket":     {good + ".[2001:db8::1:8471", "not host:port"},
		"a path":             {good + ".example.org/x:1", "not host:port"},
	} {
		_, err := Parse(c.text)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want it to say %q", name, err, c.says)
		}
		if err != nil && strings.Contains(err.Error(), parts[3][:8]) {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
}

func TestSensorURI(t *testing.T) {
	if op, s, err := ParseSensorURI(SensorURI("north", "s-1")); op != "north" || s != "s-1" || err != nil {
		t.Errorf("got %q, %q, %v", op, s, err)
	}
	for _, bad := range []string{"", CollectorURI, "spiffe://roje/operator/north", "spiffe://roje/operator//sensor/s", "spiffe://roje/operator/north/sensor/s/x", "spiffe://other/operator/north/sensor/s"} {
		if op, s, err := ParseSensorURI(bad); err == nil {
			t.Errorf("%q names sensor %q of %q", bad, s, op)
		}
	}
}
