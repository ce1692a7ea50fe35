package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// offered is what there is for a sensor.
func (h *Handler) offered(ctx context.Context, s store.Scope, sensor store.Sensor) (o batch.Offers, err error) {
	packs, err := h.Store.Offered(ctx, s, sensor)
	for _, p := range packs {
		o.Packs = append(o.Packs, batch.Offer{Kind: p.Kind, Name: p.Name, Version: p.Version, Size: int64(p.Size), SHA256: p.SHA256})
	}
	return o, err
}

// offers lists what there is for the sensor that asks. Its entity tag is the revision that answers to batches tell.
func (h *Handler) offers(w http.ResponseWriter, r *http.Request) error {
	s, sensor, _, err := h.known(r, false)
	if err != nil {
		return err
	}
	o, err := h.offered(r.Context(), s, sensor)
	if err != nil {
		return err
	}
	tag := fmt.Sprintf(`"%d"`, o.Revision())
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	answer(w, http.StatusOK, o)
	return nil
}

// pack sends a pack, or the part of it that is asked for, to a sensor that it is offered to.
func (h *Handler) pack(w http.ResponseWriter, r *http.Request) error {
	s, sensor, _, err := h.known(r, false)
	if err != nil {
		return err
	}
	sum := r.PathValue("sha256")
	o, err := h.offered(r.Context(), s, sensor)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(o.Packs, func(p batch.Offer) bool { return p.SHA256 == sum }) {
		return refuse(http.StatusNotFound, batch.NotFound, "pack %.80q is not offered to sensor %s", sum, sensor.ID)
	}
	body, err := h.Store.ReadPack(r.Context(), s, sum)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("ETag", `"`+sum+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body)) // RFC 9110 §14: a link that broke goes on where it was
	return nil
}

// outcome keeps what a sensor says became of a pack that is offered to it.
func (h *Handler) outcome(w http.ResponseWriter, r *http.Request) error {
	s, sensor, _, err := h.known(r, false)
	if err != nil {
		return err
	}
	var said batch.Outcome
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&said); err != nil {
		return refuse(http.StatusBadRequest, batch.Malformed, "the request is no JSON of an outcome")
	}
	o, err := h.offered(r.Context(), s, sensor)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(o.Packs, func(p batch.Offer) bool { return p.SHA256 == said.SHA256 }) { // else it was exchanged meanwhile
		if err := h.Store.PutOutcome(r.Context(), s, store.Outcome{Sensor: sensor.ID, Pack: said.SHA256, Taken: said.Taken, Reason: said.Reason, Why: said.Why, At: h.Now()}); err != nil {
			return err
		}
		if !said.Taken {
			h.Log.Warn("a sensor refuses a pack", "sensor", sensor.ID, "pack", said.SHA256, "reason", said.Reason, "why", said.Why)
		}
	}
	answer(w, http.StatusOK, struct{}{})
	return nil
}
