// Package ingest is the collector's listener for sensors. It takes signed batches over mutual TLS and says what is
// committed; it enrols sensors that bring a token, and renews their certificates.
//
// A client's certificate is judged per request, not in the handshake, so that a refusal can say why and the deny list
// holds at once. An envelope is believed by its signature: the key is looked up among the sensor's own certificates, so an
// envelope sealed before a renewal still counts. Every answer but 200 is a batch.Refusal. Secrets are never logged.
package ingest

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// A Store is what the listener needs of store.Store.
type Store interface {
	store.Intake
	store.Fleet
	store.Evidences
	store.Packs
}

// Config is what the listener works with. All but Parallel is needed.
type Config struct {
	Store Store
	CA    *pki.CA
	Now   func() time.Time
	Log   *slog.Logger

	// Parallel is how many requests are worked on at a time, each of which may take 100 MiB; 0 is 8. Who comes beyond that
	// is told to come again.
	Parallel int
	// Approve has a person approve every sensor that joins, whatever its token says.
	Approve bool
}

// A Handler serves the paths of package batch. Its counters may be read at any time.
type Handler struct {
	Config
	mux  *http.ServeMux
	busy chan struct{}

	Batches  atomic.Uint64 // envelopes committed, repeats included
	Records  atomic.Uint64 // records that were new
	Bytes    atomic.Uint64 // of envelopes committed
	Refused  atomic.Uint64 // requests refused, those that were told to wait aside
	Deferred atomic.Uint64 // requests that were told to wait
	Enrolled atomic.Uint64
}

// New makes a handler.
func New(cfg Config) *Handler {
	if cfg.Parallel <= 0 {
		cfg.Parallel = 8
	}
	h := &Handler{Config: cfg, mux: http.NewServeMux(), busy: make(chan struct{}, cfg.Parallel)}
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST " + batch.PathBatches: h.batches, "POST " + batch.PathEnrol: h.enrol, "POST " + batch.PathRenew: h.renew,
		"GET " + batch.PathPacks: h.offers, "GET " + batch.PathPacks + "/{sha256}": h.pack, "POST " + batch.PathOutcome: h.outcome,
	} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := serve(w, r); err != nil {
				h.refuse(w, r, err)
			}
		})
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.refuse(w, r, refuse(http.StatusNotFound, batch.NotFound, "there is no %s %s here", r.Method, r.URL.Path))
	})
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Server returns a server for h that speaks TLS by the CA: call ServeTLS with no files. hosts are the names and addresses
// that its certificate shows beside the collector's own name.
func Server(h *Handler, hosts ...string) *http.Server {
	return &http.Server{
		Handler:           h,
		TLSConfig:         h.CA.Server(hosts...),
		ReadHeaderTimeout: 30 * time.Second,
		ReadTimeout:       30 * time.Minute, // a full envelope over 64 kbit/s takes 17 minutes
		WriteTimeout:      31 * time.Minute,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(h.Log.Handler(), slog.LevelDebug),
	}
}

// A refusal is an error that says how to answer.
type refusal struct {
	status int
	batch.Refusal
	wait time.Duration
}

func (r *refusal) Error() string { return r.Message }

func refuse(status int, code batch.Code, format string, args ...any) *refusal {
	return &refusal{status: status, Refusal: batch.Refusal{Code: code, Message: fmt.Sprintf(format, args...)}}
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var no *refusal
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &no):
	case errors.As(err, &large):
		no = refuse(http.StatusRequestEntityTooLarge, batch.TooLarge, "a request has at most %d bytes", large.Limit)
	case errors.Is(err, store.ErrForked):
		no = refuse(http.StatusConflict, batch.Forked, "%v: the spool was restored from a copy, or copied; begin a new epoch", err)
	case errors.Is(err, store.ErrToken):
		no = refuse(http.StatusForbidden, batch.BadToken, "%v", err)
	case r.Context().Err() != nil:
		return // nobody listens any more
	default: // the store: what it says is for our log
		h.Log.Error("ingest failed", "path", r.URL.Path, "err", err)
		no = refuse(http.StatusServiceUnavailable, batch.Busy, "the collector cannot store anything now")
		no.wait = 10 * time.Second
	}
	switch no.Code {
	case batch.Waiting:
		w.Header().Set("Retry-After", strconv.Itoa(int(no.wait.Seconds())))
	case batch.Busy:
		h.Deferred.Add(1)
		seconds := no.wait.Seconds() * (1 + rand.Float64())
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)+1))
	default:
		h.Refused.Add(1)
		h.Log.Warn("refused a sensor", "path", r.URL.Path, "remote", r.RemoteAddr, "sensor", shown(r), "code", string(no.Code), "why", no.Message)
	}
	answer(w, no.status, no.Refusal)
}

// shown is the name in the certificate that the client showed, true or not.
func shown(r *http.Request) string {
	if cert := clientCert(r); cert != nil {
		return cert.Subject.CommonName
	}
	return ""
}

