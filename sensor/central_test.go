package sensor

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/site"
	"github.com/roje-ot/roje/sensor/evidence"
	"github.com/roje-ot/roje/testdata/need"
)

// A depot is a collector that hands out packs, and may break off.
type depot struct {
	*httptest.Server
	mu     sync.Mutex // guards the rest
	packs  map[string][]byte
	offers batch.Offers
	said   []batch.Outcome
	asked  []string // ranges
	broken int      // requests for a pack that fail from now on
}

func newDepot(t *testing.T) *depot {
	d := &depot{packs: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+batch.PathPacks, func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		json.NewEncoder(w).Encode(d.offers)
	})
	mux.HandleFunc("GET "+batch.PathPacks+"/{sum}", func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		body := d.packs[r.PathValue("sum")]
		d.asked = append(d.asked, r.Header.Get("Range"))
		fail := len(d.asked) > 1 && d.broken > 0
		if fail {
			d.broken--
		}
		d.mu.Unlock()
		if fail {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(body)))
	})
	mux.HandleFunc("POST "+batch.PathOutcome, func(w http.ResponseWriter, r *http.Request) {
		var o batch.Outcome
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			t.Error(err)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.said = append(d.said, o)
	})
	d.Server = httptest.NewServer(mux)
	t.Cleanup(d.Close)
	return d
}

// offer offers packs and nothing else, and returns the revision.
func (d *depot) offer(packs ...[]byte) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.offers, d.said, d.asked = batch.Offers{}, nil, nil
	for _, b := range packs {
		sum := sha256.Sum256(b)
		name := hex.EncodeToString(sum[:])
		d.packs[name] = b
		d.offers.Packs = append(d.offers.Packs, batch.Offer{Kind: "?", Name: "?", Size: int64(len(b)), SHA256: name})
	}
	return d.offers.Revision()
}

// heard are the words of the outcomes.
func (d *depot) heard() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var words []string
	for _, o := range d.said {
		if o.Taken {
			words = append(words, "taken")
		} else {
			words = append(words, o.Reason)
		}
	}
	return strings.Join(words, " ")
}

