package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/rules/pack"
	"github.com/roje-ot/roje/rules/site"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/keyfile"
)

// rulesPack works with signed packs. None of it needs a network.
func rulesPack() *cobra.Command {
	cmd := &cobra.Command{Use: "pack", Short: "Sign, verify and install packs of rules, offline", Args: needs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("name a command: sign, verify, install")}
		}}
	cmd.AddCommand(packSign(), packVerify(), packInstall())
	return cmd
}

// termFlags are whom a pack is for.
type termFlags struct {
	policy   bool
	operator string
	sensors  []string
	expires  string
}

func (f *termFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.policy, "policy", false, "DIR holds a centre's policy: site.yaml, settings.yaml or both")
	cmd.Flags().StringVar(&f.operator, "operator", "", "only sensors of the operator of this `NAME` take it; a policy needs that")
	cmd.Flags().StringSliceVar(&f.sensors, "sensor", nil, "only the sensor of this `ID` or name takes it; may be repeated")
	cmd.Flags().StringVar(&f.expires, "expires", "", "last `DATE`, UTC, on which it is taken, as 2027-03-31; what is in use stays")
}

func (f *termFlags) terms() (site.Terms, error) {
	t := site.Terms{Operator: f.operator, Sensors: slices.Compact(slices.Sorted(slices.Values(f.sensors)))}
	if f.policy {
		t.Kind = site.Policy
	}
	if f.expires != "" {
		day, err := time.Parse(time.DateOnly, f.expires)
		if err != nil {
			return t, usageError{fmt.Errorf("--expires is %q; write a day, as 2027-03-31", f.expires)}
		}
		t.Expires = day.AddDate(0, 0, 1)
	}
	return t, nil
}

func packSign() *cobra.Command {
	var key, name, out, with string
	var version uint64
	var flags termFlags
	cmd := &cobra.Command{Use: "sign --key FILE --name NAME --version N --out FILE DIR", Short: "Make a signed pack of the rules of DIR, or of a centre's policy", Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" || name == "" || version == 0 || out == "" {
				return usageError{errors.New("say --key FILE, --name NAME, --version N (from 1) and --out FILE" + site.PackExt)}
			}
			terms, err := flags.terms()
			if err != nil {
				return err
			}
			if _, err := os.Stat(args[0]); err != nil {
				return fmt.Errorf("rules: %w", err)
			}
			var set []*lang.Rule
			if terms.Kind == site.Rules {
				if set, err = pack.Load(catalog.All, os.DirFS(args[0]), args[0]); err != nil { // what is wrong would be found by each sensor
					return err
				}
			}
			owner, err := keyfile.Private(key)
			if err != nil {
				return err
			}
			packed, err := site.Seal(name, version, time.Now(), terms, os.DirFS(args[0]), owner)
			if err != nil {
				return err
			}
			if terms.Kind == site.Policy {
				if err := sensor.CheckPolicy(with, packed); err != nil {
					return err
				}
			}
			f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s is there already; a pack is never written over", out)
			}
			if err != nil {
				return err
			}
			_, err = f.Write(packed)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			what := fmt.Sprintf("pack %s %d, %d rules", name, version, len(set))
			if terms.Kind == site.Policy {
				what = fmt.Sprintf("policy %s %d", name, version)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %d bytes%s\n", out, what, len(packed), saidTerms(terms))
			return nil
		}}
	cmd.Flags().StringVar(&key, "key", "", "private Ed25519 key `FILE` (PKCS #8, PEM), as openssl genpkey -algorithm ed25519 makes it")
	cmd.Flags().StringVar(&name, "name", "", "`NAME` of the pack")
	cmd.Flags().Uint64Var(&version, "version", 0, "version `N` of the pack; sensors take only a greater one than before")
	cmd.Flags().StringVar(&out, "out", "", "`FILE` of the pack")
	cmd.Flags().StringVar(&with, "with", "", "for a policy: the `PACK` or folder of the rules that it speaks about, beside the built-in ones")
	flags.add(cmd)
	return cmd
}

// saidTerms says whom a pack is for.
func saidTerms(t site.Terms) string {
	text := ""
	if t.Operator != "" {
		text += ", for sensors of " + t.Operator
	}
	if len(t.Sensors) > 0 {
		text += ", for " + strings.Join(t.Sensors, ", ")
	}
	if !t.Expires.IsZero() {
		text += ", taken before " + t.Expires.Format(time.RFC3339)
	}
	return text
}

func packVerify() *cobra.Command {
	var key, with string
	cmd := &cobra.Command{Use: "verify --key FILE PACK", Short: "Say who signed a pack, for whom it is, and whether it is good", Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				return usageError{errors.New("name the public key with --key FILE")}
			}
			if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
				return fmt.Errorf("%s is a folder, not a pack", args[0])
			}
			manifest, err := sensor.VerifyPack(args[0], key, with)
			if err != nil {
				return err
			}
			what := "pack"
			if manifest.Kind == site.Policy {
				what = "policy"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s %d of %s, signed by key %s%s\n", what, manifest.Name, manifest.Version, manifest.Created.Format(time.RFC3339), manifest.Key, saidTerms(manifest.Terms))
			for _, f := range manifest.Files {
				fmt.Fprintf(cmd.OutOrStdout(), "  %s %8d %s\n", f.SHA256, f.Size, f.Name)
			}
			return nil
		}}
	cmd.Flags().StringVar(&key, "key", "", "public key `FILE` (PKIX, PEM), as openssl pkey -pubout makes it")
	cmd.Flags().StringVar(&with, "with", "", "for a policy: the `PACK` or folder of the rules that it speaks about, beside the built-in ones")
	return cmd
}

func packInstall() *cobra.Command {
	var config string
	cmd := &cobra.Command{Use: "install --config FILE PACK", Short: "Put a pack where the sensor looks for it, if it is signed, not older, and good", Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if config == "" {
				return usageError{errors.New("name the configuration with --config FILE")}
			}
			cfg, err := sensor.LoadConfig(config)
			if err != nil {
				return err
			}
			packed, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			book, err := sensor.InstallPack(cfg.RuleFiles(), packed, time.Now())
			if err != nil {
				return err
			}
			sayExpired(cmd.OutOrStdout(), book)
			files := cfg.RuleFiles()
			m, place, what := book.Pack, files.Rules, "pack"
			if p, err := site.Open(packed); err == nil && p.Kind == site.Policy {
				m, place, what = book.Policy, files.Policy, "policy"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s %d is in %s, %d rules in force; a running sensor takes it on SIGHUP\n", what, m.Name, m.Version, place, len(book.Rules))
			return nil
		}}
	cmd.Flags().StringVar(&config, "config", "", "configuration `FILE` of the sensor, with rules_key, and rules or rules_central")
	return cmd
}
