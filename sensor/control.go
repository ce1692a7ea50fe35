package sensor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/socket"
)

// BaselineOrders is the name under which a running sensor takes a baseline.Order.
const BaselineOrders = "baseline"

// maxOrder bounds an order; the longest is the import of a full baseline.
const maxOrder = 256 << 20

// lastAnswers is how long a sensor that ends waits for answers that are under way.
const lastAnswers = 10 * time.Second

// openControl opens the socket that people ask over. It is opened before the sensor seals itself; what it is asked waits
// until everything else is open. Without it the sensor watches all the same.
func (d *daemon) openControl() (func() error, error) {
	l, err := socket.Listen(d.cfg.State)
	if err != nil {
		d.log.Warn("nobody can decide over the baseline while the sensor runs", "err", err)
		return nil, nil
	}
	d.control = l
	return func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) { // the server has closed it
			return err
		}
		return nil
	}, nil
}

// serveControl answers on the socket, from now on.
func (d *daemon) serveControl() (func() error, error) {
	if d.control == nil {
		return nil, nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /"+BaselineOrders, takes(d, d.order))
	mux.HandleFunc("POST /"+RehearsalOrders, takes(d, d.askRehearsal))
	mux.HandleFunc("POST /"+MaintenanceOrders, takes(d, d.askMaintenance))
	server := socket.Server(mux)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(d.control) }()
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), lastAnswers)
		defer cancel()
		err := server.Shutdown(ctx)
		if err != nil {
			err = server.Close()
		}
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return err
	}, nil
}

// takes makes a handler of what a running sensor does with an order of type T, in the name of who asks.
func takes[T any](d *daemon, do func(o *T, ask func(name string) string) (baseline.Answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o T
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
		dec.DisallowUnknownFields()
		err := dec.Decode(&o)
		var answer baseline.Answer
		if err == nil {
			answer, err = do(&o, func(name string) string { return socket.Who(r.Context(), name) })
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		w.Header().Set("Trailer", socket.Failed)
		out := bufio.NewWriter(w)
		if err := errors.Join(answer(out), out.Flush()); err != nil {
			w.Header().Set(socket.Failed, err.Error())
		}
	}
}

// order carries out an order on the baseline in use. What it decides is on disk when it returns.
func (d *daemon) order(o *baseline.Order, by func(name string) string) (baseline.Answer, error) {
	if o.Decides() {
		o.Who = by(o.Who)
	}
	d.saving.Lock()
	defer d.saving.Unlock()
	d.mu.Lock()
	answer, err := d.base.Do(o, time.Now())
	var write func() error
	if err == nil && o.Decides() {
		write = d.base.Snapshot()
	}
	d.mu.Unlock()
	if write == nil {
		return answer, err
	}
	d.log.Info("the baseline was decided over", "order", o.Do, "who", o.Who, "why", o.Why)
	if err := write(); err != nil {
		return nil, fmt.Errorf("it is decided, but a restart now would forget it: %w", err)
	}
	return answer, nil
}

// saveBaseline writes what was learned.
func (d *daemon) saveBaseline() error {
	d.saving.Lock()
	defer d.saving.Unlock()
	d.mu.Lock()
	write := d.base.Snapshot()
	d.mu.Unlock()
	return write()
}
