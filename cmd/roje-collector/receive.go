package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector/receive"
)

func receiveCommand() *cobra.Command {
	var data, udp, tcp, files, metrics string
	var silence time.Duration
	cmd := &cobra.Command{
		Use:   "receive --data DIR (--udp ADDR | --tcp ADDR | --files DIR)",
		Short: "take what sensors send over one-way links",
		Long: `Take envelopes that come over a link with no way back, and commit them to the store of a collector, which may
run meanwhile. Several ways may be given at once. What never came is named in the log by sensor, lane and numbers; carry
it over with 'roje-sensor export' and --files.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			var carriers []receive.Carrier
			bound := func(a net.Addr) { fmt.Fprintf(cmd.OutOrStdout(), "%s       %s\n", a.Network(), a) }
			if udp != "" {
				carriers = append(carriers, receive.UDP(udp, bound))
			}
			if tcp != "" {
				carriers = append(carriers, receive.TCP(tcp, bound))
			}
			if files != "" {
				carriers = append(carriers, receive.Files(files))
			}
			if len(carriers) == 0 {
				return usage("say where envelopes come in: --udp ADDR, --tcp ADDR or --files DIR")
			}
			db, scope, err := openStore(data)
			if err != nil {
				return err
			}
			defer db.Close()
			r := receive.New(receive.Config{Store: db, Scope: scope, Now: time.Now, Log: log, Silence: silence})
			closing, err := serveMetrics(metrics, r, log)
			if err != nil {
				return err
			}
			defer closing()
			return r.Run(cmd.Context(), carriers...)
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the collector's data folder")
	f.StringVar(&udp, "udp", "", "host:port for datagrams")
	f.StringVar(&tcp, "tcp", "", "host:port for streams")
	f.StringVar(&files, "files", "", "folder for files, which are removed once they are stored")
	f.StringVar(&metrics, "metrics", "", "loopback address of /metrics (default: none)")
	f.DurationVar(&silence, "silence", 5*time.Minute, "how long a sensor may be silent; its heartbeat comes each minute")
	cmd.MarkFlagRequired("data")
	return cmd
}

// serveMetrics serves the figures of c until it is told to stop. Address "" serves nothing.
func serveMetrics(address string, c prometheus.Collector, log *slog.Logger) (func(), error) {
	if address == "" {
		return func() {}, nil
	}
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usage(fmt.Sprintf("--metrics %q is no loopback address with a port", address))
	}
	registry := prometheus.NewRegistry()
	if err := registry.Register(c); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		server.Shutdown(ctx)
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics", "err", err)
		}
	}, nil
}
