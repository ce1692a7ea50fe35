package share

import (
	"context"
	"encoding/json"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MediaType is the only one of TAXII 2.1 (§1.6.8.4).
const MediaType = "application/taxii+json;version=2.1"

// stixMedia is the media type of the objects themselves.
const stixMedia = "application/stix+json;version=2.1"

// Collection is the one collection: the alerts that were released. Its identifier is part of what clients configure.
const Collection = "b2b27a0a-9ed5-5c3f-8f0d-3a4c1ce3f2d4"

// collectionTitle is unique on the server, because OpenCTI's connector picks collections by title.
const collectionTitle = "alerts"

// APIRoot is the path of the one API root.
const APIRoot = "/taxii2/roje/"

// A Server answers TAXII 2.1 over a log. It does not ask who the client is: the composition lets in only accounts that
// may pull (see package account). Any goroutine may call its handlers.
type Server struct {
	Log Log
	// Feed says which feed who asks gets; see Recipient.Feed.
	Feed   func(ctx context.Context) string
	Logger *slog.Logger
	Title  string // of the discovery answer
	// Refresh brings what was released up to now into the log; it is called before the log is read. nil: nothing to do.
	Refresh func(ctx context.Context) error
}

// A Resource is one address of the server, for the table of routes. Method is GET (which serves HEAD too) or DELETE and
// POST, which are refused in TAXII's own form.
type Resource struct {
	Pattern string // of net/http's ServeMux
	Handler http.HandlerFunc
}

// Resources lists every address of the server (TAXII 2.1 §4 and §5).
func (s *Server) Resources() []Resource {
	root := "GET " + APIRoot
	one := root + "collections/{collection}/"
	return []Resource{
		{"GET /taxii2/{$}", s.plain(s.discovery)},
		{root + "{$}", s.plain(s.apiRoot)},
		{root + "collections/{$}", s.plain(s.collections)},
		{one + "{$}", s.in(s.collection)},
		{one + "manifest/{$}", s.in(s.manifest)},
		{one + "objects/{$}", s.in(s.objects)},
		{one + "objects/{object}/{$}", s.in(s.object)},
		{one + "objects/{object}/versions/{$}", s.in(s.versions)},
		{"POST " + APIRoot + "collections/{collection}/objects/{$}", s.in(s.readOnly)},
		{"DELETE " + APIRoot + "collections/{collection}/objects/{object}/{$}", s.in(s.readOnly)},
		{"/taxii2/", s.plain(func(w http.ResponseWriter, _ *http.Request) {
			Error(w, http.StatusNotFound, "Not found", "there is no such resource; begin at /taxii2/")
		})},
	}
}

// plain checks what the client accepts.
func (s *Server) plain(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !accepts(r.Header.Values("Accept")) {
			Error(w, http.StatusNotAcceptable, "Not acceptable", "this server speaks "+MediaType)
			return
		}
		h(w, r)
	}
}

// in checks that the collection exists too.
func (s *Server) in(h http.HandlerFunc) http.HandlerFunc {
	return s.plain(func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("collection") != Collection {
			Error(w, http.StatusNotFound, "Collection not found", "there is no such collection, or this account may not see it")
			return
		}
		h(w, r)
	})
}

func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	send(w, Object{
		"title": s.Title, "description": "Alerts of control networks that an operator released.",
		"default": APIRoot, "api_roots": []string{APIRoot},
	})
}

func (s *Server) apiRoot(w http.ResponseWriter, _ *http.Request) {
	send(w, Object{
		"title": s.Title, "versions": []string{MediaType},
		"max_content_length": 1 << 20, // what a client may send; nothing is taken
	})
}

func theCollection() Object {
	return Object{
		"id": Collection, "title": collectionTitle, "alias": collectionTitle,
		"description": "Released alerts: sightings with observed data, rules and techniques.",
		"can_read":    true, "can_write": false, "media_types": []string{stixMedia},
	}
}

func (s *Server) collections(w http.ResponseWriter, _ *http.Request) {
	send(w, Object{"collections": []Object{theCollection()}})
}

func (s *Server) collection(w http.ResponseWriter, _ *http.Request) { send(w, theCollection()) }

