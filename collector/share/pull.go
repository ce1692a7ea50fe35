package share

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/roje-ot/roje/collector/store"
)

// The addresses of the files.
const (
	MISPRoot = "/misp/"
	CSVPath  = "/share/alerts.csv"
)

// Files are what a recipient pulls as files: a MISP feed and a table. Like Server it does not ask who comes. Its methods are
// safe for concurrent use.
type Files struct {
	From      Releases
	Scope     store.Scope
	Recipient func(ctx context.Context) Recipient // who asks
	Logger    *slog.Logger

	mu   sync.Mutex
	made map[Recipient]*mispFeed
}

// A mispFeed is what of a feed is made for all events at once.
type mispFeed struct {
	latest   time.Time // the newest release in it
	manifest []byte
	hashes   []byte
	of       map[string]store.ReleaseFilter // by event: what it is of
}

// Resources lists every address.
func (f *Files) Resources() []Resource {
	return []Resource{
		{"GET " + MISPRoot + "{$}", f.serve("text/plain; charset=utf-8", f.index)},
		{"GET " + MISPRoot + "manifest.json", f.serve("application/json", func(ctx context.Context, _ string) ([]byte, error) {
			feed, err := f.feed(ctx)
			if err != nil {
				return nil, err
			}
			return feed.manifest, nil
		})},
		{"GET " + MISPRoot + "hashes.csv", f.serve("text/csv; charset=utf-8", func(ctx context.Context, _ string) ([]byte, error) {
			feed, err := f.feed(ctx)
			if err != nil {
				return nil, err
			}
			return feed.hashes, nil
		})},
		{"GET " + MISPRoot + "{file}", f.serve("application/json", f.event)},
		{"GET " + CSVPath, f.serve("text/csv; charset=utf-8", func(ctx context.Context, _ string) ([]byte, error) { return f.table(ctx) })},
	}
}

// serve answers with a file, or says that it has not changed.
func (f *Files) serve(media string, file func(ctx context.Context, name string) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := file(r.Context(), r.PathValue("file"))
		if errors.Is(err, store.ErrNotFound) {
			http.NotFound(w, r)
			return
		}
		if err != nil {
			f.Logger.Error("released files", "path", r.URL.Path, "err", err)
			http.Error(w, "the store could not be read", http.StatusInternalServerError)
			return
		}
		sum := sha256.Sum256(text)
		w.Header().Set("Content-Type", media)
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
	}
}

func (f *Files) index(context.Context, string) ([]byte, error) {
	return []byte("manifest.json\nhashes.csv\n"), nil
}

// everything is the latest version of alerts, campaigns and cases.
var everything = store.ReleaseFilter{Groups: true}

