package ship

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/roje-ot/roje/sensor/enrol"
	"github.com/roje-ot/roje/sensor/spool"
)

// Connect makes the client of an enrolled sensor: the spool becomes the sensor's, and its certificate is renewed in time.
func Connect(id *enrol.Identity, sp *spool.Spool, now func() time.Time, log *slog.Logger) (*Client, error) {
	if err := sp.Bind(id.Operator, id.Sensor); err != nil {
		return nil, err
	}
	transport := Transport(id.TLS(now))
	var tried time.Time
	renew := func(ctx context.Context, at time.Time) error {
		if !id.Due(at) || at.Before(id.Expires()) && at.Sub(tried) < time.Hour {
			return nil
		}
		tried = at
		if err := id.Renew(ctx, now); err != nil {
			return err
		}
		transport.CloseIdleConnections() // they have shown the old one
		log.Info("certificate is renewed", "expires", id.Expires())
		return nil
	}
	return New(Config{Spool: sp, Key: id.Key, URL: "https://" + id.Collector, HTTP: transport, Now: now, Log: log, Renew: renew}), nil
}

// Transport speaks to a collector over links that are slow or go away silently.
func Transport(cfg *tls.Config) *http.Transport {
	return &http.Transport{
		TLSClientConfig:     cfg,
		DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: time.Minute,
		ForceAttemptHTTP2:   true,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: time.Minute},
		MaxConnsPerHost:     1,
		IdleConnTimeout:     3 * time.Minute,
	}
}
