package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector"
)

// heapGrowth is by how much the heap may grow before it is collected, in per cent of what lives in it, unless GOGC says. What
// lives is a few MB; with Go's own 100, intake has it collected twice for each batch (make bench-ingest, which has the same).
const heapGrowth = 400

func serveCommand() *cobra.Command {
	var file, data, operator, console, ingest, database, level string
	cmd := &cobra.Command{
		Use:   "serve (--config FILE | --data DIR)",
		Short: "run the collector",
		Long: `Run the collector. With --data alone everything is kept in that folder, the console is at 127.0.0.1:8470 and
sensors come in at 127.0.0.1:8471. The first start makes the certificate authority, the store, and an admin whose
one-time password is printed once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" && data == "" {
				return usage("say where to keep everything: --data DIR, or --config FILE")
			}
			var cfg collector.Config
			if file != "" {
				var err error
				if cfg, err = collector.ReadConfig(file); err != nil {
					return err
				}
			}
			for _, flag := range []struct {
				value string
				into  *string
			}{{data, &cfg.Data}, {operator, &cfg.Operator}, {console, &cfg.Console.Address}, {ingest, &cfg.Ingest.Address}, {database, &cfg.Store}} {
				if flag.value != "" {
					*flag.into = flag.value
				}
			}
			var least slog.Level
			if err := least.UnmarshalText([]byte(level)); err != nil {
				return usage(fmt.Sprintf("--log %q is not debug, info, warn or error", level))
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: least}))
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(heapGrowth)
			}
			out := cmd.OutOrStdout()
			return collector.Run(cmd.Context(), cfg, log, func(s collector.Started) {
				fmt.Fprintf(out, "console   %s\n", s.Console)
				fmt.Fprintf(out, "ingest    %s\n", s.Ingest)
				if s.Admin != "" {
					fmt.Fprintf(out, "sign-in   %s %s   (one-time; you choose your own at the first sign-in)\n", s.Admin, s.Password)
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "YAML file with the settings")
	f.StringVar(&data, "data", "", "folder that holds everything; made if it does not exist")
	f.StringVar(&operator, "operator", "", "whose network is watched (default \"default\")")
	f.StringVar(&console, "console", "", "address of console, API and TAXII (default "+collector.DefaultConsole+")")
	f.StringVar(&ingest, "ingest", "", "address where sensors come in (default "+collector.DefaultIngest+")")
	f.StringVar(&database, "store", "", "postgres:// URL of the database to keep alerts, sensors and users in (default: a file in the data folder)")
	f.StringVar(&level, "log", "info", "least level that is logged to stderr: debug, info, warn, error")
	return cmd
}
