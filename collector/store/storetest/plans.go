package storetest

import (
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/rules"
)

// Plans has each statement of a page of the queue explained, for filters of all kinds, and of an alert's own page. An
// engine's test holds that none reads all of a table or sorts what it has read.
func Plans(t *testing.T, b book.Book, explained func(name string, s book.Statement)) {
	yes, no := true, false
	sc := For(t, "north")
	for name, f := range map[string]store.Filter{
		"all": {}, "by time": {Order: store.ByTime}, "rule": {Rule: "a"}, "sensor": {Sensor: "a"}, "one status": {Status: []store.Status{store.New}},
		"statuses": {Status: []store.Status{store.New, store.Acked}}, "incident": {Incident: "a"}, "released": {Released: &yes}, "not released": {Released: &no},
		"text": {Text: "a"}, "host by time": {Host: "a", Order: store.ByTime}, "severities": {MinSeverity: rules.Medium}, "protocol": {Proto: "dnp3"},
		"since": {Since: Start, Until: Start}, "since by time": {Since: Start, Until: Start, Order: store.ByTime}, "rule by time": {Rule: "a", Order: store.ByTime},
		"all of it": {Rule: "a", Sensor: "a", Incident: "a", Released: &yes, MinSeverity: rules.High, Status: []store.Status{store.New, store.Acked}, Text: "a", Host: "a", Since: Start},
	} {
		said, err := book.AlertPage(t.Context(), b, sc, f)
		if err != nil || len(said) == 0 {
			t.Fatalf("%s: %d statements, %v", name, len(said), err)
		}
		for _, s := range said {
			explained(name, s)
		}
	}
	for _, s := range book.AlertViewed(t.Context(), b, sc, "a") {
		explained("an alert's page", s)
	}
}
