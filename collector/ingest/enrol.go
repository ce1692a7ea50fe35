package ingest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

// request reads the JSON of an enrolment or a renewal.
func request(w http.ResponseWriter, r *http.Request) (req join.Request, err error) {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&req); err != nil {
		return req, refuse(http.StatusBadRequest, batch.Malformed, "the request is no JSON of an enrolment")
	}
	return req, nil
}

// enrol gives a certificate for a token.
func (h *Handler) enrol(w http.ResponseWriter, r *http.Request) error {
	req, err := request(w, r)
	if err != nil {
		return err
	}
	operator, err := join.Operator(req.ID)
	if err != nil {
		return refuse(http.StatusForbidden, batch.BadToken, "%v", err)
	}
	s, err := store.For(operator)
	if err != nil {
		return refuse(http.StatusForbidden, batch.BadToken, "%v", err)
	}
	secret, err := join.ParseSecret(req.Secret)
	if err != nil {
		return refuse(http.StatusForbidden, batch.BadToken, "%v", err)
	}
	now, sum := h.Now(), sha256.Sum256(secret)
	token, err := h.Store.Token(r.Context(), s, req.ID) // before anything is signed; Enrol decides
	if err != nil {
		token = store.Token{}
	}
	if err := token.Usable(err == nil, sum, now); err != nil {
		return err
	}
	if token.Approve || h.Approve {
		if err := h.approved(r, s, sum, displayName(token.Site, req.Name), req); err != nil {
			return err
		}
	}
	sensor := store.Sensor{ID: pki.NewSensorID(), Name: displayName(token.Site, req.Name), Enrolled: now}
	cert, err := h.CA.SignSensor(req.CSR, operator, sensor.ID)
	if err != nil {
		return refuse(http.StatusBadRequest, batch.Malformed, "%v", err)
	}
	if err := h.Store.Enrol(r.Context(), s, req.ID, sum, sensor, pki.Record(sensor.ID, cert), now); err != nil {
		return err
	}
	h.Enrolled.Add(1)
	h.Log.Info("enrolled a sensor", "sensor", sensor.ID, "name", sensor.Name, "operator", operator, "token", req.ID, "remote", r.RemoteAddr)
	answer(w, http.StatusOK, join.Response{Operator: operator, Sensor: sensor.ID, Name: sensor.Name, Cert: cert.Raw})
	return nil
}

// askAgain is how soon a sensor that waits for its approval is to ask again.
const askAgain = 2 * time.Second

// approved returns nil where a person has approved the key of a request, and else says what it waits for.
func (h *Handler) approved(r *http.Request, s store.Scope, secret [32]byte, name string, req join.Request) error {
	key, err := pki.RequestKey(req.CSR)
	if err != nil {
		return refuse(http.StatusBadRequest, batch.Malformed, "%v", err)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	now := h.Now()
	j, err := h.Store.AskJoin(r.Context(), s, secret, store.Join{Token: req.ID, Key: batch.KeyID(key), Words: join.Words(key), Name: name, Remote: host, Asked: now})
	switch {
	case err != nil:
		return err
	case j.State == store.Rejected:
		return refuse(http.StatusForbidden, batch.BadToken, "%s rejected this sensor; ask for another token", j.Who)
	case j.State != store.Waiting:
		return nil
	case j.Asked.Equal(now):
		h.Log.Warn("a sensor waits for approval", "name", j.Name, "token", j.Token, "words", j.Words, "remote", j.Remote)
	}
	no := refuse(http.StatusAccepted, batch.Waiting, "an administrator must approve this sensor; its words are %s", j.Words)
	no.wait = askAgain
	return no
}

// renew gives a sensor that shows its certificate, or one that expired not long ago, a new one.
func (h *Handler) renew(w http.ResponseWriter, r *http.Request) error {
	s, sensor, _, err := h.known(r, true)
	if err != nil {
		return err
	}
	req, err := request(w, r)
	if err != nil {
		return err
	}
	var cert *x509.Certificate
	if cert, err = h.CA.SignSensor(req.CSR, s.Operator(), sensor.ID); err != nil {
		return refuse(http.StatusBadRequest, batch.Malformed, "%v", err)
	}
	if err := h.Store.AddCert(r.Context(), s, pki.Record(sensor.ID, cert)); err != nil {
		return err
	}
	h.Log.Info("renewed a certificate", "sensor", sensor.ID, "expires", cert.NotAfter)
	answer(w, http.StatusOK, join.Response{Operator: s.Operator(), Sensor: sensor.ID, Name: sensor.Name, Cert: cert.Raw})
	return nil
}

// displayName is the first name that has letters or digits, without what a screen would not show, at most 80 runes.
func displayName(names ...string) string {
	for _, name := range names {
		name = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, strings.TrimSpace(name))
		if runes := []rune(name); len(runes) > 80 {
			name = string(runes[:80])
		}
		if name != "" {
			return name
		}
	}
	return "sensor"
}
