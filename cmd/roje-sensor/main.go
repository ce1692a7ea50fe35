// Command roje-sensor is the daemon on a SPAN port, and the same pipeline over capture files. It holds no code that can
// speak to a field device.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute does what args say and returns the exit code: 0; 1 if it could not be done; 2 if args make no sense.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage), strings.HasPrefix(err.Error(), "unknown command"):
		fmt.Fprintf(stderr, "roje-sensor: %s (see roje-sensor --help)\n", oneLine(err))
		return 2
	}
	fmt.Fprintln(stderr, "roje-sensor:", err)
	return 1
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
	cmd.AddCommand(replay(), run(), check(), rulesCommand(), baselineCommand(), maintenanceCommand(), assetsCommand(), ledgerCommand(), pointsCommand(), evidenceCommand(), coverageCommand(), enrolCommand(), exportCommand(), verifyPassive(), diodeCommand(), shutCommand())
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
