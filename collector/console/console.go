// Package console is what people see of the collector: pages made on the server, one stylesheet, one small script.
//
// Everything works without the script; with it the list of alerts is live. All is embedded, and nothing is fetched
// from anywhere else. A row never moves under the reader: what is new is put on top only while the reader is not in the
// list, and is otherwise counted until asked for.
//
// Texts are in text/, a file per language, English being what the others fall back to. Alerts' sentences are as the
// sensor wrote them. Times are UTC.
package console

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/account/openid"
	"github.com/roje-ot/roje/collector/sector"
	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/attack"
)

//go:generate go run ./generate

//go:embed page/*.html
var pageFiles embed.FS

//go:embed static/*.css static/*.js static/*.svg
var staticFiles embed.FS

// A Server makes the pages. Any goroutine may use it.
type Server struct {
	Store  store.Store
	Scope  store.Scope
	Guard  *account.Guard
	Logger *slog.Logger
	Now    func() time.Time
	// Provider is where people may sign in too, nil where there is none.
	Provider *openid.Provider
	// Sector finds what operators have together, nil but in a CERT's collector.
	Sector *sector.Finder
	Done   <-chan struct{} // closed when the collector stops: live lists end
}

// Routes lists the addresses of the console.
func (s *Server) Routes() []account.Route {
	page := func(pattern string, roles []store.Role, h http.HandlerFunc) account.Route {
		return account.Route{Pattern: pattern, Door: account.Page, Roles: roles, Handler: h}
	}
	fresh := func(pattern string, h http.HandlerFunc) account.Route {
		return account.Route{Pattern: pattern, Door: account.Page, Roles: account.People, Fresh: true, Handler: h}
	}
	static, err := fs.Sub(staticFiles, "static")
	if err != nil {
		panic(err) // the folder is embedded
	}
	files := http.StripPrefix("/static/", http.FileServerFS(static))
	return append([]account.Route{
		{Pattern: "GET /signin", Door: account.Open, Handler: s.signInPage},
		{Pattern: "POST /signin", Door: account.Open, Handler: s.signIn},
		{Pattern: "GET " + openid.Path, Door: account.Open, Handler: s.toProvider},
		{Pattern: "GET " + openid.Callback, Door: account.Open, Handler: s.fromProvider},
		{Pattern: "GET /signin/step", Door: account.Open, Handler: s.stepPage},
		{Pattern: "POST /signin/step", Door: account.Open, Handler: s.step},
		{Pattern: "GET /static/", Door: account.Open, Handler: func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/") {
				http.NotFound(w, r) // no lists of files
				return
			}
			w.Header().Set("Cache-Control", "max-age=300")
			files.ServeHTTP(w, r)
		}},
		fresh("POST /signout", s.signOut),
		fresh("GET /password", s.passwordPage),
		fresh("POST /password", s.changePassword),
		fresh("POST /language", s.setLanguage),
		fresh("GET /second", s.secondPage),
		fresh("POST /second", s.changeSecond),
		page("GET /{$}", account.Readers, s.alerts),
		page("GET /live", account.Readers, s.live),
		page("GET /alerts/{id}", account.Readers, s.alert),
		page("POST /alerts/{id}/status", account.Judges, s.setStatus),
		page("POST /alerts/{id}/release", account.Judges, s.release),
		page("POST /alerts/{id}/retract", account.Judges, s.retract),
		page("POST /alerts/{id}/evidence", account.Judges, s.askEvidence),
		page("GET /alerts/{id}/evidence.pcapng", account.Readers, s.evidence),
		page("GET /sensors", account.Watchers, s.sensors),
		page("GET /statements/{id}", account.Readers, s.statement),
		page("POST /joins/{id}/approve", account.Admins, s.approve),
		page("POST /joins/{id}/reject", account.Admins, s.reject),
		page("POST /sensors/{id}/deny", account.Admins, s.deny),
		page("POST /sensors/{id}/allow", account.Admins, s.allow),
		page("GET /audit", account.Auditors, s.audit),
		page("GET /users", account.Admins, s.users),
		page("POST /users", account.Admins, s.addUser),
		page("POST /users/sealed", account.Admins, s.seal),
		page("POST /users/{name}", account.Admins, s.editUser),
	}, slices.Concat(s.fleetRoutes(page), s.certRoutes(page), s.groupRoutes(page), s.sectorRoutes(page))...)
}

// A view is what every page gets; pages embed it.
type view struct {
	words words
	User  store.User
	Path  string
	Error string           // what was wrong with what was sent, in the reader's language
	Live  bool             // the page changes by itself
	Glass []account.Opened // sealed accounts that were opened
	// Unread is how many letters wait for an answer that the reader may give, up to some.
	Unread int
	// Sector says that there is a page of the sector, which the reader may see.
	Sector bool
	now    time.Time
	first  bool
}

