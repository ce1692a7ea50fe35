package console

import (
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/fleet"
	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/store"
)

var verb = regexp.MustCompile(`%[a-z]`)

// TestCatalogues holds that every language has every text, with the same verbs in the same order.
func TestCatalogues(t *testing.T) {
	if catalogue[0].code != "en" || len(catalogue) < 3 {
		t.Fatalf("languages: %v", catalogue)
	}
	english := catalogue[0].texts
	for _, w := range catalogue[1:] {
		for key, text := range english {
			got, ok := w.texts[key]
			if !ok {
				t.Errorf("%s lacks %q", w.code, key)
			}
			if want := verb.FindAllString(text, -1); !slices.Equal(verb.FindAllString(got, -1), want) {
				t.Errorf("%s, %q: %q has not the verbs %v", w.code, key, got, want)
			}
		}
		for key := range w.texts {
			if _, ok := english[key]; !ok {
				t.Errorf("%s has %q, which nothing shows", w.code, key)
			}
		}
	}
}

// TestKeysExist holds that every text that a page or the code asks for by its full name is in the catalogue, and that
// every text is asked for.
func TestKeysExist(t *testing.T) {
	asked := map[string]bool{"language": true, "phase.": true}
	literal := regexp.MustCompile(`\.T\s*\(?"([a-z0-9.+]*[a-z0-9+])"`) // what ends in a dot is a beginning
	state := regexp.MustCompile(`"((?:sensor|error|signin|letters|group)\.[a-z]+)"`)
	for _, pattern := range []string{"*.go", "page/*.html"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range append(literal.FindAllSubmatch(text, -1), state.FindAllSubmatch(text, -1)...) {
				asked[string(m[1])] = true
			}
		}
	}
	for prefix, words := range map[string][]string{"severity.": severityNames, "status.": statusNames, "phase.": {"off", "learn", "enforce"},
		"letters.kind.": {"note", "indicator", "evidence"}, "letters.state.": {"waiting", "read", "released", "declined"},
		"sector.state.": {"acts", "released", "none", "unread"}, "fleet.": {fleet.Current, fleet.Lags, fleet.Refused, fleet.Loose, fleet.Closed},
		"sensor.": {fleet.OK, fleet.Silent, fleet.Never, fleet.Denied, fleet.Expired}, "cases.verdict.": {"none"}, "users.compare.": {"acts", "released"}} {
		for _, word := range words {
			asked[prefix+word] = true
		}
	}
	for _, state := range store.CaseStates {
		asked["cases.state."+string(state)] = true
	}
	for _, verdict := range store.Verdicts[1:] {
		asked["cases.verdict."+string(verdict)] = true
	}
	for _, role := range account.Everyone {
		asked["role."+string(role)], asked["role."+string(role)+".may"] = true, true
	}
	for _, tlp := range share.Releasable() {
		asked["tlp."+string(tlp)] = true
	}
	delete(asked, "error.html") // the names of pages
	delete(asked, "signin.html")
	delete(asked, "letters.html")
	delete(asked, "letters.kind.") // the beginnings of texts
	delete(asked, "letters.state.")
	delete(asked, "sector.state.")
	delete(asked, "users.compare.")
	for _, key := range slices.Sorted(maps.Keys(asked)) {
		if _, ok := catalogue[0].texts[key]; !ok {
			t.Errorf("%q is asked for and is no text", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(catalogue[0].texts)) {
		if !asked[key] {
			t.Errorf("%q is a text and nobody asks for it", key)
		}
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct{ set, accept, want string }{
		{"", "", "en"}, {"", "sq", "sq"}, {"", "sq-XK,sq;q=0.9,en;q=0.8", "sq"}, {"", "de,fr", "en"}, {"", "de, sr;q=0.2, en;q=0.1", "sr"},
		{"", "bs", "sr"}, {"", "hr-HR;q=0.9, en;q=0.8", "sr"}, {"", "en;q=0.1, sq;q=nonsense", "en"}, {"sr", "sq", "sr"}, {"xx", "sq", "sq"}, {"", ";;,,q", "en"}, {"", "sq;q=0", "en"},
	} {
		if got := choose(c.set, c.accept).code; got != c.want {
			t.Errorf("set %q, accepts %q: %s, want %s", c.set, c.accept, got, c.want)
		}
	}
}

func TestAgo(t *testing.T) {
	v := view{words: catalogue[0], now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	for d, want := range map[time.Duration]string{-time.Hour: "just now", 59 * time.Second: "just now", 5 * time.Minute: "5 min ago", 47 * time.Hour: "47 h ago", 49 * time.Hour: "2 d ago"} {
		if got := v.Ago(v.now.Add(-d)); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// TestScriptIsCurrent holds that live.js is what live.ts makes.
func TestScriptIsCurrent(t *testing.T) {
	want, err := staticFiles.ReadFile("static/live.js")
	if err != nil {
		t.Fatal(err)
	}
	result := api.Build(api.BuildOptions{EntryPoints: []string{"generate/live.ts"}, Bundle: true, Target: api.ES2020, Format: api.FormatIIFE, Charset: api.CharsetUTF8})
	if len(result.Errors) > 0 {
		t.Fatal(result.Errors)
	}
	if _, got, _ := strings.Cut(string(want), "\n"); got != string(result.OutputFiles[0].Contents) {
		t.Error("static/live.js is not what generate/live.ts makes; run go generate ./collector/console")
	}
}

// TestPagesKeepThePolicy holds that no page needs anything that the Content-Security-Policy forbids.
func TestPagesKeepThePolicy(t *testing.T) {
	err := fs.WalkDir(pageFiles, "page", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := pageFiles.ReadFile(path)
		if err != nil {
			return err
		}
		for _, bad := range []string{`style="`, "<style", `onclick`, `onload`, "javascript:", `src="http`, `href="http`, `data-on`} {
			if strings.Contains(string(text), bad) {
				t.Errorf("%s has %s", path, bad)
			}
		}
		if n := strings.Count(string(text), "<script"); n != strings.Count(string(text), `<script src="/static/`) {
			t.Errorf("%s has a script of its own", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestContrast holds every pair of text and ground to WCAG 2.2 AA, 4.5 to 1, in both themes.
func TestContrast(t *testing.T) {
	css, err := staticFiles.ReadFile("static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	themes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllSubmatch(css, -1)
	if len(themes) != 2 {
		t.Fatalf("%d themes, want light and dark", len(themes))
	}
	for i, theme := range themes {
		colour := map[string][3]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]+)`).FindAllSubmatch(theme[1], -1) {
			colour[string(m[1])] = rgb(t, string(m[2]))
		}
		for ground, texts := range map[string]string{
			"card": "text faint accent critical high medium low notice error", "ground": "text faint accent critical high medium low notice",
			"new": "text faint accent critical high medium low notice", "mark": "text faint critical high medium low notice",
			"error-ground": "error", "accent": "on-accent",
		} {
			for _, text := range strings.Fields(texts) {
				a, aok := colour[text]
				b, bok := colour[ground]
				if !aok || !bok {
					t.Fatalf("theme %d lacks %s or %s", i, text, ground)
				}
				if got := contrast(a, b); got < 4.5 {
					t.Errorf("theme %d: %s on %s: %.2f to 1, want 4.5", i, text, ground, got)
				}
			}
		}
	}
}

func rgb(t *testing.T, hex string) (c [3]float64) {
	if len(hex) == 3 {
		hex = fmt.Sprintf("%c%[1]c%c%[2]c%c%[3]c", hex[0], hex[1], hex[2])
	}
	for i := range c {
		v, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c[i] = float64(v) / 255
	}
	return c
}

// contrast is the contrast ratio of WCAG 2.2.
func contrast(a, b [3]float64) float64 {
	luminance := func(c [3]float64) float64 {
		for i, v := range c {
			if v <= 0.04045 {
				c[i] = v / 12.92
			} else {
				c[i] = math.Pow((v+0.055)/1.055, 2.4)
			}
		}
		return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]
	}
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}
