package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// A Store is what a Receiver needs of store.Store.
type Store interface {
	store.Intake
	store.Fleet
	store.Evidences
}

// Config is what a Receiver works with.
type Config struct {
	Store   Store
	Scope   store.Scope // envelopes of other operators are refused
	Now     func() time.Time
	Log     *slog.Logger
	Silence time.Duration // without a word, after which a sensor is said to be silent; 0 is 5 minutes
}

// A Receiver takes envelopes. Its counters may be read at any time.
type Receiver struct {
	Config
	Datagrams atomic.Uint64 // that could be read
	Damaged   atomic.Uint64 // datagrams that could not
	Abandoned atomic.Uint64 // envelopes that never became whole
	Envelopes atomic.Uint64 // committed, repeats included
	Records   atomic.Uint64 // that were new
	Refused   atomic.Uint64 // envelopes

	jobs  chan job
	watch watch
}

// errRefused is an error that trying again does not heal.
var errRefused = errors.New("refused")

// A job is an envelope on its way to the store. answer, if there is one, gets nil once it is committed.
type job struct {
	raw    []byte
	from   string // who brought it, for the log
	answer chan error
}

// New makes a receiver.
func New(cfg Config) *Receiver {
	if cfg.Silence <= 0 {
		cfg.Silence = 5 * time.Minute
	}
	return &Receiver{Config: cfg, jobs: make(chan job, 64)}
}

// hand gives an envelope to the intake. It waits while the store is slow, as nobody on the other side could.
func (r *Receiver) hand(ctx context.Context, j job) error {
	select {
	case r.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// most is how many envelopes share a commit.
const most = 64

// intake commits what is handed over, until ctx ends and the carriers have, which closes jobs.
func (r *Receiver) intake(ctx context.Context) {
	for j := range r.jobs {
		group := []job{j}
	gather:
		for len(group) < most {
			select {
			case next, ok := <-r.jobs:
				if !ok {
					break gather
				}
				group = append(group, next)
			default:
				break gather
			}
		}
		r.commit(ctx, group)
	}
}

// commit commits the jobs, those of one sensor in a row together, and answers each.
func (r *Receiver) commit(ctx context.Context, group []job) {
	var run []store.Batch
	var of []job
	flush := func() {
		if len(run) > 0 {
			r.ingest(ctx, run, of)
		}
		run, of = nil, nil
	}
	for _, j := range group {
		b, err := r.open(ctx, j.raw)
		if err != nil {
			r.done(j, err)
			continue
		}
		if len(run) > 0 && run[0].Sensor != b.Sensor {
			flush()
		}
		run, of = append(run, b), append(of, j)
	}
	flush()
}

// ingest gives batches of one sensor to the store. One that the store refuses does not take the others with it.
func (r *Receiver) ingest(ctx context.Context, run []store.Batch, of []job) {
	got, err := r.tryIngest(ctx, run)
	if err != nil && len(run) > 1 && ctx.Err() == nil {
		for i := range run {
			r.ingest(ctx, run[i:i+1], of[i:i+1])
		}
		return
	}
	for i, j := range of {
		if err == nil {
			r.Envelopes.Add(1)
			r.heard(&run[i])
		}
		r.done(j, err)
	}
	if err == nil {
		r.Records.Add(uint64(got.New))
	}
}

// tryIngest tries until the store takes the batches: nobody will send them again. A fork is no failure of the store.
func (r *Receiver) tryIngest(ctx context.Context, run []store.Batch) (got store.Receipt, err error) {
	run, pieces, err := store.CutEvidence(run)
	if err != nil {
		return got, fmt.Errorf("%w: %w", errRefused, err)
	}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		got, err = r.Store.Ingest(ctx, r.Scope, run[0].Sensor, run, r.Now())
		if err == nil {
			err = store.PutPieces(ctx, r.Store, r.Scope, run[0].Sensor, pieces, r.Now())
		}
		switch {
		case err == nil:
			return got, nil
		case errors.Is(err, store.ErrForked):
			return got, fmt.Errorf("%w: %w: the sensor's spool was copied, or restored from a copy", errRefused, err)
		case ctx.Err() != nil:
			return got, err
		}
		r.Log.Error("envelopes wait for the store", "sensor", run[0].Sensor, "envelopes", len(run), "err", err)
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return got, err
		}
	}
}

func (r *Receiver) done(j job, err error) {
	if errors.Is(err, errRefused) {
		r.Refused.Add(1)
		r.Log.Warn("refused an envelope", "from", j.from, "why", err)
	}
	if j.answer != nil {
		j.answer <- err
	}
}

// open reads, checks and unpacks an envelope. What it was sealed with must be a key of its sensor, whose certificate had
// not lapsed then, and the sensor must not be denied.
func (r *Receiver) open(ctx context.Context, raw []byte) (b store.Batch, err error) {
	refuse := func(format string, args ...any) (store.Batch, error) {
		return b, fmt.Errorf("%w: %w", errRefused, fmt.Errorf(format, args...))
	}
	e, rest, err := batch.Decode(raw)
	if err != nil {
		return refuse("%w", err)
	}
	if len(rest) > 0 {
		return refuse("%d bytes follow the envelope", len(rest))
	}
	if e.Operator != r.Scope.Operator() {
		return refuse("the envelope is of operator %s; this collector serves %s", e.Operator, r.Scope.Operator())
	}
	cert, err := r.Store.FindCert(ctx, r.Scope, e.Sensor, e.Key)
	if errors.Is(err, store.ErrNotFound) {
		return refuse("no key %s of sensor %s is known: enrol it", e.Key, e.Sensor)
	}
	if err != nil {
		return b, err
	}
	if err := e.Verify(cert.Public); err != nil {
		return refuse("sensor %s: %w", e.Sensor, err)
	}
	if end := cert.Expires.Add(pki.Grace); e.Sealed.After(end) {
		return refuse("sensor %s sealed on %s, after its certificate had lapsed on %s: renew it", e.Sensor, e.Sealed.Format(time.RFC3339), end.Format(time.RFC3339))
	}
	sensor, err := r.Store.GetSensor(ctx, r.Scope, e.Sensor)
	if err != nil {
		return b, err
	}
	if sensor.Denied != nil {
		return refuse("sensor %s is on the deny list since %s", e.Sensor, sensor.Denied.Format(time.RFC3339))
	}
	records, err := e.Records()
	if err != nil {
		return refuse("sensor %s: %w", e.Sensor, err)
	}
	return store.Batch{Header: e.Header, Hash: e.Hash, Records: records}, nil
}
