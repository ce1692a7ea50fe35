package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

func scope(t *testing.T, st store.Store) {
	for _, name := range []string{"", "North", "a/b", "a b", "-a"} {
		if _, err := store.For(name); err == nil {
			t.Errorf("a scope of operator %q was made", name)
		}
	}
	north, south, none := For(t, "north"), For(t, "south"), store.Scope{}
	ctx := t.Context()
	ingest(t, st, north, newSpool("s1", batch.Routine).seal(t, alert(1, nil)))
	if _, err := st.Release(ctx, north, "alert-001", store.Green, "ana", Start); err != nil {
		t.Fatal(err)
	}
	enrol(t, st, north, "s1")

	for _, s := range []store.Scope{south, none} {
		want := store.ErrNotFound
		if s == none {
			want = store.ErrNoScope
		}
		var errs []error
		_, err := st.GetAlert(ctx, s, "alert-001")
		errs = append(errs, err, st.SetStatus(ctx, s, "alert-001", store.Acked, "eve", Start))
		_, err = st.Release(ctx, s, "alert-001", store.Clear, "eve", Start)
		errs = append(errs, err)
		_, err = st.Retract(ctx, s, "alert-001", "eve", Start)
		errs = append(errs, err)
		_, err = st.GetSensor(ctx, s, "s1")
		errs = append(errs, err, st.Deny(ctx, s, "s1", "eve", Start))
		_, err = st.GetUser(ctx, s, "ana")
		errs = append(errs, err)
		_, err = st.Token(ctx, s, "t-s1")
		errs = append(errs, err)
		_, err = st.FindCert(ctx, s, "s1", "key-s1")
		errs = append(errs, err)
		for i, err := range errs {
			if !errors.Is(err, want) {
				t.Errorf("operator %q, call %d: got %v, want %v", s.Operator(), i, err, want)
			}
		}
	}
	for i, call := range []func(store.Scope) (int, error){
		func(s store.Scope) (int, error) {
			v, _, err := st.ListAlerts(ctx, s, store.Filter{}, "", 9)
			return len(v), err
		},
		func(s store.Scope) (int, error) {
			v, _, err := st.ListReleased(ctx, s, store.ReleaseFilter{}, "", 9)
			return len(v), err
		},
		func(s store.Scope) (int, error) { v, err := st.Sensors(ctx, s); return len(v), err },
		func(s store.Scope) (int, error) { v, err := st.Streams(ctx, s, "s1"); return len(v), err },
		func(s store.Scope) (int, error) { v, err := st.Acts(ctx, s, "", 9); return len(v), err },
		func(s store.Scope) (int, error) {
			v, err := st.CountAlerts(ctx, s, store.Filter{})
			return v.Total, err
		},
	} {
		if n, err := call(north); err != nil || n == 0 {
			t.Errorf("list %d of the operator itself: %d, %v", i, n, err)
		}
		if n, err := call(south); err != nil || n != 0 {
			t.Errorf("list %d of another operator: %d, %v; want nothing", i, n, err)
		}
		if n, err := call(none); !errors.Is(err, store.ErrNoScope) || n != 0 {
			t.Errorf("list %d of no operator: %d, %v; want %v", i, n, err, store.ErrNoScope)
		}
	}
	if _, err := st.Ingest(ctx, none, "s1", nil, Start); !errors.Is(err, store.ErrNoScope) {
		t.Errorf("ingest for no operator: %v", err)
	}
}

