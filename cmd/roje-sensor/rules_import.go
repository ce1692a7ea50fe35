package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules/suricata"
)

// rulesImport makes rules of another program's.
func rulesImport() *cobra.Command {
	var out string
	var vars []string
	cmd := &cobra.Command{Use: "import [--var NAME=VALUE]... --out FILE RULES",
		Short: "Make rules of Suricata's modbus and dnp3 rules, and say which could not be taken over, and why", Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usageError{errors.New("say where the rules go with --out FILE.yaml")}
			}
			o := suricata.Options{File: filepath.Base(args[0]), Vars: map[string]string{}, Protocols: catalog.All}
			for _, v := range vars {
				name, value, ok := strings.Cut(v, "=")
				if name = strings.TrimPrefix(name, "$"); !ok || name == "" || value == "" {
					return usageError{fmt.Errorf("--var %q: write NAME=VALUE, like HOME_NET=10.0.0.0/8", v)}
				}
				o.Vars[name] = value
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			result, err := suricata.Import(text, o)
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			for _, t := range result.Taken {
				for _, note := range t.Notes {
					fmt.Fprintf(w, "line %d, %s: %s\n", t.Line, t.ID, note)
				}
			}
			for _, l := range result.Left {
				fmt.Fprintln(w, "not taken over:", l)
			}
			if len(result.Taken) == 0 {
				return fmt.Errorf("none of %d rules could be taken over", len(result.Left))
			}
			f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s is there already; it may have been worked on, so it is not written over", out)
			}
			if err != nil {
				return err
			}
			_, err = f.Write(result.YAML)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			fmt.Fprintf(w, "%d rules are in %s, their tests pass; %d were not taken over\n", len(result.Taken), out, len(result.Left))
			return nil
		}}
	cmd.Flags().StringVar(&out, "out", "", "`FILE` of the rules that are made")
	cmd.Flags().StringArrayVar(&vars, "var", nil, "`NAME=VALUE` of a variable that the rules use, as in suricata.yaml; may be given again")
	return cmd
}
