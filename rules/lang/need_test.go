package lang_test

import (
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
)

// TestNeed: what a rule needs is what its conditions cannot hold without, and no more.
func TestNeed(t *testing.T) {
	for _, test := range []struct {
		body string
		want lang.Need
	}{
		{`where: code == 5`, 0},
		{`where: new_link`, lang.Unlearned},
		{`where: new_link and not approved`, lang.Unlearned | lang.Unapproved},
		{`where: new_link or new_op`, lang.Unlearned},
		{`where: new_link or code == 5`, 0},
		{`where: new_link or not approved`, 0},
		{`where: not (new_link or approved)`, 0},
		{`where: approved`, 0},
		{`where: not new_link`, 0},
		{`where: turn == "unpaired"`, lang.Unpaired},
		{`where: turn != "unpaired"`, 0},
		{`where: turn == "late"`, 0},
		{`where: (invalid or forced) and kind == "counter" and skew_ms > 5`, lang.Doubtful | lang.Counting | lang.Timed},
		{`where: kind == "analog_in"`, 0},
		{`where: not (skew_ms > 5)`, 0},
		{`where: slow`, lang.Delayed},
		{`where: rerouted and approved`, lang.Rerouted},
		{"state: {by: [client], window: 1m}\n  where: not approved and count > 3", lang.Unapproved},
		{"state: {by: [client], window: 1m, only: new_link}\n  where: count > 3", lang.Unlearned},
		{"state: {by: [client], window: 1m, prior: code == 5}\n  where: new_link and prior", 0},
		{"state: {by: [client], window: 1m, prior: forced}\n  where: forced and new_link and not prior", lang.Doubtful},
		{"state: {by: [client], window: 1m, expect: code == 5}\n  where: new_link", 0},
		{"state: {by: [client], window: 1m, sequence: [code == 5, code == 6]}\n  where: new_link and done", 0},
		{"state: {by: [client], window: 1m, sequence: [code == 5, code == 6], only: new_link}\n  where: done", lang.Unlearned},
	} {
		set, err := vocabulary().Load("x.yaml", []byte(`
- id: X01-x
  name: x
  severity: low
  attack: [T0846]
  when: {from: client}
  `+test.body+`
  message: x
  help: {meaning: x, do: x}
  tests:
    - {fires: true, event: {code: 1}}
    - {fires: false, event: {code: 2}}
`))
		if err != nil {
			t.Errorf("%s: %v", test.body, err)
		} else if got := set[0].Need; got != test.want {
			t.Errorf("%s: needs %07b, want %07b", test.body, got, test.want)
		}
	}
}

// TestShown: an event for which a condition holds shows what the condition needs.
func TestShown(t *testing.T) {
	for _, test := range []struct {
		name  string
		event rules.Event
		want  lang.Need
	}{
		{"an ARP packet", rules.Event{What: rules.ARP}, lang.Unapproved},
		{"another way", rules.Event{Flow: rules.Flow{TTL: 63, SessionTTL: 64}, Facts: rules.Facts{Approved: true}}, lang.Rerouted},
		{"another sender", rules.Event{Flow: rules.Flow{OtherMAC: true}, Facts: rules.Facts{Approved: true}}, lang.Rerouted},
		{"the same way", rules.Event{Flow: rules.Flow{TTL: 64, SessionTTL: 64}, Facts: rules.Facts{Approved: true}}, 0},
		{"learned", rules.Event{Facts: rules.Facts{Approved: true}, Msg: &protocols.Message{}}, 0},
		{"a new link", rules.Event{Facts: rules.Facts{Novel: rules.NewLink}}, lang.Unlearned | lang.Unapproved},
		{"slow, and nobody asked", rules.Event{Facts: rules.Facts{Approved: true, Slow: true}, Msg: &protocols.Message{Turn: protocols.Unpaired}}, lang.Delayed | lang.Unpaired},
		{"points", rules.Event{Facts: rules.Facts{Approved: true}, Msg: &protocols.Message{Points: []protocols.Point{
			{Kind: protocols.Counter}, {Has: protocols.HasQuality | protocols.HasTime, Quality: protocols.Online}}}}, lang.Counting | lang.Timed},
		{"a doubtful point", rules.Event{Facts: rules.Facts{Approved: true}, Msg: &protocols.Message{Points: []protocols.Point{
			{Has: protocols.HasQuality, Quality: protocols.Invalid}, {}}}}, lang.Doubtful},
	} {
		if got := lang.Shown(&test.event); got != test.want {
			t.Errorf("%s: %07b, want %07b", test.name, got, test.want)
		}
	}
}
