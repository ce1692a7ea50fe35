// Command roje-sensor is the daemon on a SPAN port, and the same pipeline over capture files. It holds no code that can
// speak to a field device.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

var version = "unknown" // set by the linker

// usageError is bad usage: exit code 2 and one line that says what to do.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	var usage usageError
	switch {
	case err == nil:
		return
	case errors.As(err, &usage), strings.HasPrefix(err.Error(), "unknown command"):
		fmt.Fprintf(os.Stderr, "roje-sensor: %s (see roje-sensor --help)\n", oneLine(err))
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "roje-sensor:", err)
	os.Exit(1)
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " ")
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use: "roje-sensor", Short: "Passive sensor for Modbus, DNP3 and IEC 60870-5-104",
		SilenceErrors: true, SilenceUsage: true, Version: version,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q", args[0])}
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error { return usageError{errors.New("name a command")} },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.AddCommand(replay(), run(), check(), rulesCommand(), baselineCommand(), enrolCommand())
	return cmd
}

// needs makes cobra's complaints about arguments usage errors.
func needs(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return usageError{err}
		}
		return nil
	}
}
