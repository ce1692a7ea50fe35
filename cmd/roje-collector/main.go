// Command roje-collector takes what sensors deliver, shows it, and shares what people released.
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

	"github.com/roje-ot/roje/rules/strict"
)

// version is set by the build.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run does what args say and returns the exit code: 0; 1 if it could not be done; 2 if args make no sense.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	began := false
	root := &cobra.Command{
		Use:           "roje-collector",
		Short:         "take alerts from sensors, show them, share what is released",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          aCommand,
		Run:           func(*cobra.Command, []string) {},
	}
	root.AddCommand(serveCommand(), receiveCommand(), enrolOfflineCommand(), tokenCommand(), packsCommand(), enrolmentCommand(), userCommand(), auditCommand(), ledgerCommand(), holdCommand(), backupCommand(), restoreCommand(), exportCommand(), migrateCommand())
	each(root, func(cmd *cobra.Command) {
		if work := cmd.RunE; work != nil {
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				began = true
				return work(cmd, args)
			}
		}
	})
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return 0
	case began && !errors.Is(err, errUsage):
		fmt.Fprintln(stderr, "roje-collector:", oneLine(err))
		return 1
	default:
		fmt.Fprintf(stderr, "roje-collector: %s; see '%s --help'\n", oneLine(err), cmd.CommandPath())
		return 2
	}
}

// aCommand is the Args of a command that only holds others: what was given instead of one of them is an error.
func aCommand(cmd *cobra.Command, args []string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	if len(args) == 0 {
		return fmt.Errorf("no command given; it is one of %s", strings.Join(names, ", "))
	}
	return strict.Unknown("command", args[0], names)
}

// errUsage marks an error of the command line that only the command itself could find.
var errUsage = errors.New("bad usage")

type usage string

func (u usage) Error() string        { return string(u) }
func (u usage) Is(target error) bool { return target == errUsage }

// each calls do for cmd and all commands below it.
func each(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, c := range cmd.Commands() {
		each(c, do)
	}
}

// oneLine is an error on one line.
func oneLine(err error) string {
	return strings.Join(strings.Split(strings.TrimSpace(err.Error()), "\n"), "; ")
}
