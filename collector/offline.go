package collector

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/join"
)

// EnrolOffline enrols the sensor that asks by a file, at the collector whose data folder is data, running or not. site
// names the sensor, "" lets it name itself. A sensor whose key is known gets another certificate under its old name.
func EnrolOffline(ctx context.Context, data string, ask join.Ask, site, who string) (join.Bundle, error) {
	serving, err := ReadServing(data)
	if err != nil {
		return join.Bundle{}, err
	}
	scope, err := store.For(serving.Operator)
	if err != nil {
		return join.Bundle{}, err
	}
	ca, err := pki.Open(filepath.Join(data, caName), time.Now)
	if err != nil {
		return join.Bundle{}, err
	}
	db, err := openStore(ctx, data, serving.Store)
	if err != nil {
		return join.Bundle{}, err
	}
	defer db.Close()
	e := offlineEnrolment{db: db, scope: scope, ca: ca, who: who, now: time.Now()}
	b, err := e.bundle(ctx, ask, site)
	if err != nil {
		return join.Bundle{}, fmt.Errorf("enrol offline: %w", err)
	}
	b.Operator, b.Collector, b.CA = scope.Operator(), serving.Ingest, ca.Root()
	return b.Complete(), nil
}

type offlineEnrolment struct {
	db    store.Fleet
	scope store.Scope
	ca    *pki.CA
	who   string
	now   time.Time
}

func (e *offlineEnrolment) bundle(ctx context.Context, ask join.Ask, site string) (b join.Bundle, err error) {
	known, err := e.known(ctx, ask.CSR)
	if err != nil {
		return b, err
	}
	if known != nil {
		if known.Denied != nil {
			return b, fmt.Errorf("sensor %s is on the deny list since %s", known.ID, known.Denied.Format(time.RFC3339))
		}
		cert, err := e.ca.SignOffline(ask.CSR, e.scope.Operator(), known.ID)
		if err != nil {
			return b, err
		}
		kept := pki.Record(known.ID, cert)
		kept.By = e.who
		return join.Bundle{Sensor: known.ID, Name: known.Name, Cert: cert.Raw}, e.db.AddCert(ctx, e.scope, kept)
	}
	if site == "" {
		site = ask.Name
	}
	if site == "" {
		return b, errors.New("the sensor gives itself no name; give it one with --site")
	}
	sensor := store.Sensor{ID: pki.NewSensorID(), Name: site, Enrolled: e.now}
	cert, err := e.ca.SignOffline(ask.CSR, e.scope.Operator(), sensor.ID)
	if err != nil {
		return b, err
	}
	// A token that nobody else ever sees: so both ways of joining leave the same acts.
	text, kept, err := e.ca.NewToken(e.scope, site, e.who, "", time.Hour)
	if err != nil {
		return b, err
	}
	token, err := join.Parse(text)
	if err == nil {
		err = e.db.CreateToken(ctx, e.scope, kept)
	}
	if err == nil {
		err = e.db.Enrol(ctx, e.scope, kept.ID, sha256.Sum256(token.Secret), sensor, pki.Record(sensor.ID, cert), e.now)
	}
	return join.Bundle{Sensor: sensor.ID, Name: sensor.Name, Cert: cert.Raw}, err
}

// known is the sensor whose key asks, or nil. The request's own signature says that who asks has the key; signing
// checks it.
func (e *offlineEnrolment) known(ctx context.Context, csr []byte) (*store.Sensor, error) {
	asking, err := pki.RequestKey(csr)
	if err != nil {
		return nil, err
	}
	key := batch.KeyID(asking)
	sensors, err := e.db.Sensors(ctx, e.scope)
	if err != nil {
		return nil, err
	}
	for i := range sensors {
		_, err := e.db.FindCert(ctx, e.scope, sensors[i].ID, key)
		if err == nil {
			return &sensors[i], nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	return nil, nil
}
