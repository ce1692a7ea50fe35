package sensor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/site"
	"github.com/roje-ot/roje/sensor/ship"
)

// centralFolder is the folder, in the sensor's state, of the packs that its collector hands out or that were installed in
// their place, and of what has come of those that are on their way.
const centralFolder = "central"

const (
	partExt    = ".part"
	asideExt   = ".refused"
	mostPack   = 16 << 20         // bytes; no pack has more
	partBytes  = 32 << 10         // of one request: an urgent alert waits no longer than for that
	partWithin = 10 * time.Minute // 32 KiB at 100 B/s take half of it
)

// central fetches the packs that the collector offers, and has them taken. The collector is believed in nothing: a pack
// is taken if its author's key, which the site's configuration names, signed it, for this sensor; if it has not expired and
// is no older than the one in use; if it is of the same name as that; and if its rules pass their tests. What is refused is
// reported, once, and said in the health record until something else is offered.
type central struct {
	d      *daemon
	http   http.RoundTripper
	url    string
	folder string
	news   chan uint64 // revisions of what is offered; the latest counts

	// of run's goroutine
	settled uint64                   // revision that is done with
	known   map[string]batch.Outcome // of what is offered, by hash
	told    map[string]bool          // outcomes that the collector has heard
}

// openCentral makes the folder and, where there is a way to the collector, what fetches from it.
func (d *daemon) openCentral() error {
	if !d.cfg.Central {
		return nil
	}
	folder := filepath.Join(d.cfg.State, centralFolder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("rules_central: %w", err)
	}
	d.rules.mu.Lock()
	d.rules.central = true
	d.rules.mu.Unlock()
	if client, ok := d.shipper.(*ship.Client); ok {
		d.central = newCentral(d, client.HTTP, client.URL, folder)
		client.Policy = d.central.offered
	}
	return nil
}

func newCentral(d *daemon, way http.RoundTripper, url, folder string) *central {
	return &central{d: d, http: way, url: url, folder: folder, news: make(chan uint64, 1), known: map[string]batch.Outcome{}, told: map[string]bool{}}
}

// startRules is loadRules at a start, at which packs of the collector are no reason not to run.
func (d *daemon) startRules() (*Rulebook, error) {
	book, err := d.loadRules()
	if err != nil && d.cfg.Central && d.setAside(err) {
		return d.loadRules()
	}
	return book, err
}

// setAside takes the policy, and then the pack of rules, out of the way of a start that fails with one of them: the program
// may be of another version than when they were taken. It says whether that helps.
func (d *daemon) setAside(why error) bool {
	f := d.cfg.RuleFiles()
	if _, err := LoadRulebook(f, time.Now()); err == nil {
		return false // it is something else
	}
	var aside []string
	for _, place := range []*string{&f.Policy, &f.Rules} {
		aside = append(aside, *place)
		*place = ""
		if _, err := LoadRulebook(f, time.Now()); err != nil {
			continue
		}
		for _, path := range aside {
			if err := os.Rename(path, path+asideExt); err != nil && !errors.Is(err, os.ErrNotExist) {
				d.log.Error("a pack cannot be set aside", "err", err)
				return false
			}
		}
		d.log.Error("packs are set aside: the sensor starts without", "packs", aside, "err", why)
		d.rules.mu.Lock()
		d.rules.declined = why.Error()
		d.rules.mu.Unlock()
		return true
	}
	return false
}

// offered hears a revision. It is called by the goroutine that ships.
func (c *central) offered(revision uint64) {
	for {
		select {
		case c.news <- revision:
			return
		default:
		}
		select {
		case <-c.news:
		default:
		}
	}
}

// run fetches until ctx ends. What fails on the way is tried again with the next answer of the collector.
func (c *central) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case revision := <-c.news:
			if err := c.follow(ctx, revision); err != nil && ctx.Err() == nil {
				c.d.log.Warn("packs of the collector are not fetched yet", "err", err)
			}
		}
	}
}

