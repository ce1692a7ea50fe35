package attack_test

import (
	"slices"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/attack"
)

// TestOrder: what an incident is comes before how it began.
func TestOrder(t *testing.T) {
	alert := func(second int, s rules.Severity, rule string, techniques ...string) *rules.Alert {
		return &rules.Alert{Rule: rule, Severity: s, Techniques: techniques, First: time.Unix(int64(second), 0)}
	}
	stranger := alert(0, rules.High, "A01-unauthorised-master", "T0848")
	device := alert(0, rules.Medium, "R01-new-device", "T0864")
	command := alert(1, rules.Critical, "A01-unauthorised-command", "T1692.001", "T0848")
	for _, c := range []struct {
		name   string
		alerts []*rules.Alert
		want   []string
	}{
		{"nothing", nil, nil},
		{"a stranger who only looks", []*rules.Alert{device, stranger}, []string{"T0848", "T0864"}},
		{"a stranger who commands", []*rules.Alert{device, stranger, command}, []string{"T1692.001", "T0848", "T0864"}},
		{"a restart by a stranger", []*rules.Alert{stranger, command, alert(2, rules.High, "D01-dnp3-restart", "T0816")}, []string{"T0816", "T1692.001", "T0848"}},
		{"a scan that also writes", []*rules.Alert{stranger, alert(1, rules.High, "D05-file-transfer", "T0867"), alert(2, rules.High, "R04-modbus-function-scan", "T0888")},
			[]string{"T0888", "T0867", "T0848"}},
		{"a known tool that walks over points", []*rules.Alert{alert(1, rules.Critical, "C03-many-points-written", "T0806", "T0836"), alert(2, rules.Critical, "C08-frostygoop", "T0836", "T0801")},
			[]string{"T0836", "T0801", "T0806"}},
		{"the worse of two", []*rules.Alert{alert(1, rules.Medium, "R13-interrogation", "T0802"), alert(2, rules.High, "C15-unsolicited", "T1691.002")}, []string{"T1691.002", "T0802"}},
		{"the earlier of two", []*rules.Alert{alert(2, rules.High, "D07-configuration", "T0889"), alert(1, rules.High, "D02-stopped", "T0858")}, []string{"T0858", "T0889"}},
		{"a rule of the site", []*rules.Alert{stranger, alert(1, rules.Low, "S1-own", "T0832")}, []string{"T0832", "T0848"}},
	} {
		if got := attack.Order(c.alerts); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
