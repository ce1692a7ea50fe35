package collector

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/api"
	"github.com/roje-ot/roje/collector/audit"
	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/testdata/need"
)

// newFrontend is the console's listener over a store of the test, which can be delivered to directly.
func newFrontend(t testing.TB, change ...func(*frontend)) (*frontend, string) {
	t.Helper()
	db, scope := specimen.Store(t)
	shelf, err := share.OpenShelf(filepath.Join(t.TempDir(), shelfName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shelf.Close() })
	record, err := audit.Open(db, scope, filepath.Join(t.TempDir(), audit.FolderName), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { record.Close() })
	done := make(chan struct{})
	f := &frontend{db: db, scope: scope, shelf: shelf, record: record, metrics: api.NewMetrics(db, scope, discard), log: discard, now: time.Now, done: done, cover: account.NewCover([32]byte{1}, scope)}
	for _, c := range change {
		c(f)
	}
	ts := httptest.NewServer(f.handler())
	t.Cleanup(func() { close(done); ts.Close() })
	return f, ts.URL
}

// browse opens a headless browser. Screenshots go to $ROJE_SCREENSHOTS, if that is set.
func browse(t testing.TB) (ctx context.Context, shot func(name string)) {
	t.Helper()
	path := need.Tool(t, "chromium", "chromium")
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1400, 1000))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute) // a bound against hanging; nothing is decided by it
	t.Cleanup(cancel)
	return ctx, func(name string) {
		dir := os.Getenv("ROJE_SCREENSHOTS")
		if dir == "" {
			return
		}
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBrowser is a person's first quarter of an hour: sign in with the one-time password, choose one's own, see an
// alert come in without touching anything, open it, look at what would leave, release it.
func TestBrowser(t *testing.T) {
	ctx, shot := browse(t)
	f, url := newFrontend(t)
	_, password, err := firstUser(t.Context(), f.db, f.scope, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	alerts := specimen.Alerts()
	spool := specimen.Spool{Sensor: "s1"}
	spool.Enrol(t, f.db, f.scope, time.Now(), "Substation North")
	quiet := specimen.Spool{Sensor: "s2"}
	quiet.Enrol(t, f.db, f.scope, time.Now(), "Telecom site 14")
	spool.Report(t, f.db, f.scope, time.Now(), batch.Health{
		At: time.Now(), Version: "1.0.0", Phase: "enforce", Interfaces: []string{"eth1"}, Packets: 123456, Dropped: 3, SpoolBytes: 4711, Passive: "sealed",
		Day: &batch.DayHealth{Incidents: 12, Budget: 10, Gathered: 8, Noisy: []batch.NoisyRule{{Rule: "R03-station-sweep", Incidents: 9}}},
	})
	spool.Deliver(t, f.db, f.scope, time.Now(), alerts[1:]...)

	do := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			shot("failed")
			t.Fatalf("%s: %v", what, err)
		}
	}
	text := func(selector string) string {
		t.Helper()
		got, err := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS(selector)))
		if err != nil {
			t.Fatalf("text of %s: %v", selector, err)
		}
		return got
	}
	css := func(s string) chromedp.CSS { return chromedp.CSS(s) }

	do("sign in", chromedp.Navigate(url+"/"), chromedp.SendKeys(css("input[name=name]"), FirstUser),
		chromedp.SendKeys(css("input[name=password]"), password))
	shot("signin")
	const chosen = "four random words here"
	do("the one-time password is to be changed", chromedp.Click(css("button.main")), chromedp.SendKeys(css("input[name=old]"), password),
		chromedp.SendKeys(css("input[name=new]"), chosen), chromedp.SendKeys(css("input[name=again]"), chosen))
	shot("password")
	do("the list is live", chromedp.Click(css("button.main")), chromedp.WaitVisible(css("#live.on")))
	if got := strings.Count(text("#rows"), "UTC"); strings.Contains(text("#rows"), alerts[0].Title) || got != 0 {
		t.Fatal("the alert is there before it came")
	}
	spool.Deliver(t, f.db, f.scope, time.Now(), alerts[0])
	do("an alert comes in", chromedp.WaitVisible(css("#rows tr.arrived#alert-"+alerts[0].ID)))
	if got := text("#rows tr:first-child a"); got != alerts[0].Title {
		t.Errorf("on top is %q, want %q", got, alerts[0].Title)
	}
	shot("alerts")
	do("its page", chromedp.Click(css("#rows tr:first-child a")), chromedp.WaitVisible(css("h1.sentence")))
	for selector, want := range map[string]string{"h1.sentence": alerts[0].Title, ".tags": "T1692.001 Unauthorized Message: Command Message", "dl": "10.20.0.66:49152"} {
		if got := text(selector); !strings.Contains(got, want) {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	shot("alert")
	do("the preview", chromedp.SetValue(css("#release select"), "amber+strict"), chromedp.Click(css("#release button")), chromedp.WaitVisible(css("#preview pre")))
	preview := text("#preview pre")
	shot("preview")
	do("the release", chromedp.Click(css("#release-go")), chromedp.WaitVisible(css(".tags .tlp")))
	if got := text(".tags .tlp"); got != "TLP:AMBER+STRICT" {
		t.Errorf("released as %q", got)
	}
	shot("released")
	released, _, err := f.db.ListReleased(t.Context(), f.scope, store.ReleaseFilter{}, "", 10)
	if err != nil || len(released) != 1 || released[0].TLP != store.AmberStrict || released[0].Who != FirstUser {
		t.Fatalf("released: %+v, %v", released, err)
	}
	for _, o := range share.Bundle(f.scope.Operator(), released[0]) {
		if !strings.Contains(preview, o.ID()) {
			t.Errorf("%s left, and was not in the preview", o.ID())
		}
	}
	do("sensors", chromedp.Navigate(url+"/sensors"), chromedp.WaitVisible(css("h1")))
	for _, want := range []string{"Substation North", "123456", "4.6 KiB", "● well", "Telecom site 14", "not heard yet", "incidents today: 12 of 10", "gathered in one: 8", "R03-station-sweep 9"} {
		if got := text("table.sensors"); !strings.Contains(got, want) {
			t.Errorf("the sensors' page has no %q: %q", want, got)
		}
	}
	shot("sensors")
	do("users", chromedp.Navigate(url+"/users"), chromedp.WaitVisible(css("h1")))
	shot("users")
	do("another language", chromedp.Click(css("button[value=sq]")), chromedp.WaitVisible(css("html[lang=sq] h1")))
	if got := text("h1"); got != "Përdoruesit" {
		t.Errorf("in Albanian the users' page is called %q", got)
	}
	do("out", chromedp.Click(css("header .me form[action='/signout'] button")), chromedp.WaitVisible(css("input[name=password]")))
}

// TestConsoleSays holds the sign-in's answers and where they lead.
func TestConsoleSays(t *testing.T) {
	f, url := newFrontend(t)
	for _, u := range []struct {
		name string
		role store.Role
		must bool
	}{{"ann", store.Analyst, false}, {"new", store.Viewer, true}, {"cert", store.CERT, false}} {
		user := store.User{Name: u.name, Role: u.role, Hash: account.Hash("a long password"), MustChange: u.must}
		if err := f.db.PutUser(t.Context(), f.scope, user, "test", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, c := range []struct {
		name, password, next, language string
		status                         int
		leads, says                    string
	}{
		{"ann", "a long password", "/alerts/a-104", "", 303, "/alerts/a-104", ""},
		{"ann", "a long password", "//evil.example/", "", 303, "/", ""},
		{"ann", "a long password", "https://evil.example/", "", 303, "/", ""},
		{"new", "a long password", "/sensors", "", 303, "/password", ""},
		{"ann", "a wrong password", "/", "", 401, "", "Name or password is wrong."},
		{"ann", "a wrong password", "/", "sr-Latn-RS,sr;q=0.9,en;q=0.5", 401, "", "Ime ili lozinka nisu ispravni."},
		{"nobody", "a long password", "/", "de, sq;q=0.3", 401, "", "Emri ose fjalëkalimi është i gabuar."},
		{"cert", "a long password", "/", "", 403, "", "for TAXII only"},
	} {
		form := "name=" + c.name + "&password=" + strings.ReplaceAll(c.password, " ", "+") + "&next=" + c.next
		req, err := http.NewRequest(http.MethodPost, url+"/signin", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept-Language", c.language)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body strings.Builder
		if _, err := copyAll(&body, resp.Body); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != c.status || resp.Header.Get("Location") != c.leads || !strings.Contains(body.String(), c.says) {
			t.Errorf("%s %q next %q: %d to %q, want %d to %q saying %q", c.name, c.password, c.next, resp.StatusCode, resp.Header.Get("Location"), c.status, c.leads, c.says)
		}
	}
}
