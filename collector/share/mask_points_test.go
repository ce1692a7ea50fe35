package share

import (
	"strings"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

// TestMaskPoints: what point lists call points leaves under pseudonyms, in the points and in the sentences, and the alert
// that stays is not touched.
func TestMaskPoints(t *testing.T) {
	const name = "breaker Q0, bay E03"
	points := []rules.Point{{Kind: "binary_out", Addr: 5001, N: 1, Name: name}, {Kind: "binary_out", Addr: 9, N: 1}, {Kind: "binary_out", Addr: 1, N: 1, Name: "Q"}}
	r := store.Released{Masked: true}
	r.Alert.Alert = rules.Alert{Title: "somebody switched Breaker Q0, bay E03 (object 5001) = 1", Observed: name + " (object 5001)", Points: points}
	got := mask(t, known{1, nil}, "cert").Released(r)
	text := got.Alert.Title + got.Alert.Observed + Words(&got.Alert.Alert)
	for _, p := range got.Alert.Points {
		text += p.Name
	}
	if strings.Contains(strings.ToLower(text), "q0") || strings.Contains(text, "E03") || !strings.Contains(got.Alert.Title, "somebody switched name-") {
		t.Errorf("the name is there still: %s", text)
	}
	if got.Alert.Points[0].Addr != 5001 || got.Alert.Points[1].Name != "" || got.Alert.Points[2].Name == "Q" {
		t.Errorf("points %+v", got.Alert.Points)
	}
	if points[0].Name != name {
		t.Error("the alert that stays has lost its name")
	}
	if want := name + " (binary_out 5001)"; PointWords(points[0]) != want {
		t.Errorf("in words %q, want %q", PointWords(points[0]), want)
	}
}