func (s *Server) view(r *http.Request) view {
	u, ok := account.UserOf(r.Context())
	v := view{words: choose(u.Language, r.Header.Get("Accept-Language")), User: u, Path: r.URL.Path, now: s.Now()}
	if ok {
		var err error
		v.first = s.Guard.First(&u) != ""
		v.Sector = s.Sector != nil && slices.Contains(account.Sector, u.Role)
		if u.Role == store.CERTAnalyst {
			return v // the rest is the operator's own
		}
		if v.Glass, err = account.OpenGlass(r.Context(), s.Store, s.Scope); err != nil {
			s.Logger.Error("sealed accounts", "err", err)
		}
		if v.May("judge") {
			waiting, _, err := s.Store.ListLetters(r.Context(), s.Scope, store.LetterFilter{State: store.LetterWaiting}, "", listMost)
			if v.Unread = len(waiting); err != nil {
				s.Logger.Error("letters", "err", err)
			}
		}
	}
	return v
}

// View is the part of a page that every page has.
func (v view) View() view { return v }

// T is the text of a key in the reader's language, with args in the places of its verbs.
func (v view) T(key string, args ...any) string { return v.words.text(key, args...) }

// Lang is the language of the page.
func (v view) Lang() string { return v.words.code }

// Languages are those there are.
func (v view) Languages() []words { return catalogue }

// rights are the words by which pages ask what their reader may do.
var rights = map[string][]store.Role{
	"read": account.Readers, "judge": account.Judges, "engineer": account.Engineers, "admin": account.Admins, "audit": account.Auditors, "watch": account.Watchers, "write": account.Writers,
}

// May says whether the reader has a right.
func (v view) May(what string) bool { return slices.Contains(rights[what], v.User.Role) }

// Home is where the reader's pages begin.
func (v view) Home() string { return account.Home(v.User.Role) }

// First says whether the reader has something to do before any other page opens.
func (v view) First() bool { return v.first }

// Ago is how long ago a time was, in the largest unit that tells something.
func (v view) Ago(t time.Time) string {
	d := v.now.Sub(t)
	switch {
	case d < time.Minute:
		return v.T("time.now")
	case d < time.Hour:
		return v.T("time.minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return v.T("time.hours", int(d.Hours()))
	default:
		return v.T("time.days", int(d.Hours()/24))
	}
}

// parts are the files that pages have parts of themselves in.
var parts = []string{"frame.html", "row.html", "intocase.html", "letter.html", "groupform.html"}

// pages are the parsed pages by file name. Each is the frame with its own main part.
var pages = parsePages()

func parsePages() map[string]*template.Template {
	functions := template.FuncMap{
		"utc":       func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"iso":       func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"technique": attack.Name,
		"page":      share.TechniqueURL,
		"point":     share.PointWords,
		"label":     share.Label,
		"glyph":     glyph,
		"percent":   func(f float64) string { return fmt.Sprintf("%.0f %%", f*100) },
		"bytes":     byteCount,
		"row":       func(v view, a store.Alert) row { return row{v, a} },
		"into": func(v view, in, open []store.Case, kind, ref, name, incident string) into {
			return into{v, in, open, kind, ref, name, incident}
		},
	}
	common := template.Must(template.New("frame.html").Funcs(functions).ParseFS(pageFiles, "page/frame.html", "page/row.html", "page/intocase.html", "page/letter.html", "page/groupform.html"))
	out := map[string]*template.Template{"row.html": common}
	entries, err := fs.ReadDir(pageFiles, "page")
	if err != nil {
		panic(err) // the folder is embedded
	}
	for _, e := range entries {
		if name := e.Name(); !slices.Contains(parts, name) {
			out[name] = template.Must(template.Must(common.Clone()).ParseFS(pageFiles, "page/"+name))
		}
	}
	return out
}

// glyphs tell severities apart without colour, in the order of rules.Severity.
var glyphs = [...]string{"○", "▽", "◇", "▲", "◆"}

func glyph(severity fmt.Stringer) string {
	for i, name := range severityNames {
		if name == severity.String() {
			return glyphs[i]
		}
	}
	return ""
}

func byteCount(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
}

// render sends a page.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var b bytes.Buffer
	if err := pages[name].ExecuteTemplate(&b, "frame.html", data); err != nil {
		s.Logger.Error("page", "path", r.URL.Path, "err", err)
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	b.WriteTo(w)
}

// broken answers an error of the store.
func (s *Server) broken(w http.ResponseWriter, r *http.Request, err error) {
	v := s.view(r)
	status, key := http.StatusInternalServerError, "error.store"
	switch {
	case errors.Is(err, store.ErrNotFound):
		status, key = http.StatusNotFound, "error.missing"
	case errors.Is(err, store.ErrCursor):
		status, key = http.StatusBadRequest, "error.cursor"
	default:
		s.Logger.Error("console", "path", r.URL.Path, "err", err)
	}
	v.Error = v.T(key)
	s.render(w, r, status, "error.html", v)
}