func (s *Server) readOnly(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		if kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || !isTAXII(kind, params) {
			Error(w, http.StatusUnsupportedMediaType, "Unsupported media type", "send "+MediaType)
			return
		}
	}
	Error(w, http.StatusForbidden, "Forbidden", "the collection cannot be written; an operator retracts by releasing a revoked version")
}

func (s *Server) manifest(w http.ResponseWriter, r *http.Request) {
	s.page(w, r, "", "objects", func(e Entry) any {
		return Object{"id": e.ID, "date_added": Date(e.Added), "version": e.version(), "media_type": stixMedia}
	}, "id", "type", "version", "spec_version")
}

func (s *Server) objects(w http.ResponseWriter, r *http.Request) {
	s.page(w, r, "", "objects", func(e Entry) any { return e.Body }, "id", "type", "version", "spec_version")
}

func (s *Server) object(w http.ResponseWriter, r *http.Request) {
	s.page(w, r, r.PathValue("object"), "objects", func(e Entry) any { return e.Body }, "version", "spec_version")
}

func (s *Server) versions(w http.ResponseWriter, r *http.Request) {
	s.page(w, r, r.PathValue("object"), "versions", func(e Entry) any { return e.version() }, "spec_version")
}

// page answers one page of entries, rendered by show, as the envelope's member. With object it is of that object
// alone, and 404 if the log has never held it.
func (s *Server) page(w http.ResponseWriter, r *http.Request, object, member string, show func(Entry) any, filters ...string) {
	q, err := parseQuery(Collection, r.URL.Query(), filters...)
	if err != nil {
		Error(w, http.StatusBadRequest, "Bad request", err.Error())
		return
	}
	if s.Refresh != nil {
		if err := s.Refresh(r.Context()); err != nil {
			s.broken(w, r, err)
			return
		}
	}
	if object != "" {
		q.IDs = []string{object}
		known, _, err := s.Log.Read(r.Context(), s.Feed(r.Context()), Query{IDs: q.IDs, Limit: 1})
		if err != nil {
			s.broken(w, r, err)
			return
		}
		if len(known) == 0 {
			Error(w, http.StatusNotFound, "Object not found", "the collection holds no object of this identifier")
			return
		}
	}
	if member == "versions" {
		q.Versions = Versions{All: true}
	}
	entries, more, err := s.Log.Read(r.Context(), s.Feed(r.Context()), q)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if len(entries) == 0 {
		send(w, Object{})
		return
	}
	items := make([]any, len(entries))
	for i, e := range entries {
		items[i] = show(e)
	}
	answer := Object{member: items}
	last := entries[len(entries)-1].Added
	if more {
		answer["more"], answer["next"] = true, q.next(Collection, last)
	}
	w.Header().Set("X-TAXII-Date-Added-First", Date(entries[0].Added))
	w.Header().Set("X-TAXII-Date-Added-Last", Date(last))
	send(w, answer)
}

func (s *Server) broken(w http.ResponseWriter, r *http.Request, err error) {
	s.Logger.Error("taxii", "path", r.URL.Path, "err", err)
	Error(w, http.StatusInternalServerError, "Internal error", "the server could not read its store")
}

func (e Entry) version() string {
	if e.Version.Equal(e.Added) {
		return Date(e.Added)
	}
	return stamp(e.Version)
}

// Date renders a date_added: always six decimals, as clients compare it as text.
func Date(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// accepts says whether a client that sent these Accept headers takes the one media type there is. None means any.
func accepts(headers []string) bool {
	if len(headers) == 0 {
		return true
	}
	for _, part := range strings.Split(strings.Join(headers, ","), ",") {
		kind, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil || params["q"] == "0" {
			continue
		}
		if kind == "*/*" || kind == "application/*" || isTAXII(kind, params) {
			return true
		}
	}
	return false
}

// isTAXII accepts the media type without a version as the newest.
func isTAXII(kind string, params map[string]string) bool {
	v, has := params["version"]
	return kind == "application/taxii+json" && (!has || v == "2.1")
}

func send(w http.ResponseWriter, body Object) {
	w.Header().Set("Content-Type", MediaType)
	w.Write(body.JSON())
}

// Error answers in TAXII's error form (§3.6.1).
func Error(w http.ResponseWriter, status int, title, description string) {
	w.Header().Set("Content-Type", MediaType)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(Object{
		"title": title, "description": description, "http_status": strconv.Itoa(status),
	})
}