// each calls do for what filter picks of the releases, as it leaves for a recipient.
func each(ctx context.Context, from Releases, s store.Scope, to Recipient, filter store.ReleaseFilter, do func(*leaving) error) error {
	seen, err := see(ctx, from, s, to)
	if err != nil {
		return err
	}
	for cursor := ""; ; {
		page, next, err := from.ListReleased(ctx, s, filter, cursor, 500)
		if err != nil {
			return err
		}
		for _, r := range page {
			as, ok, err := seen.of(ctx, r)
			if ok {
				err = do(&as)
			}
			if err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		cursor = next
	}
}

// feed is the recipient's, made anew where something was released since.
func (f *Files) feed(ctx context.Context) (*mispFeed, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	recipient := f.Recipient(ctx)
	if feed := f.made[recipient]; feed != nil {
		newer, _, err := f.From.ListReleased(ctx, f.Scope, store.ReleaseFilter{All: true, Groups: true, AddedAfter: feed.latest}, "", 1)
		if err != nil || len(newer) == 0 {
			return feed, err
		}
	}
	feed := &mispFeed{of: map[string]store.ReleaseFilter{}}
	for cursor := ""; ; { // up to where it looks now: what comes meanwhile is looked at again
		page, next, err := f.From.ListReleased(ctx, f.Scope, everything, cursor, 1000)
		if err != nil {
			return nil, err
		}
		if len(page) > 0 {
			feed.latest = page[len(page)-1].Added
		}
		if cursor = next; next == "" {
			break
		}
	}
	manifest := Object{}
	var hashes strings.Builder
	err := each(ctx, f.From, f.Scope, recipient, everything, func(l *leaving) error {
		if e, ok := l.event(f.Scope.Operator()); ok {
			manifest[e.UUID], feed.of[e.UUID] = e.Manifest, store.ReleaseFilter{Alert: l.id, Kind: l.Kind()}
			for _, line := range e.Hashes {
				hashes.WriteString(line + "\n")
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	feed.manifest, feed.hashes = mispJSON(manifest), []byte(hashes.String())
	if f.made == nil {
		f.made = map[Recipient]*mispFeed{}
	}
	f.made[recipient] = feed
	return feed, nil
}

// event is the file UUID.json.
func (f *Files) event(ctx context.Context, name string) ([]byte, error) {
	feed, err := f.feed(ctx)
	if err != nil {
		return nil, err
	}
	of, ok := feed.of[strings.TrimSuffix(name, ".json")]
	if !ok {
		return nil, store.ErrNotFound
	}
	versions, _, err := f.From.ListReleased(ctx, f.Scope, of, "", 1)
	if err != nil || len(versions) == 0 {
		return nil, errors.Join(err, store.ErrNotFound)
	}
	seen, err := see(ctx, f.From, f.Scope, f.Recipient(ctx))
	if err != nil {
		return nil, err
	}
	as, ok, err := seen.of(ctx, versions[0])
	if err == nil && !ok { // it was released anew meanwhile, above the ceiling
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	e, ok := as.event(f.Scope.Operator())
	if !ok {
		return nil, store.ErrNotFound
	}
	return mispJSON(e.Event), nil
}

// Write gives each file of the MISP feed, the table, and all objects as a STIX 2.1 bundle, by name, to put.
func (f *Files) Write(ctx context.Context, put func(name string, text []byte) error) error {
	feed, err := f.feed(ctx)
	if err == nil {
		err = errors.Join(put("misp/manifest.json", feed.manifest), put("misp/hashes.csv", feed.hashes))
	}
	if err != nil {
		return err
	}
	var objects []Object
	had := map[string]bool{}
	err = each(ctx, f.From, f.Scope, f.Recipient(ctx), everything, func(l *leaving) error {
		for _, o := range l.objects(f.Scope.Operator()) {
			if !had[o.ID()] {
				had[o.ID()], objects = true, append(objects, o)
			}
		}
		if e, ok := l.event(f.Scope.Operator()); ok {
			return put("misp/"+e.UUID+".json", mispJSON(e.Event))
		}
		return nil
	})
	if err != nil {
		return err
	}
	table, err := f.table(ctx)
	if err != nil {
		return err
	}
	bundle := Object{"type": "bundle", "id": "bundle--" + uuid.NewString(), "objects": objects}
	return errors.Join(put("alerts.csv", table), put("stix.json", bundle.JSON()))
}

// columns are those of the table, with what is in them.
var columns = []struct {
	name string
	of   func(r *store.Released) string
}{
	{"id", func(r *store.Released) string { return r.Alert.ID }},
	{"tlp", func(r *store.Released) string { return string(r.TLP) }},
	{"released", func(r *store.Released) string { return stamp(r.Added) }},
	{"version", func(r *store.Released) string { return fmt.Sprint(r.Version) }},
	{"retracted", func(r *store.Released) string { return fmt.Sprint(r.Revoked) }},
	{"severity", func(r *store.Released) string { return r.Alert.Severity.String() }},
	{"rule", func(r *store.Released) string { return r.Alert.Rule }},
	{"techniques", func(r *store.Released) string { return strings.Join(r.Alert.Techniques, " ") }},
	{"first", func(r *store.Released) string { return instant(r.Alert.First) }},
	{"last", func(r *store.Released) string { return instant(r.Alert.Last) }},
	{"count", func(r *store.Released) string { return fmt.Sprint(r.Alert.Count) }},
	{"client", func(r *store.Released) string { return r.Alert.Client }},
	{"server", func(r *store.Released) string { return r.Alert.Server }},
	{"proto", func(r *store.Released) string { return r.Alert.Proto }},
	{"message", func(r *store.Released) string { return r.Alert.Name }},
	{"title", func(r *store.Released) string { return r.Alert.Title }},
	{"learned", func(r *store.Released) string { return r.Alert.Learned }},
	{"observed", func(r *store.Released) string { return r.Alert.Observed }},
}

// table is everything in CSV (RFC 4180), the oldest release first.
func (f *Files) table(ctx context.Context) ([]byte, error) {
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	row := make([]string, len(columns))
	for i, c := range columns {
		row[i] = c.name
	}
	out.Write(row)
	err := EachSeen(ctx, f.From, f.Scope, f.Recipient(ctx), time.Time{}, func(r store.Released, _ string) error {
		if r.Masked || markingID(r.TLP) == "" {
			return nil
		}
		for i, c := range columns {
			row[i] = harmless(c.of(&r))
		}
		return out.Write(row)
	})
	out.Flush()
	return b.Bytes(), errors.Join(err, out.Error())
}

// harmless keeps a spreadsheet from taking what somebody on the network has sent for a formula.
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}
