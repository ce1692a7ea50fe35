package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/sensor"
)

// ruleFlags are the flags that say where rules come from: a configuration, or each file by itself.
type ruleFlags struct {
	config string
	files  sensor.RuleFiles
}

func (f *ruleFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.config, "config", "", "take all of it from the configuration `FILE`")
	cmd.Flags().StringVar(&f.files.Rules, "rules", "", "`PATH` of a folder of rules, or of a signed pack")
	cmd.Flags().StringVar(&f.files.Site, "site", "", "`FILE` with what the site says about rules: off, severity, exceptions")
	cmd.Flags().StringVar(&f.files.Key, "key", "", "`FILE` of the public key (PEM) that packs must be signed with")
	cmd.Flags().StringVar(&f.files.State, "state", "", "`DIR` that remembers which packs were in use")
}

// book reads the rules, as a sensor would.
func (f *ruleFlags) book() (*sensor.Rulebook, error) {
	files := f.files
	if f.config != "" {
		if files != (sensor.RuleFiles{}) {
			return nil, usageError{errors.New("--config says it all: leave out --rules, --site, --key and --state")}
		}
		cfg, err := sensor.LoadConfig(f.config)
		if err != nil {
			return nil, err
		}
		files = cfg.RuleFiles()
	}
	return sensor.LoadRulebook(files, time.Now())
}

// sayExpired names the exceptions that no longer apply.
func sayExpired(w io.Writer, book *sensor.Rulebook) {
	for _, x := range book.Expired {
		fmt.Fprintf(w, "line %d: the exception of rule %s was good until %s and no longer applies (%s: %s)\n", x.Line, x.Rule, x.Until.AddDate(0, 0, -1).Format(time.DateOnly), x.Author, x.Reason)
	}
}

// rulesCheck reads all rules as a sensor would.
func rulesCheck() *cobra.Command {
	var f ruleFlags
	cmd := &cobra.Command{Use: "check [--config FILE]", Short: "Say all that is wrong with rules, packs and a site's word about them", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			book, err := f.book()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			sayExpired(out, book)
			fmt.Fprintf(out, "%d rules are good", len(book.Rules))
			if off := len(book.All) - len(book.Rules); off > 0 {
				fmt.Fprintf(out, ", %d are off", off)
			}
			if book.Site != nil {
				fmt.Fprintf(out, ", %d have another severity, %d exceptions apply", len(book.Site.Severities), len(book.Site.Exceptions)-len(book.Expired))
			}
			if book.Pack != nil {
				fmt.Fprintf(out, "; pack %s %d", book.Pack.Name, book.Pack.Version)
			}
			if book.Pack != nil && !book.Trusted {
				fmt.Fprint(out, ", whose signature is not checked: no key is trusted")
			}
			fmt.Fprintln(out)
			return nil
		}}
	f.add(cmd)
	return cmd
}

// rulesList shows the rules in force.
func rulesList() *cobra.Command {
	var f ruleFlags
	cmd := &cobra.Command{Use: "list [--config FILE]", Short: "List the rules in force: id, severity, name", Args: needs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			book, err := f.book()
			if err != nil {
				return err
			}
			for _, r := range book.Rules {
				fmt.Fprintf(cmd.OutOrStdout(), "%-36s %-8s %s\n", r.ID, r.Severity, r.Name)
			}
			return nil
		}}
	f.add(cmd)
	return cmd
}