// follow does what a new revision asks for.
func (c *central) follow(ctx context.Context, revision uint64) error {
	if revision == c.settled {
		return nil
	}
	var offers batch.Offers
	if revision != 0 {
		text, err := c.ask(ctx, http.MethodGet, batch.PathPacks, nil, nil)
		if err == nil {
			err = json.Unmarshal(text, &offers)
		}
		if err != nil {
			return err
		}
	}
	c.clear(offers.Packs)
	var errs []error
	for _, o := range offers.Packs {
		if _, err := hex.DecodeString(o.SHA256); err != nil || len(o.SHA256) != 2*sha256.Size {
			return fmt.Errorf("the collector offers %.80q, which is no hash", o.SHA256)
		}
		errs = append(errs, c.handle(ctx, o))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	c.settled = revision
	return nil
}

// clear forgets what is no longer offered.
func (c *central) clear(offers []batch.Offer) {
	still := map[string]bool{}
	for _, o := range offers {
		still[o.SHA256] = true
	}
	for sum := range c.known {
		if !still[sum] {
			delete(c.known, sum)
			delete(c.told, sum)
		}
	}
	parts, err := filepath.Glob(filepath.Join(c.folder, "*"+partExt))
	if err != nil {
		return
	}
	for _, part := range parts {
		if !still[strings.TrimSuffix(filepath.Base(part), partExt)] {
			os.Remove(part)
		}
	}
	c.decline()
}

// decline says in the health record what of the offers was refused.
func (c *central) decline() {
	var why []string
	for _, o := range c.known {
		if !o.Taken {
			why = append(why, o.Why)
		}
	}
	c.d.rules.mu.Lock()
	c.d.rules.declined = strings.Join(why, "; ")
	c.d.rules.mu.Unlock()
}

// handle fetches a pack that is not here, has it taken, and says what became of it. An error is one of the way.
func (c *central) handle(ctx context.Context, o batch.Offer) error {
	outcome, known := c.known[o.SHA256]
	if !known {
		outcome = batch.Outcome{SHA256: o.SHA256, Taken: c.inForce(o)}
		if !outcome.Taken {
			packed, err := c.fetch(ctx, o)
			if err != nil {
				return err
			}
			outcome = c.take(o, packed)
		}
		c.known[o.SHA256] = outcome
		c.decline()
		c.d.reportHealth()
	}
	if c.told[o.SHA256] {
		return nil
	}
	body, err := json.Marshal(outcome)
	if err == nil {
		_, err = c.ask(ctx, http.MethodPost, batch.PathOutcome, body, nil)
	}
	c.told[o.SHA256] = err == nil
	return err
}

// inForce says whether a pack is the one that is judged by.
func (c *central) inForce(o batch.Offer) bool {
	h := c.d.rules.health()
	return o.SHA256 == h.PackSHA256 || o.SHA256 == h.PolicySHA256
}

// take has a pack taken, or says why not.
func (c *central) take(o batch.Offer, packed []byte) batch.Outcome {
	err := c.install(packed)
	if err == nil {
		return batch.Outcome{SHA256: o.SHA256, Taken: true}
	}
	c.d.log.Error("a pack of the collector is refused: what is in force goes on", "reason", site.Reason(err), "err", err)
	return batch.Outcome{SHA256: o.SHA256, Reason: site.Reason(err), Why: err.Error()}
}

func (c *central) install(packed []byte) error {
	p, err := site.Open(packed)
	if err != nil {
		return err
	}
	c.d.rules.mu.Lock()
	now := c.d.rules.book.Pack
	if p.Kind == site.Policy {
		now = c.d.rules.book.Policy
	}
	c.d.rules.mu.Unlock()
	if now != nil && now.Name != p.Name {
		return fmt.Errorf("pack %s %d is %w, %s; install it at the sensor if that is meant", p.Name, p.Version, site.ErrRenamed, now.Name)
	}
	if _, err := InstallPack(c.d.cfg.RuleFiles(), packed, time.Now()); err != nil {
		return err
	}
	_, _, err = c.d.reloadRules()
	return err
}

// fetch gets the bytes of a pack, part by part. What came of it before, in this life of the sensor or an earlier one, is
// not fetched again.
func (c *central) fetch(ctx context.Context, o batch.Offer) ([]byte, error) {
	if o.Size <= 0 || o.Size > mostPack {
		return nil, fmt.Errorf("the collector offers a pack of %d bytes", o.Size)
	}
	part := filepath.Join(c.folder, o.SHA256+partExt)
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	packed, err := io.ReadAll(io.LimitReader(f, o.Size+1))
	for err == nil && int64(len(packed)) < o.Size {
		var piece []byte
		from := len(packed)
		piece, err = c.ask(ctx, http.MethodGet, batch.PathPacks+"/"+o.SHA256, nil, &stretch{from, min(from+partBytes, int(o.Size))})
		if err == nil && len(piece) == 0 {
			err = errors.New("the collector sends nothing of the pack")
		}
		if err == nil {
			_, err = f.Write(piece)
			packed = append(packed, piece...)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("pack %s %d: %w", o.Name, o.Version, err)
	}
	os.Remove(part) // it is taken or refused now; if it is not what was offered, it is fetched anew
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != o.SHA256 {
		return nil, fmt.Errorf("pack %s %d: what came is not what was offered", o.Name, o.Version)
	}
	return packed, nil
}

// A stretch is bytes from an offset to before another.
type stretch struct{ from, to int }

// ask sends a request to the collector and returns what it answers, of a stretch no more than that.
func (c *central) ask(ctx context.Context, method, path string, body []byte, part *stretch) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, partWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	most, want := int64(1<<20), http.StatusOK
	if part != nil {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", part.from, part.to-1))
		most, want = int64(part.to-part.from), http.StatusPartialContent
	}
	resp, err := c.http.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("reach the collector at %s: %w", c.url, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil && (part == nil || len(text) == 0) { // a part that broke off is a shorter one
		return nil, fmt.Errorf("answer of the collector: %w", err)
	}
	if resp.StatusCode != want {
		return nil, fmt.Errorf("%s %s: the collector answers %s", method, path, resp.Status)
	}
	return text, nil
}
