package storetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// cases holds what people do with a case, that all of it is its history, and that its alerts are kept.
func cases(t *testing.T, st store.Store) {
	north, south, ctx := For(t, "north"), For(t, "south"), t.Context()
	enrol(t, st, north, "s1")
	ingest(t, st, north, newSpool("s1", batch.Routine).seal(t, alert(1, nil), alert(2, func(a *rules.Alert) { a.Incident = "inc" }), alert(3, func(a *rules.Alert) { a.Incident = "inc" }), alert(4, nil)))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.OpenCase(ctx, north, " ", "ana", Start); !errors.Is(err, store.ErrCase) {
		t.Errorf("a case without a title: %v", err)
	}
	c, err := st.OpenCase(ctx, north, " Breakers of bay 3 ", "ana", Start)
	must(err)
	second, err := st.OpenCase(ctx, north, "Another", "ana", Start)
	must(err)
	if c.ID == second.ID || c.Title != "Breakers of bay 3" || c.State != store.CaseOpen {
		t.Errorf("case %+v", c)
	}
	for range 2 {
		must(st.AddToCase(ctx, north, c.ID, store.ItemAlert, "alert-001", "ana", Start))
		must(st.AddToCase(ctx, north, c.ID, store.ItemIncident, "inc", "bob", Start.Add(time.Minute)))
	}
	for _, x := range []struct {
		scope         store.Scope
		id, kind, ref string
		want          error
	}{
		{north, c.ID, store.ItemAlert, "alert-009", store.ErrNotFound}, {north, c.ID, store.ItemIncident, "", store.ErrNotFound}, {north, c.ID, store.ItemCampaign, "campaign-1", store.ErrNotFound},
		{north, c.ID, store.ItemCampaign, "alert-001", store.ErrNotFound}, {north, "case-99", store.ItemAlert, "alert-001", store.ErrNotFound}, {north, "alert-001", store.ItemAlert, "alert-001", store.ErrNotFound},
		{south, c.ID, store.ItemAlert, "alert-001", store.ErrNotFound}, {north, c.ID, "sensor", "s1", store.ErrCase},
	} {
		if err := st.AddToCase(ctx, x.scope, x.id, x.kind, x.ref, "eve", Start); !errors.Is(err, x.want) {
			t.Errorf("%s %s to %s: %v, want %v", x.kind, x.ref, x.id, err, x.want)
		}
	}
	state, owner, verdict := store.CaseWork, "bob", store.Malicious
	for range 2 {
		must(st.SetCase(ctx, north, c.ID, store.CaseChange{State: &state, Owner: &owner}, "bob", Start.Add(2*time.Minute)))
	}
	wrong := store.CaseState("lost")
	if err := st.SetCase(ctx, north, c.ID, store.CaseChange{State: &wrong}, "bob", Start); !errors.Is(err, store.ErrCase) {
		t.Errorf("a state that is none: %v", err)
	}
	must(st.NoteCase(ctx, north, c.ID, "Rang the control room.\n", "bob", Start.Add(3*time.Minute)))
	for _, text := range []string{"", strings.Repeat("x", store.MaxCaseNote+1)} {
		if err := st.NoteCase(ctx, north, c.ID, text, "bob", Start); !errors.Is(err, store.ErrCase) {
			t.Errorf("a note of %d bytes: %v", len(text), err)
		}
	}
	got, err := st.GetCase(ctx, north, c.ID)
	must(err)
	same(t, "case", got, store.Case{ID: c.ID, Title: c.Title, State: state, Owner: owner, Opened: Start, OpenedBy: "ana", Updated: Start.Add(3 * time.Minute),
		Items: []store.CaseItem{{Kind: store.ItemAlert, Ref: "alert-001", Who: "ana", At: Start}, {Kind: store.ItemIncident, Ref: "inc", Who: "bob", At: Start.Add(time.Minute)}},
		Notes: []store.CaseNote{{N: 1, At: Start.Add(3 * time.Minute), Who: "bob", Text: "Rang the control room."}}})
	if _, err := st.GetCase(ctx, south, c.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another operator's case: %v", err)
	}
	if in, err := st.CasesOf(ctx, north, store.ItemAlert, "alert-001"); err != nil || len(in) != 1 || in[0].ID != c.ID {
		t.Errorf("cases of an alert %+v, %v", in, err)
	}
	acts, err := st.Acts(ctx, north, c.ID, 10)
	must(err)
	history := ""
	for _, a := range acts {
		history = a.Who + " " + a.What + " " + a.Detail + "; " + history
	}
	same(t, "history", history, "ana case open: Breakers of bay 3; ana case-add alert alert-001; bob case-add incident inc; bob case state: work, owner: bob; bob case-note note 1; ")

	page, next, err := st.ListCases(ctx, north, nil, "", 1)
	if err != nil || len(page) != 1 || page[0].ID != second.ID || next == "" {
		t.Errorf("first page %+v, %q, %v", page, next, err)
	}
	if page, next, err = st.ListCases(ctx, north, []store.CaseState{store.CaseWork, store.CaseClosed}, "", 1); err != nil || len(page) != 1 || page[0].ID != c.ID || next != "" {
		t.Errorf("at work %+v, %q, %v", page, next, err)
	}
	done, err := st.Forget(ctx, north, store.Cutoff{Alerts: Start.AddDate(1, 0, 0)})
	if err != nil || done.Alerts != 1 {
		t.Errorf("forgotten %+v, %v; want the one alert that is in no case", done, err)
	}
	must(st.RemoveFromCase(ctx, north, c.ID, store.ItemIncident, "inc", "bob", Start))
	if err := st.RemoveFromCase(ctx, north, c.ID, store.ItemIncident, "inc", "bob", Start); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	closed := store.CaseClosed
	must(st.SetCase(ctx, north, c.ID, store.CaseChange{State: &closed, Verdict: &verdict}, "bob", Start))
	if done, err := st.Forget(ctx, north, store.Cutoff{Alerts: Start.AddDate(1, 0, 0)}); err != nil || done.Alerts != 2 {
		t.Errorf("forgotten %+v, %v; want the two of the incident", done, err)
	}
}
