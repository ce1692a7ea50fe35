package collector

import (
	_ "embed"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/testdata/need"
)

//go:embed testdata/page.js
var pageCheck string

// TestPages opens every page that people see, in each language, at the width of a phone, and holds it to what who uses a
// keyboard or a screen reader needs, and to its width.
func TestPages(t *testing.T) {
	need.Long(t)
	ctx, shot := browse(t)
	f, url := newFrontend(t, ofCERT)
	for _, name := range []string{"north", "south"} {
		scope := specimen.Consenting(t, f.db, name, f.scope.Operator(), store.CompareActs, time.Now().Add(-time.Hour), 2)
		if _, err := f.db.Release(t.Context(), scope, "r-south-0", store.Green, "ana", time.Now()); (err == nil) != (name == "south") {
			t.Fatal(err)
		}
	}
	spool := specimen.Spool{Sensor: "s1"}
	spool.Enrol(t, f.db, f.scope, time.Now(), "Substation North")
	spool.Deliver(t, f.db, f.scope, time.Now(), specimen.Alerts()...)
	campaign, opened := aCampaign(t, f.db, f.scope)
	at, until := time.Now(), time.Now().Add(time.Hour)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"c-0", "a-104"} {
		_, err := f.db.Release(t.Context(), f.scope, id, store.Green, "ana", at)
		must(err)
	}
	_, err := f.db.ReleaseGroup(t.Context(), f.scope, store.ItemCampaign, campaign, store.Green, false, "ana", at)
	must(err)
	_, err = f.db.Release(t.Context(), f.scope, "c-1", store.Green, "ana", at) // so that what was released is out of date
	must(err)
	for _, l := range []store.Letter{
		{Kind: store.LetterEvidence, Text: "The frames, please."},
		{Kind: store.LetterIndicator, Text: "Look for it.", Language: "stix", Pattern: "[ipv4-addr:value = '192.0.2.9'] OR " + strings.Repeat("[ipv4-addr:value = '192.0.2.10'] OR ", 5)},
	} {
		l.At, l.From, l.Alert, l.TLP = at, "kos", "a-104", store.Amber
		_, err := f.db.SendLetter(t.Context(), f.scope, l)
		must(err)
	}
	must(f.db.NoteCase(t.Context(), f.scope, opened, "Rang the control room.", "ana", at))
	must(f.db.PutPack(t.Context(), f.scope, store.Pack{SHA256: "aa", Kind: "rules", Name: "grid", Version: 1, Created: at, Expires: &until, Sensors: []string{"site"}, Who: "ann", At: at}, []byte("x")))
	must(f.db.Assign(t.Context(), f.scope, store.TargetAll, "aa", "ann", at))
	must(f.db.CreateToken(t.Context(), f.scope, store.Token{ID: "t-9", Who: "ana", Created: at, Expires: until, Approve: true}))
	_, err = f.db.AskJoin(t.Context(), f.scope, [32]byte{}, store.Join{Token: "t-9", Key: "k", Words: "lusab-babad-gutih-tugad-difof", Name: "Substation South", Remote: "192.0.2.9", Asked: at})
	must(err)
	_, err = account.Seal(t.Context(), f.db, f.scope, "glass", "ana", at)
	must(err)
	f.person(t, "ana", store.Admin)
	f.person(t, "kos", store.CERTAnalyst)

	css := func(s string) chromedp.CSS { return chromedp.CSS(s) }
	checked := 0
	for _, who := range []struct {
		name  string
		pages []string
	}{
		{"ana", []string{"/", "/alerts/a-104?tlp=green", "/campaigns", "/campaigns/" + campaign + "?tlp=green", "/cases", "/cases/" + opened, "/letters", "/sector", "/sensors", "/fleet", "/audit", "/users", "/second", "/password"}},
		{"kos", []string{"/cert", "/cert/alerts/a-104", "/sector"}},
	} {
		must(chromedp.Do(ctx, chromedp.EmulateViewport(390, 844), chromedp.Navigate(url+"/signin"), chromedp.SendKeys(css("input[name=name]"), who.name),
			chromedp.SendKeys(css("input[name=password]"), testPassword), chromedp.Click(css("button.main")), chromedp.WaitVisible(css("header .me"))))
		for _, language := range []string{"en", "sq", "sr"} {
			u, err := f.db.GetUser(t.Context(), f.scope, who.name)
			must(err)
			u.Language = language
			must(f.db.PutUser(t.Context(), f.scope, u, "test", at))
			for _, page := range who.pages {
				must(chromedp.Do(ctx, chromedp.Navigate(url+page)))
				wrong, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](pageCheck))
				must(err)
				for _, w := range wrong {
					t.Errorf("%s in %s: %s", page, language, w)
				}
				checked++
				shot(language + strings.NewReplacer("/", "-", "?", "-").Replace(page))
			}
		}
		must(chromedp.Do(ctx, chromedp.Navigate(url+who.pages[0]), chromedp.Click(css("header .me form[action='/signout'] button")), chromedp.WaitVisible(css("input[name=password]"))))
	}
	if checked != 3*17 {
		t.Errorf("%d pages were looked at", checked)
	}
}