func pages(t *testing.T, st store.Store) {
	sc, sp := For(t, "north"), newSpool("s1", batch.Routine)
	var want []string
	for i := range 25 {
		ingest(t, st, sc, sp.seal(t, alert(i, func(a *rules.Alert) { a.Last = Start.Add(time.Duration(i%5) * time.Hour) })))
		want = append(want, fmt.Sprintf("alert-%03d", i))
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 4, 25, 1000} {
		same(t, fmt.Sprintf("by arrival in pages of %d", limit), all(t, st, sc, store.Filter{}, limit), want)
	}
	byTime := slices.Clone(want)
	slices.SortStableFunc(byTime, func(a, b string) int {
		var i, j int
		fmt.Sscanf(a, "alert-%d", &i)
		fmt.Sscanf(b, "alert-%d", &j)
		return j%5 - i%5
	})
	for _, limit := range []int{1, 4, 25} {
		same(t, fmt.Sprintf("by time in pages of %d", limit), all(t, st, sc, store.Filter{Order: store.ByTime}, limit), byTime)
	}

	page, cursor, err := st.ListAlerts(t.Context(), sc, store.Filter{}, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	ingest(t, st, sc, sp.seal(t, alert(99, nil))) // news does not move the next page
	next, _, err := st.ListAlerts(t.Context(), sc, store.Filter{}, cursor, 10)
	if err != nil || next[0].ID != want[len(page)] {
		t.Errorf("second page begins with %v, %v; want %s", next, err, want[len(page)])
	}
	for _, bad := range []string{"x", "!!", "YQ", "YS4x LjI", cursor + cursor} {
		if _, _, err := st.ListAlerts(t.Context(), sc, store.Filter{}, bad, 10); !errors.Is(err, store.ErrCursor) {
			t.Errorf("cursor %q: got %v, want %v", bad, err, store.ErrCursor)
		}
	}
	if _, _, err := st.ListAlerts(t.Context(), sc, store.Filter{Order: store.ByTime}, cursor, 10); !errors.Is(err, store.ErrCursor) {
		t.Errorf("cursor of another order: got %v, want %v", err, store.ErrCursor)
	}
	for _, limit := range []int{0, -1, 1001} {
		if _, _, err := st.ListAlerts(t.Context(), sc, store.Filter{}, "", limit); err == nil {
			t.Errorf("a page of %d was given", limit)
		}
	}
}

func filters(t *testing.T, st store.Store) {
	sc := For(t, "north")
	ingest(t, st, sc, newSpool("s1", batch.Routine).seal(t,
		alert(1, nil),
		alert(2, func(a *rules.Alert) { a.Severity, a.Rule, a.Incident = rules.Critical, "scan", "inc-1" }),
		alert(3, func(a *rules.Alert) { a.Client, a.Proto = "[FE80::1]:5", "dnp3" }),
	))
	ingest(t, st, sc, newSpool("s2", batch.Routine).seal(t,
		alert(4, func(a *rules.Alert) { a.Severity, a.Incident, a.Title = rules.High, "inc-1", "100% of Breakers_opened" }),
		alert(5, func(a *rules.Alert) { a.Last = Start.Add(time.Hour) }),
	))
	if err := st.SetStatus(t.Context(), sc, "alert-003", store.Closed, "ana", Start); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Release(t.Context(), sc, "alert-005", store.Amber, "ana", Start); err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	for _, c := range []struct {
		name string
		f    store.Filter
		want []string
	}{
		{"none", store.Filter{}, []string{"5", "4", "3", "2", "1"}},
		{"severities", store.Filter{Severity: []rules.Severity{rules.High, rules.Critical}}, []string{"4", "2"}},
		{"at least high", store.Filter{MinSeverity: rules.High}, []string{"4", "2"}},
		{"rule", store.Filter{Rule: "scan"}, []string{"2"}},
		{"sensor", store.Filter{Sensor: "s2"}, []string{"5", "4"}},
		{"protocol", store.Filter{Proto: "dnp3"}, []string{"3"}},
		{"incident", store.Filter{Incident: "inc-1"}, []string{"4", "2"}},
		{"host, case ignored", store.Filter{Host: "fe80::"}, []string{"3"}},
		{"host of all", store.Filter{Host: "10.0.1.1"}, []string{"5", "4", "3", "2", "1"}},
		{"text", store.Filter{Text: "breakers_O"}, []string{"4"}},
		{"text is no pattern", store.Filter{Text: "1%o"}, nil},
		{"since", store.Filter{Since: Start.Add(4 * time.Second)}, []string{"5", "4"}},
		{"until", store.Filter{Until: Start.Add(3 * time.Second)}, []string{"2", "1"}},
		{"spans", store.Filter{Since: Start.Add(time.Minute), Until: Start.Add(2 * time.Minute)}, []string{"5"}},
		{"status", store.Filter{Status: []store.Status{store.Closed, store.Acked}}, []string{"3"}},
		{"released", store.Filter{Released: &yes}, []string{"5"}},
		{"not released", store.Filter{Released: &no, Sensor: "s2"}, []string{"4"}},
		{"no match", store.Filter{Rule: "scan", Sensor: "s2"}, nil},
	} {
		var want []string
		for _, n := range c.want {
			want = append(want, "alert-00"+n)
		}
		same(t, c.name, all(t, st, sc, c.f, 2), want)
		counts, err := st.CountAlerts(t.Context(), sc, c.f)
		if err != nil || counts.Total != len(want) {
			t.Errorf("%s: counted %d, %v; want %d", c.name, counts.Total, err, len(want))
		}
	}
	counts, err := st.CountAlerts(t.Context(), sc, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "counts", counts, store.Counts{Total: 5,
		Severity: map[rules.Severity]int{rules.Medium: 3, rules.High: 1, rules.Critical: 1},
		Status:   map[store.Status]int{store.New: 4, store.Closed: 1},
		Rule:     map[string]int{"modbus-write": 4, "scan": 1}})
}

func status(t *testing.T, st store.Store) {
	sc := For(t, "north")
	ctx := t.Context()
	ingest(t, st, sc, newSpool("s1", batch.Routine).seal(t, alert(1, nil)))
	for i, set := range []store.Status{store.Acked, store.Acked, store.Closed, store.New} {
		if err := st.SetStatus(ctx, sc, "alert-001", set, "ana", Start.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.SetStatus(ctx, sc, "alert-001", "solved", "ana", Start); err == nil {
		t.Error("a status that does not exist was set")
	}
	got, err := st.GetAlert(ctx, sc, "alert-001")
	if err != nil || got.Status != store.New || got.StatusBy != "ana" || got.StatusAt == nil || !got.StatusAt.Equal(Start.Add(3*time.Minute)) {
		t.Errorf("got %s by %s at %v, %v", got.Status, got.StatusBy, got.StatusAt, err)
	}
	acts, err := st.Acts(ctx, sc, "alert-001", 10)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, a := range acts {
		words = append(words, fmt.Sprint(a.Who, a.What, a.Detail, a.At.Sub(Start)))
	}
	same(t, "acts", words, []string{"anastatusnew3m0s", "anastatusclosed2m0s", "anastatusack0s"})
}

func releases(t *testing.T, st store.Store) {
	sc, sp, ctx := For(t, "north"), newSpool("s1", batch.Routine), t.Context()
	ingest(t, st, sc, sp.seal(t, alert(1, nil), alert(2, nil), alert(3, nil)))
	release := func(id string, tlp store.TLP, at time.Time) store.Released {
		t.Helper()
		r, err := st.Release(ctx, sc, id, tlp, "ana", at)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	versions := func(f store.ReleaseFilter, limit int) (words []string, added []time.Time) {
		t.Helper()
		for cursor := ""; ; {
			page, next, err := st.ListReleased(ctx, sc, f, cursor, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				words = append(words, fmt.Sprintf("%s v%d %s count %d revoked %t latest %t", r.Alert.ID, r.Version, r.TLP, r.Alert.Count, r.Revoked, r.Latest))
				added = append(added, r.Added)
			}
			if cursor = next; next == "" {
				return words, added
			}
		}
	}
	if _, err := st.Release(ctx, sc, "alert-001", "red", "ana", Start); err == nil {
		t.Error("released as red")
	}
	first := release("alert-001", store.Green, Start)
	same(t, "created", first.Created, Start)
	release("alert-002", store.Amber, Start)                 // in the same millisecond
	release("alert-003", store.Clear, Start.Add(-time.Hour)) // the clock went back
	ingest(t, st, sc, sp.seal(t, alert(1, func(a *rules.Alert) { a.Count = 9 })))
	words, added := versions(store.ReleaseFilter{}, 2)
	same(t, "feed", words, []string{
		"alert-001 v1 green count 1 revoked false latest true", // as it was released, not as it is now
		"alert-002 v1 amber count 1 revoked false latest true",
		"alert-003 v1 clear count 1 revoked false latest true"})
	for i := range added {
		if added[i].Nanosecond()%1e6 != 0 || i > 0 && !added[i].After(added[i-1]) {
			t.Errorf("added %v: want distinct whole milliseconds, rising", added)
		}
	}
	again := release("alert-001", store.Amber, Start.Add(time.Minute))
	if again.Version != 2 || !again.Created.Equal(first.Created) || !again.Added.Equal(Start.Add(time.Minute)) {
		t.Errorf("second release %+v", again)
	}
	if _, err := st.Retract(ctx, sc, "alert-002", "ana", Start.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"alert-002", "alert-999"} {
		if _, err := st.Retract(ctx, sc, id, "ana", Start.Add(3*time.Minute)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("retract %s: got %v, want %v", id, err, store.ErrNotFound)
		}
	}
	words, _ = versions(store.ReleaseFilter{AddedAfter: added[1]}, 1)
	same(t, "feed after the second", words, []string{
		"alert-003 v1 clear count 1 revoked false latest true",
		"alert-001 v2 amber count 9 revoked false latest true",
		"alert-002 v2 amber count 1 revoked true latest true"})
	words, _ = versions(store.ReleaseFilter{All: true, Alert: "alert-002"}, 10)
	same(t, "all versions of one", words, []string{
		"alert-002 v1 amber count 1 revoked false latest false",
		"alert-002 v2 amber count 1 revoked true latest true"})
	for id, want := range map[string]store.TLP{"alert-001": store.Amber, "alert-002": "", "alert-003": store.Clear} {
		if got, err := st.GetAlert(ctx, sc, id); err != nil || got.TLP != want || (got.Released != nil) != (want != "") {
			t.Errorf("%s: tlp %q, released %v, %v; want tlp %q", id, got.TLP, got.Released, err, want)
		}
	}
}

func changes(t *testing.T, st store.Store) {
	sc, sp := For(t, "north"), newSpool("s1", batch.Routine)
	news, cancel := st.Subscribe(sc)
	others, cancelOthers := st.Subscribe(For(t, "south"))
	ingest(t, st, sc, sp.seal(t, alert(1, nil)), sp.seal(t, alert(1, func(a *rules.Alert) { a.Count = 2 })))
	if err := st.SetStatus(t.Context(), sc, "alert-001", store.Acked, "ana", Start); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Release(t.Context(), sc, "alert-001", store.Green, "ana", Start); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Retract(t.Context(), sc, "alert-001", "ana", Start); err != nil {
		t.Fatal(err)
	}
	var words []string
	for range 5 {
		c := <-news
		words = append(words, c.What+" "+c.ID)
	}
	same(t, "changes", words, []string{"new alert-001", "updated alert-001", "status alert-001", "released alert-001", "retracted alert-001"})
	cancel()
	cancel()
	cancelOthers()
	for c := range others {
		t.Errorf("another operator heard of %+v", c)
	}
	if _, open := <-news; open {
		t.Error("a cancelled channel gave a change")
	}

	slow, cancel := st.Subscribe(sc) // nobody reads it while more happens than it holds
	defer cancel()
	for range 40 {
		var many []rules.Alert
		for range 50 {
			many = append(many, alert(int(sp.next)+len(many), nil))
		}
		ingest(t, st, sc, sp.seal(t, many...))
	}
	for len(slow) > 0 {
		<-slow
	}
	ingest(t, st, sc, sp.seal(t, alert(1, func(a *rules.Alert) { a.Count = 99 })))
	if c := <-slow; !c.Missed {
		t.Errorf("a slow reader was not told that it missed changes: %+v", c)
	}
}