func sealed(t *testing.T, key ed25519.PrivateKey, name string, version uint64, terms site.Terms, files map[string]string) []byte {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	b, err := site.Seal(name, version, time.Unix(1.8e9, 0), terms, fsys, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// join makes the folder of an enrolment that nobody has given.
func join(t *testing.T, dir string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(nil, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "enrolment.json"), `{"sensor": "s1", "operator": "north", "name": "Alpha", "collector": "127.0.0.1:1"}`)
	put(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	for _, name := range []string{"cert.pem", "ca.pem"} {
		put(t, filepath.Join(dir, name), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	}
}

// TestCentral: what the collector hands out is taken if its author signed it for this sensor, now, as the next version;
// all else is refused, with a word for the collector and a sentence in the health record, and what was in force goes on.
func TestCentral(t *testing.T) {
	need.Long(t)
	author, key := signer(t, 1)
	stranger, _ := signer(t, 2)
	depot := newDepot(t)
	state := t.TempDir()
	join(t, filepath.Join(state, "enrolment"))
	cfg := Config{State: state, Central: true, RulesKey: key, Phase: "off", Replay: Recorded{Files: []string{filepath.Join(need.Root(t), "testdata", "demo.pcap")}}}
	d := standing(t, cfg, slog.New(slog.DiscardHandler))
	c := newCentral(d, http.DefaultTransport, depot.URL, filepath.Join(state, centralFolder))
	built := len(d.rules.book.Rules)

	rules := func(name string, version uint64, key ed25519.PrivateKey, terms site.Terms, text string) []byte {
		return sealed(t, key, name, version, terms, map[string]string{"mine.yaml": text})
	}
	bad := strings.Replace(siteRule, "code: 13}}", "code: 12}}", 1)
	second := rules("grid", 2, author, site.Terms{}, siteRule)
	off := "disable: [{rule: D01-dnp3-restart, reason: r, author: a}]\n"
	for _, step := range []struct {
		name    string
		packs   [][]byte
		heard   string
		version uint64 // in force
		rules   int    // beside the built-in ones
		refused string
	}{
		{"nothing", nil, "", 0, 0, ""},
		{"forged", [][]byte{rules("grid", 1, stranger, site.Terms{}, siteRule)}, "forged", 0, 0, "signature"},
		{"no pack", [][]byte{[]byte("- id: X01-mine")}, "faulty", 0, 0, "does not begin"},
		{"good", [][]byte{second}, "taken", 2, 1, ""},
		{"again", [][]byte{second}, "", 2, 1, ""},
		{"older", [][]byte{rules("grid", 1, author, site.Terms{}, siteRule)}, "older", 2, 1, "going back is refused"},
		{"replayed", [][]byte{rules("grid", 2, author, site.Terms{}, siteRule+"\n")}, "replayed", 2, 1, "version of its own"},
		{"another name", [][]byte{rules("test", 9, author, site.Terms{}, siteRule)}, "renamed", 2, 1, "install it at the sensor"},
		{"expired", [][]byte{rules("grid", 3, author, site.Terms{Expires: time.Unix(1.7e9, 0)}, siteRule)}, "expired", 2, 1, "expired on 2023"},
		{"for another operator", [][]byte{rules("grid", 3, author, site.Terms{Operator: "south"}, siteRule)}, "foreign", 2, 1, "operator south"},
		{"for another sensor", [][]byte{rules("grid", 3, author, site.Terms{Sensors: []string{"other"}}, siteRule)}, "foreign", 2, 1, "none of them"},
		{"a rule that fails its test", [][]byte{rules("grid", 3, author, site.Terms{}, bad)}, "faulty", 2, 1, "must fire and does not"},
		{"a policy of a stranger", [][]byte{sealed(t, stranger, "word", 1, site.Terms{Kind: site.Policy, Operator: "north"}, map[string]string{"site.yaml": off})}, "forged", 2, 1, "signature"},
		{"a policy of another operator", [][]byte{sealed(t, author, "word", 1, site.Terms{Kind: site.Policy, Operator: "south"}, map[string]string{"site.yaml": off})}, "foreign", 2, 1, "operator south"},
		{"a policy on what no centre may set", [][]byte{second, sealed(t, author, "word", 1, site.Terms{Kind: site.Policy, Operator: "north"}, map[string]string{"settings.yaml": "interfaces: [eth0]\n"})},
			"taken faulty", 2, 1, `unknown key "interfaces"`},
		{"a policy", [][]byte{second, sealed(t, author, "word", 1, site.Terms{Kind: site.Policy, Operator: "north", Sensors: []string{"Alpha"}}, map[string]string{"site.yaml": off, "settings.yaml": "evidence_to_collector: {send: all, day_bytes: 2097152}\n"})},
			"taken taken", 2, 0, ""},
		{"both go on", [][]byte{rules("grid", 4, author, site.Terms{}, siteRule)}, "taken", 4, 0, ""},
	} {
		revision := depot.offer(step.packs...)
		for range 2 { // the second time there is nothing to do
			if err := c.follow(t.Context(), revision); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
		}
		heard := depot.heard()
		if step.name == "a policy" || strings.HasPrefix(step.name, "a policy on") { // the pack of rules was told before
			heard = "taken" + strings.TrimPrefix(" "+heard, " taken")
			if !strings.Contains(heard, " ") {
				heard = "taken " + depot.heard()
			}
		}
		h := d.rules.health()
		if heard != step.heard || h.PackVersion != step.version || h.Rules != built+step.rules || (h.Refused == "") != (step.refused == "") || !strings.Contains(h.Refused, step.refused) {
			t.Errorf("%s: the collector hears %q, want %q; in force are %d rules (%d built in), pack %d; refused %q, want %q", step.name, heard, step.heard, h.Rules, built, h.PackVersion, h.Refused, step.refused)
		}
	}
	if h := d.rules.health(); h.Policy != "word" || h.PolicyVersion != 1 || !h.Central {
		t.Errorf("health %+v", h)
	}
	if got := d.rules.book.Settings.sending(evidence.Sending{}); got.Send != evidence.SendAll || got.DayBytes != 2<<20 {
		t.Errorf("evidence is sent as %+v", got)
	}
	if got := d.rules.book.Settings.sending(evidence.Sending{Send: evidence.SendNone}); got.Send != evidence.SendNone {
		t.Errorf("a site that lets none leave it sends %+v", got)
	}
	left, err := filepath.Glob(filepath.Join(state, centralFolder, "*"+partExt))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}

	// a start with a policy that this program cannot read goes on without it
	put(t, d.cfg.RuleFiles().Policy, "no pack")
	book, err := d.startRules()
	if err != nil || book.Pack.Version != 4 || book.Policy != nil || d.rules.health().Refused == "" {
		t.Errorf("started with %+v, %v", book, err)
	}
	if _, err := os.Stat(d.cfg.RuleFiles().Policy + asideExt); err != nil {
		t.Error(err)
	}
}

// TestCentralResumes: over a link that breaks, what was fetched is not fetched again, not even by the next life of the sensor.
func TestCentralResumes(t *testing.T) {
	author, key := signer(t, 1)
	depot := newDepot(t)
	state := t.TempDir()
	cfg := Config{State: state, Central: true, RulesKey: key, Phase: "off", Replay: Recorded{Files: []string{filepath.Join(need.Root(t), "testdata", "demo.pcap")}}}
	d := standing(t, cfg, slog.New(slog.DiscardHandler))
	folder := filepath.Join(state, centralFolder)
	pack := sealed(t, author, "grid", 1, site.Terms{}, map[string]string{"mine.yaml": siteRule + strings.Repeat("# filler\n", 9000)}) // 81 kB: three parts
	revision := depot.offer(pack)
	depot.broken = 1
	if err := newCentral(d, http.DefaultTransport, depot.URL, folder).follow(t.Context(), revision); err == nil {
		t.Fatal("a link that broke is not noticed")
	}
	if err := newCentral(d, http.DefaultTransport, depot.URL, folder).follow(t.Context(), revision); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(depot.asked, " "); !strings.HasPrefix(got, "bytes=0-32767 bytes=32768-65535 bytes=32768-65535 bytes=65536-") || len(depot.asked) != 4 {
		t.Errorf("asked for %s", got)
	}
	if h := d.rules.health(); h.PackVersion != 1 || depot.heard() != "taken" {
		t.Errorf("in force %+v, the collector hears %q", h, depot.heard())
	}
	var none uint64
	c := newCentral(d, http.DefaultTransport, depot.URL, folder)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.run(ctx); close(done) }()
	for range 5 {
		c.offered(none) // never blocks
	}
	stop()
	<-done
}
