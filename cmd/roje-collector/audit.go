package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector/audit"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "verify and export the record of what people did", Args: aCommand, Run: func(*cobra.Command, []string) {}}
	cmd.AddCommand(auditVerifyCommand(), auditCheckCommand(), auditExportCommand())
	return cmd
}

func auditVerifyCommand() *cobra.Command {
	var data, export string
	var keys, handed []string
	cmd := &cobra.Command{
		Use: "verify (--data DIR | --export FILE)", Short: "say whether the record is what was signed",
		Long: `Hold every entry of the record to every checkpoint that was signed, and, with --data, the store's acts to the entries.
Needs no collector. By itself a record only shows that it fits the key that lies beside it: give the key and
checkpoints that were handed out before with --key and --checkpoint. Exit 1 if anything is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (data == "") == (export == "") {
				return usage("say what to verify: --data DIR, or --export FILE")
			}
			want := audit.Expect{Keys: keys}
			for _, file := range handed {
				text, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				want.Checkpoints = append(want.Checkpoints, text)
			}
			report, err := verifyAudit(cmd, data, export, want)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			for _, p := range report.Problems {
				fmt.Fprintln(out, "WRONG:", p)
			}
			fmt.Fprintf(out, "%d entries, %d signed, %d checkpoints hold; the last is of %s; key %s\n", report.Entries, report.Signed, report.Checkpoints, shownTime(report.Last), strings.Join(report.Keys, " "))
			if report.Foreign > 0 {
				fmt.Fprintf(out, "%d checkpoints are of collectors whose key was not given\n", report.Foreign)
			}
			if len(report.Problems) > 0 {
				return errors.New("the audit log does not verify")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the collector's data folder")
	f.StringVar(&export, "export", "", "file that 'audit export' wrote, - for standard input")
	f.StringArrayVar(&keys, "key", nil, "public key of a collector, as it was handed out; may be given more than once")
	f.StringArrayVar(&handed, "checkpoint", nil, "file of a checkpoint that was handed out; may be given more than once")
	return cmd
}

func shownTime(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format(time.RFC3339)
}

func verifyAudit(cmd *cobra.Command, data, export string, want audit.Expect) (audit.Report, error) {
	if export != "" {
		in, err := openInput(cmd, export)
		if err != nil {
			return audit.Report{}, err
		}
		defer in.Close()
		return audit.VerifyExport(in, want, nil)
	}
	db, scope, err := openStore(data)
	if err != nil {
		return audit.Report{}, err
	}
	defer db.Close()
	compare := audit.Compare{Ctx: cmd.Context(), Acts: db, Leaves: db, Scope: scope}
	report, err := audit.VerifyFolder(filepath.Join(data, audit.FolderName), want, compare.Entry)
	report.Problems = append(report.Problems, compare.Problems...)
	return report, err
}

func openInput(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(name)
}

func auditExportCommand() *cobra.Command {
	var data, to string
	var entries bool
	cmd := &cobra.Command{
		Use: "export --data DIR [--to FILE]", Short: "write the record, with its checkpoints, to one file that verifies anywhere",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, closing := cmd.OutOrStdout(), func() error { return nil }
			if to != "" {
				f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					return err
				}
				out, closing = f, func() error { return errors.Join(f.Sync(), f.Close()) }
			}
			dir := filepath.Join(data, audit.FolderName)
			if entries {
				return errors.Join(exportEntries(dir, out), closing())
			}
			return errors.Join(audit.Export(dir, out), closing())
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the collector's data folder")
	f.StringVar(&to, "to", "", "the file, which must not exist (default: standard output)")
	f.BoolVar(&entries, "entries", false, "only the entries, to be read: one JSON object per line, of a record that verifies")
	cmd.MarkFlagRequired("data")
	return cmd
}

// exportEntries writes the entries, and fails if they do not verify.
func exportEntries(dir string, out io.Writer) error {
	enc := json.NewEncoder(out)
	report, err := audit.VerifyFolder(dir, audit.Expect{}, func(e audit.Entry) error { return enc.Encode(e) })
	if err == nil && len(report.Problems) > 0 {
		err = fmt.Errorf("the audit log does not verify: %s", report.Problems[0])
	}
	return err
}
