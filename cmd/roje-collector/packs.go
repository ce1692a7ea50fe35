package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector/fleet"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/site"
)

func packsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "packs", Short: "hand signed packs of rules and policies out to sensors",
		Long: `Hand signed packs of rules, and policies, out to sensors. 'roje-sensor rules pack sign' makes them, where the author's key
is; that key never comes here. All of it works while the collector runs.`,
		Args: aCommand,
		Run:  func(*cobra.Command, []string) {},
	}
	var data string
	cmd.PersistentFlags().StringVar(&data, "data", "", "the collector's data folder")
	cmd.MarkPersistentFlagRequired("data")
	cmd.AddCommand(packsAdd(&data), packsList(&data), packsAssign(&data), packsUnassign(&data), packsStatus(&data))
	return cmd
}

// publicKey reads an Ed25519 key (PKIX, PEM), as `openssl pkey -pubout` makes it.
func publicKey(path string) (ed25519.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if block, _ := pem.Decode(text); block != nil {
		if key, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			if key, ok := key.(ed25519.PublicKey); ok {
				return key, nil
			}
		}
	}
	return nil, fmt.Errorf("%s holds no public Ed25519 key", path)
}

func packsAdd(data *string) *cobra.Command {
	var key string
	cmd := &cobra.Command{Use: "add --key FILE PACK", Short: "keep a pack, so that it can be assigned", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			public, err := publicKey(key)
			if err != nil {
				return err
			}
			packed, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			return opened(cmd.Context(), *data, func(db store.Store, s store.Scope) error {
				p, err := fleet.Add(cmd.Context(), db, s, packed, public, who, time.Now())
				if err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "%s pack %s %d is kept, %d bytes; hand it out with 'packs assign'\n", p.Kind, p.Name, p.Version, p.Size)
				}
				return err
			})
		}}
	cmd.Flags().StringVar(&key, "key", "", "public key `FILE` (PKIX, PEM) of the author: it finds a wrong pack here; sensors have their own")
	cmd.MarkFlagRequired("key")
	return cmd
}

// table writes rows of cells in columns.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	return t.Flush()
}

func packsList(data *string) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "list the packs that are kept, and whom they are assigned to", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return opened(cmd.Context(), *data, func(db store.Store, s store.Scope) error {
				packs, err := db.ListPacks(cmd.Context(), s)
				if err != nil {
					return err
				}
				assigned, err := db.Assignments(cmd.Context(), s)
				if err != nil {
					return err
				}
				rows := [][]string{{"KIND", "NAME", "VERSION", "BYTES", "CREATED", "EXPIRES", "ASSIGNED TO"}}
				for _, p := range packs {
					var to []string
					for _, a := range assigned {
						if a.Pack == p.SHA256 {
							to = append(to, a.Target)
						}
					}
					until := "-"
					if p.Expires != nil {
						until = p.Expires.Format(time.DateOnly)
					}
					rows = append(rows, []string{p.Kind, p.Name, fmt.Sprint(p.Version), fmt.Sprint(p.Size), p.Created.Format(time.DateOnly), until, strings.Join(to, ", ")})
				}
				return table(cmd.OutOrStdout(), rows)
			})
		}}
}

// A target is whom a command is about.
type target struct {
	all          bool
	site, sensor string
}

func (t *target) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&t.all, "all", false, "all sensors that have none of their own")
	cmd.Flags().StringVar(&t.site, "site", "", "the sensors of this `NAME`")
	cmd.Flags().StringVar(&t.sensor, "sensor", "", "the sensor of this `ID`")
	cmd.MarkFlagsOneRequired("all", "site", "sensor")
	cmd.MarkFlagsMutuallyExclusive("all", "site", "sensor")
}

func (t *target) String() string {
	switch {
	case t.site != "":
		return store.TargetSite(t.site)
	case t.sensor != "":
		return store.TargetSensor(t.sensor)
	}
	return store.TargetAll
}

// kindFlag adds --kind; the function that it returns reads it.
func kindFlag(cmd *cobra.Command) func() (string, error) {
	var words []string
	for _, k := range site.Kinds {
		words = append(words, k.String())
	}
	kind := cmd.Flags().String("kind", words[0], "one of "+strings.Join(words, ", "))
	return func() (string, error) {
		if !slices.Contains(words, *kind) {
			return "", usage("--kind is one of " + strings.Join(words, ", "))
		}
		return *kind, nil
	}
}

func packsAssign(data *string) *cobra.Command {
	var to target
	var version uint64
	cmd := &cobra.Command{Use: "assign NAME", Short: "have sensors fetch a pack", Args: cobra.ExactArgs(1)}
	to.add(cmd)
	kind := kindFlag(cmd)
	cmd.Flags().Uint64Var(&version, "version", 0, "version `N`; default: the newest that is kept")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, err := kind()
		if err != nil {
			return err
		}
		return opened(cmd.Context(), *data, func(db store.Store, s store.Scope) error {
			p, err := fleet.Find(cmd.Context(), db, s, k, args[0], version)
			if err != nil {
				return err
			}
			if to.sensor != "" {
				if _, err := db.GetSensor(cmd.Context(), s, to.sensor); err != nil {
					return err
				}
			}
			if err := db.Assign(cmd.Context(), s, to.String(), p.SHA256, who, time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s pack %s %d is for %s; 'packs status' says who has it\n", p.Kind, p.Name, p.Version, &to)
			return nil
		})
	}
	return cmd
}

func packsUnassign(data *string) *cobra.Command {
	var to target
	cmd := &cobra.Command{Use: "unassign", Short: "no longer hand out a pack; sensors that have it keep it", Args: cobra.NoArgs}
	to.add(cmd)
	kind := kindFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		k, err := kind()
		if err != nil {
			return err
		}
		return opened(cmd.Context(), *data, func(db store.Store, s store.Scope) error {
			return db.Unassign(cmd.Context(), s, to.String(), k, who, time.Now())
		})
	}
	return cmd
}

func packsStatus(data *string) *cobra.Command {
	return &cobra.Command{Use: "status", Short: "say which sensor runs which version, which lags, and which refused what and why", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return opened(cmd.Context(), *data, func(db store.Store, s store.Scope) error {
				members, err := fleet.Members(cmd.Context(), db, s, time.Now())
				if err != nil {
					return err
				}
				rows := [][]string{{"SENSOR", "STATE", "KIND", "RUNS", "ASSIGNED", "PACK", "WHY"}}
				for _, m := range members {
					if len(m.Packs) == 0 {
						rows = append(rows, []string{m.Name, m.State, "-", "-", "-", fleet.Current, m.Refused})
					}
					for _, p := range m.Packs {
						runs, assigned := "-", "-"
						if p.Name != "" {
							runs = fmt.Sprintf("%s %d", p.Name, p.Version)
						}
						if p.Assigned != nil {
							assigned = fmt.Sprintf("%s %d", p.Assigned.Name, p.Assigned.Version)
						}
						why := p.Why
						if p.Reason != "" {
							why = p.Reason + ": " + why
						} else if why == "" {
							why = m.Refused
						}
						rows = append(rows, []string{m.Name, m.State, p.Kind, runs, assigned, p.State, strings.ReplaceAll(why, "\n", " ")})
					}
				}
				return table(cmd.OutOrStdout(), rows)
			})
		}}
}
