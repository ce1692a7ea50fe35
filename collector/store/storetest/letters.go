package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// letters holds what a CERT and an operator write to each other: of one operator, answered once, and on record.
func letters(t *testing.T, st store.Store) {
	north, south, ctx := For(t, "north"), For(t, "south"), t.Context()
	ingest(t, st, north, newSpool("s1", batch.Routine).seal(t, alert(1, nil), alert(2, nil)))
	at := Start.Add(time.Minute)
	ask := store.Letter{At: at, From: "cert", Kind: store.LetterEvidence, Alert: "alert-001", TLP: store.Green, Text: " The frames, please.\n"}
	for _, c := range []struct {
		scope  store.Scope
		change func(*store.Letter)
		want   error
	}{
		{store.Scope{}, func(*store.Letter) {}, store.ErrNoScope},
		{south, func(*store.Letter) {}, store.ErrNotFound},
		{north, func(l *store.Letter) { l.Alert = "alert-009" }, store.ErrNotFound},
		{north, func(l *store.Letter) { l.Kind = "order" }, store.ErrLetter},
		{north, func(l *store.Letter) { l.TLP = "red" }, store.ErrLetter},
		{north, func(l *store.Letter) { l.Text = " " }, store.ErrLetter},
		{north, func(l *store.Letter) { l.Text = strings.Repeat("x", store.MaxLetter+1) }, store.ErrLetter},
		{north, func(l *store.Letter) { l.Pattern = "x" }, store.ErrLetter},
		{north, func(l *store.Letter) { l.Kind = store.LetterIndicator }, store.ErrLetter},
		{north, func(l *store.Letter) { l.Kind, l.Pattern, l.Language = store.LetterIndicator, "x", "perl" }, store.ErrLetter},
	} {
		l := ask
		c.change(&l)
		if _, err := st.SendLetter(ctx, c.scope, l); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", l, err, c.want)
		}
	}
	send := func(kind store.LetterKind, from, alert, language, pattern string) store.Letter {
		t.Helper()
		l, err := st.SendLetter(ctx, north, store.Letter{At: at, From: from, Kind: kind, Alert: alert, TLP: store.Green, Text: "The frames, please.", Language: language, Pattern: pattern})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first := send(store.LetterEvidence, "cert", "alert-001", "", "")
	note := send(store.LetterNote, "cert", "alert-002", "", "")
	pattern := send(store.LetterIndicator, "other", "alert-001", "stix", "[ipv4-addr:value = '192.0.2.9']")
	got, err := st.GetLetter(ctx, north, first.ID)
	same(t, "a letter", got, first)
	if err != nil || got.State != store.LetterWaiting || !got.At.Equal(at) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := st.GetLetter(ctx, south, first.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another operator's letter: %v", err)
	}
	for _, c := range []struct {
		f    store.LetterFilter
		want []string
	}{
		{store.LetterFilter{}, []string{pattern.ID, note.ID, first.ID}}, {store.LetterFilter{From: "cert"}, []string{note.ID, first.ID}},
		{store.LetterFilter{Alert: "alert-001"}, []string{pattern.ID, first.ID}}, {store.LetterFilter{State: store.LetterRead}, nil},
	} {
		var ids []string
		for cursor := ""; ; {
			page, next, err := st.ListLetters(ctx, north, c.f, cursor, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range page {
				ids = append(ids, l.ID)
			}
			if cursor = next; next == "" {
				break
			}
		}
		same(t, fmt.Sprintf("letters of %+v", c.f), ids, c.want)
	}
	release, decline, read := store.LetterAnswer{State: store.LetterReleased, Masked: true, Text: "Here."}, store.LetterAnswer{State: store.LetterDeclined}, store.LetterAnswer{State: store.LetterRead, Masked: true}
	for _, c := range []struct {
		scope store.Scope
		id    string
		a     store.LetterAnswer
		want  error
	}{
		{south, first.ID, release, store.ErrNotFound}, {north, "letter-99", release, store.ErrNotFound}, {north, "x", release, store.ErrNotFound},
		{north, first.ID, read, store.ErrLetter}, {north, note.ID, release, store.ErrLetter}, {north, note.ID, store.LetterAnswer{}, store.ErrLetter},
		{north, first.ID, release, nil}, {north, first.ID, decline, store.ErrChanged}, {north, note.ID, read, nil},
	} {
		if err := st.AnswerLetter(ctx, c.scope, c.id, c.a, "ana", at.Add(time.Hour)); !errors.Is(err, c.want) {
			t.Errorf("%s answered %+v: %v, want %v", c.id, c.a, err, c.want)
		}
	}
	if err := st.FetchedLetter(ctx, north, first.ID, "cert", at.Add(2*time.Hour)); err != nil {
		t.Error(err)
	}
	if got, err := st.GetLetter(ctx, north, first.ID); err != nil || got.State != store.LetterReleased || !got.Masked || got.Who != "ana" || got.Answer != "Here." || got.Answered == nil || !got.Answered.Equal(at.Add(time.Hour)) {
		t.Errorf("answered %+v, %v", got, err)
	}
	acts, err := st.Acts(ctx, north, "alert-001", 10)
	var said []string
	for _, a := range acts {
		said = append(said, a.Who+" "+a.What+" "+a.Detail)
	}
	same(t, "acts", said, []string{"cert letter-fetch " + first.ID, "ana letter-answer " + first.ID + ": released, under pseudonyms", "other letter " + pattern.ID + ": indicator, tlp green", "cert letter " + first.ID + ": evidence, tlp green"})
	if err != nil {
		t.Error(err)
	}
}

// groups holds that a campaign and a case leave with what their released alerts say, and with nothing else.
func groups(t *testing.T, st store.Store) {
	sc, ctx := For(t, "north"), t.Context()
	for i := range 4 {
		sensor := fmt.Sprint("s", i)
		enrol(t, st, sc, sensor)
		ingest(t, st, sc, newSpool(sensor, batch.Routine).seal(t, alert(i, func(a *rules.Alert) { a.Severity, a.Techniques = rules.Severity(2+i%2), []string{"T0816"} })))
	}
	correlate(t, st, sc)
	list, _, err := st.ListCampaigns(ctx, sc, 3, "", 10)
	if err != nil || len(list) != 1 || list[0].Sites != 4 {
		t.Fatalf("%+v, %v", list, err)
	}
	campaign := list[0].ID
	c, err := st.OpenCase(ctx, sc, "Bay 3", "ana", Start)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range [][2]string{{store.ItemAlert, "alert-001"}, {store.ItemCampaign, campaign}} {
		if err := st.AddToCase(ctx, sc, c.ID, item[0], item[1], "ana", Start); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.ReleaseGroup(ctx, sc, store.ItemCampaign, campaign, store.Green, false, "ana", Start); !errors.Is(err, store.ErrNothing) {
		t.Errorf("a campaign of which nothing is released: %v", err)
	}
	for _, id := range []string{"alert-001", "alert-002", "alert-000"} {
		if _, err := st.Release(ctx, sc, id, store.Green, "ana", Start); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.Retract(ctx, sc, "alert-000", "ana", Start); err != nil {
		t.Fatal(err)
	}
	want := store.Group{Kind: store.ItemCampaign, Ref: campaign, Rule: "modbus-write", Technique: "T0816", Severity: rules.High, First: Start.Add(time.Second), Last: Start.Add(2 * time.Second), Sites: 2, Alerts: []string{"alert-001", "alert-002"}}
	got, err := st.PreviewGroup(ctx, sc, store.ItemCampaign, campaign)
	if same(t, "the preview", got, want); err != nil {
		t.Fatal(err)
	}
	r, err := st.ReleaseGroup(ctx, sc, store.ItemCampaign, campaign, store.Green, true, "ana", Start)
	if err != nil || r.Version != 1 || r.ID() != campaign || r.Kind() != store.ItemCampaign || !r.Masked {
		t.Fatalf("%+v, %v", r, err)
	}
	want.Kind, want.Ref, want.Title, want.State, want.Rule, want.Technique = store.ItemCase, c.ID, "Bay 3", store.CaseOpen, "", ""
	if r, err = st.ReleaseGroup(ctx, sc, store.ItemCase, c.ID, store.Amber, false, "ana", Start); err != nil {
		t.Fatal(err)
	}
	same(t, "the case", *r.Group, want)
	for _, x := range []struct {
		scope     store.Scope
		kind, ref string
		tlp       store.TLP
		masked    bool
		want      error
	}{
		{sc, store.ItemCampaign, campaign, store.Green, false, store.ErrOtherForm}, {sc, store.ItemCase, campaign, store.Green, false, store.ErrNotFound},
		{sc, "", "alert-001", store.Green, false, store.ErrNotFound}, {For(t, "south"), store.ItemCase, c.ID, store.Green, false, store.ErrNotFound}, {store.Scope{}, store.ItemCase, c.ID, store.Green, false, store.ErrNoScope},
	} {
		if _, err := st.ReleaseGroup(ctx, x.scope, x.kind, x.ref, x.tlp, x.masked, "eve", Start); !errors.Is(err, x.want) {
			t.Errorf("%s %s: %v, want %v", x.kind, x.ref, err, x.want)
		}
	}
	if r, err = st.RetractGroup(ctx, sc, store.ItemCampaign, campaign, "ana", Start); err != nil || !r.Revoked || r.Version != 2 || len(r.Group.Alerts) != 2 {
		t.Errorf("retracted: %+v, %v", r, err)
	}
	if _, err := st.RetractGroup(ctx, sc, store.ItemCampaign, campaign, "ana", Start); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	for _, x := range []struct {
		f    store.ReleaseFilter
		want string
	}{
		{store.ReleaseFilter{}, "alert-001 alert-002 alert-000"}, {store.ReleaseFilter{Groups: true}, "alert-001 alert-002 alert-000 " + c.ID + " " + campaign},
		{store.ReleaseFilter{Kind: store.ItemCampaign, Alert: campaign, All: true}, campaign + " " + campaign}, {store.ReleaseFilter{Alert: campaign}, ""},
	} {
		list, _, err := st.ListReleased(ctx, sc, x.f, "", 100)
		var ids []string
		for i := range list {
			ids = append(ids, list[i].ID())
		}
		if same(t, fmt.Sprintf("released by %+v", x.f), strings.Join(ids, " "), x.want); err != nil {
			t.Error(err)
		}
	}
}