func clientCert(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// known says which sensor sent r. lapsed allows a certificate that has expired not too long ago.
func (h *Handler) known(r *http.Request, lapsed bool) (s store.Scope, sensor store.Sensor, cert *x509.Certificate, err error) {
	if cert = clientCert(r); cert == nil {
		return s, sensor, nil, refuse(http.StatusUnauthorized, batch.NoCert, "show the sensor's certificate: enrol first")
	}
	operator, id, err := h.CA.Verify(cert)
	if err != nil && !(lapsed && errors.Is(err, pki.ErrExpired)) {
		return s, sensor, nil, refuse(http.StatusForbidden, batch.BadCert, "%v", err)
	}
	if s, err = store.For(operator); err != nil {
		return s, sensor, nil, refuse(http.StatusForbidden, batch.BadCert, "%v", err)
	}
	sensor, err = h.Store.GetSensor(r.Context(), s, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return s, sensor, nil, refuse(http.StatusForbidden, batch.Denied, "sensor %s is unknown here: enrol it again", id)
	case err != nil:
		return s, sensor, nil, err
	case sensor.Denied != nil:
		return s, sensor, nil, refuse(http.StatusForbidden, batch.Denied, "sensor %s is on the deny list since %s", id, sensor.Denied.Format(time.RFC3339))
	}
	return s, sensor, cert, nil
}

// credit is how much the next request may carry, the less the busier it is.
func (h *Handler) credit() int64 {
	if len(h.busy) > cap(h.busy)/2 {
		return 256 << 10
	}
	return 4 << 20
}

// batches takes envelopes.
func (h *Handler) batches(w http.ResponseWriter, r *http.Request) error {
	s, sensor, cert, err := h.known(r, false)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, batch.MaxBody))
	if err != nil {
		return err
	}
	select { // only now: a slow link holds no place
	case h.busy <- struct{}{}:
		defer func() { <-h.busy }()
	default:
		no := refuse(http.StatusTooManyRequests, batch.Busy, "the collector is busy")
		no.wait = 2 * time.Second
		return no
	}
	batches, err := h.open(r.Context(), s, sensor.ID, body)
	if err != nil {
		return err
	}
	now := h.Now()
	batches, pieces, err := store.CutEvidence(batches)
	if err != nil {
		return err
	}
	got, err := h.Store.Ingest(r.Context(), s, sensor.ID, batches, now)
	if err == nil {
		err = store.PutPieces(r.Context(), h.Store, s, sensor.ID, pieces, now)
	}
	if err != nil {
		return err
	}
	h.Batches.Add(uint64(len(batches)))
	h.Records.Add(uint64(got.New))
	h.Bytes.Add(uint64(len(body)))
	a := batch.Answer{Ack: got.Ack, Credit: h.credit(), Time: now.UTC(), Expires: cert.NotAfter}
	for _, g := range got.Want {
		a.Want = append(a.Want, batch.Range(g))
	}
	if a.Evidence, err = h.Store.WantedEvidence(r.Context(), s, sensor.ID); err != nil {
		h.Log.Error("evidence is not asked for", "sensor", sensor.ID, "err", err) // the batches are committed
	}
	if offers, err := h.offered(r.Context(), s, sensor); err == nil {
		a.Policy = offers.Revision()
	} else {
		h.Log.Error("packs are not offered", "sensor", sensor.ID, "err", err)
	}
	answer(w, http.StatusOK, a)
	return nil
}

// open reads, checks and unpacks the envelopes of a body, which must all be of one sensor.
func (h *Handler) open(ctx context.Context, s store.Scope, sensor string, body []byte) ([]store.Batch, error) {
	var batches []store.Batch
	raw := 0
	for rest := body; len(rest) > 0; {
		e, after, err := batch.Decode(rest)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, batch.Malformed, "%v", err)
		}
		rest = after
		if e.Sensor != sensor || e.Operator != s.Operator() {
			return nil, refuse(http.StatusForbidden, batch.Foreign, "the envelope is of sensor %s of %s, the certificate of sensor %s of %s", e.Sensor, e.Operator, sensor, s.Operator())
		}
		cert, err := h.Store.FindCert(ctx, s, sensor, e.Key)
		if errors.Is(err, store.ErrNotFound) {
			return nil, refuse(http.StatusForbidden, batch.Unsigned, "no key %s of sensor %s is known", e.Key, sensor)
		}
		if err != nil {
			return nil, err
		}
		if err := e.Verify(cert.Public); err != nil {
			return nil, refuse(http.StatusForbidden, batch.Unsigned, "%v", err)
		}
		if raw += e.Raw; raw > batch.MaxBodyRaw {
			return nil, refuse(http.StatusRequestEntityTooLarge, batch.TooLarge, "a request unpacks to at most %d bytes", batch.MaxBodyRaw)
		}
		records, err := e.Records()
		if err != nil {
			return nil, refuse(http.StatusBadRequest, batch.Malformed, "%v", err)
		}
		batches = append(batches, store.Batch{Header: e.Header, Hash: e.Hash, Records: records})
	}
	if len(batches) == 0 {
		return nil, refuse(http.StatusBadRequest, batch.Malformed, "no envelope was sent")
	}
	return batches, nil
}
