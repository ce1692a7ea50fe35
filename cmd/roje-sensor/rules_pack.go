package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/protocols/catalog"
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

func packSign() *cobra.Command {
	var key, name, out string
	var version uint64
	cmd := &cobra.Command{Use: "sign --key FILE --name NAME --version N --out FILE DIR", Short: "Make a signed pack of the rules of DIR", Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" || name == "" || version == 0 || out == "" {
				return usageError{errors.New("say --key FILE, --name NAME, --version N (from 1) and --out FILE" + site.PackExt)}
			}
			if _, err := os.Stat(args[0]); err != nil {
				return fmt.Errorf("rules: %w", err)
			}
			set, err := pack.Load(catalog.All, os.DirFS(args[0]), args[0]) // what is wrong would be found by each sensor
			if err != nil {
				return err
			}
			owner, err := keyfile.Private(key)
			if err != nil {
				return err
			}
			packed, err := site.Seal(name, version, time.Now(), site.Terms{}, os.DirFS(args[0]), owner)
			if err != nil {
				return err
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
			fmt.Fprintf(cmd.OutOrStdout(), "%s: pack %s %d, %d rules, %d bytes\n", out, name, version, len(set), len(packed))
			return nil
		}}
	cmd.Flags().StringVar(&key, "key", "", "private Ed25519 key `FILE` (PKCS #8, PEM), as openssl genpkey -algorithm ed25519 makes it")
	cmd.Flags().StringVar(&name, "name", "", "`NAME` of the pack")
	cmd.Flags().Uint64Var(&version, "version", 0, "version `N` of the pack; sensors take only a greater one than before")
	cmd.Flags().StringVar(&out, "out", "", "`FILE` of the pack")
	return cmd
}

func packVerify() *cobra.Command {
	var key string
	cmd := &cobra.Command{Use: "verify --key FILE PACK", Short: "Say who signed a pack and whether its rules pass their tests", Args: needs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				return usageError{errors.New("name the public key with --key FILE")}
			}
			if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
				return fmt.Errorf("%s is a folder, not a pack", args[0])
			}
			book, err := sensor.LoadRulebook(sensor.RuleFiles{Rules: args[0], Key: key}, time.Now())
			if err != nil {
				return err
			}
			p := book.Pack
			fmt.Fprintf(cmd.OutOrStdout(), "pack %s %d of %s, signed by key %s\n", p.Name, p.Version, p.Created.Format(time.RFC3339), p.Key)
			for _, f := range p.Files {
				fmt.Fprintf(cmd.OutOrStdout(), "  %s %8d %s\n", f.SHA256, f.Size, f.Name)
			}
			return nil
		}}
	cmd.Flags().StringVar(&key, "key", "", "public key `FILE` (PKIX, PEM), as openssl pkey -pubout makes it")
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
			fmt.Fprintf(cmd.OutOrStdout(), "pack %s %d is in %s, %d rules in force; a running sensor takes it on SIGHUP\n", book.Pack.Name, book.Pack.Version, cfg.Rules, len(book.Rules))
			return nil
		}}
	cmd.Flags().StringVar(&config, "config", "", "configuration `FILE` of the sensor, with rules and rules_key")
	return cmd
}
