package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

var correlation = store.Correlation{Within: time.Hour, Sites: 3, Least: rules.Medium}

// correlate looks at all there is.
func correlate(t testing.TB, st store.Store, sc store.Scope) {
	t.Helper()
	for {
		n, err := st.Correlate(t.Context(), sc, correlation, Start.Add(100*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

// story is what sensors saw: alerts of rule r at these minutes.
var story = []struct {
	sensor, rule string
	minute       int
	severity     rules.Severity
}{
	{"s1", "r", 0, rules.High}, {"s2", "r", 50, rules.Medium}, {"s2", "r", 55, rules.Medium}, {"s3", "r", 115, rules.Critical}, // one: 60 minutes are not too far
	{"s1", "r", 176, rules.High}, {"s2", "r", 177, rules.High}, // 61 minutes are: two sites only
	{"s1", "r", 400, rules.High}, {"s2", "r", 420, rules.High}, {"s3", "r", 460, rules.High}, {"s4", "r", 520, rules.High}, // another
	{"s3", "q", 10, rules.High}, {"s4", "q", 20, rules.High}, // another act
	{"s4", "r", 30, rules.Low}, // counts for nothing
}

// campaigns holds that campaigns are the same in whatever order alerts come and are looked at, and however often.
func campaigns(t *testing.T, st store.Store) {
	ctx := t.Context()
	want := "r T0816 high 400..520 4 sites 4 alerts; r T0816 critical 0..115 3 sites 4 alerts; "
	for seed := range 6 {
		sc := For(t, fmt.Sprint("op", seed))
		random := rand.New(rand.NewPCG(uint64(seed), 7))
		var spools [5]*spool
		for i := range spools {
			spools[i] = newSpool(fmt.Sprint("s", i), batch.Routine)
			enrol(t, st, sc, spools[i].sensor)
		}
		order := random.Perm(len(story))
		if seed == 0 { // the last that comes joins two that are there
			order = []int{3, 12, 0, 2, 11, 10, 5, 4, 6, 9, 8, 7, 1}
		}
		for _, i := range order {
			e := story[i]
			b := spools[e.sensor[1]-'0'].seal(t, alert(i, func(a *rules.Alert) {
				a.ID, a.Rule, a.Severity, a.Techniques = fmt.Sprint(e.sensor, "-", i), e.rule, e.severity, []string{"T0816"}
				a.First = Start.Add(time.Duration(e.minute) * time.Minute)
				a.Last = a.First.Add(time.Second)
			}))
			ingest(t, st, sc, b)
			if random.IntN(2) == 0 {
				correlate(t, st, sc)
			}
			ingest(t, st, sc, b)
		}
		correlate(t, st, sc)
		list, next, err := st.ListCampaigns(ctx, sc, correlation.Sites, "", 10)
		if err != nil || next != "" {
			t.Fatal(err, next)
		}
		got, minute := "", func(at time.Time) int { return int(at.Sub(Start).Minutes()) }
		for _, c := range list {
			got += fmt.Sprintf("%s %s %v %d..%d %d sites %d alerts; ", c.Rule, c.Technique, c.Severity, minute(c.First), minute(c.Last), c.Sites, c.Alerts)
			whole, err := st.GetCampaign(ctx, sc, c.ID)
			if err != nil || len(whole.Seen) != c.Sites || whole.Seen[0].Name != "Site s1" || minute(whole.Seen[0].First) != minute(c.First) {
				t.Errorf("%s: %+v, %v", c.ID, whole, err)
			}
		}
		same(t, fmt.Sprint("campaigns of order ", order), got, want)
		if seed > 0 {
			continue
		}
		page, next, err := st.ListCampaigns(ctx, sc, correlation.Sites, "", 1)
		if err != nil || len(page) != 1 || next == "" {
			t.Fatalf("%+v, %q, %v", page, next, err)
		}
		if page, next, err = st.ListCampaigns(ctx, sc, correlation.Sites, next, 1); err != nil || len(page) != 1 || next != "" || page[0].Rule != "r" || page[0].Alerts != 4 {
			t.Errorf("second page %+v, %q, %v", page, next, err)
		}
		if _, err := st.GetCampaign(ctx, For(t, "op1"), "campaign-9999"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a campaign that is not there: %v", err)
		}
		if other, _, err := st.ListCampaigns(ctx, For(t, "elsewhere"), 1, "", 10); err != nil || len(other) != 0 {
			t.Errorf("another operator has %+v, %v", other, err)
		}
		var low, high int // what was joined is found under either of its names
		for n := range 20 {
			if c, err := st.GetCampaign(ctx, sc, fmt.Sprint("campaign-", n)); err == nil && minute(c.First) == 0 && c.Rule == "r" {
				low, high = min(low, n), max(high, n)
			}
		}
		if high == low {
			t.Error("the campaign that joined two has one name")
		}
	}
}
