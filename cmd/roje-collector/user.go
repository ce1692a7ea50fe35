package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/store"
)

// who is what the record says of acts done by these commands.
const who = "command line"

func userCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "user", Short: "add, list and disable users",
		Args: aCommand,
		Run:  func(*cobra.Command, []string) {},
	}
	var data string
	cmd.PersistentFlags().StringVar(&data, "data", "", "the collector's data folder")
	cmd.MarkPersistentFlagRequired("data")
	cmd.AddCommand(userAdd(&data), userList(&data), userPassword(&data), userDisable(&data, true), userDisable(&data, false), userSeal(&data), userSecond(&data), userCeiling(&data), userCompare(&data))
	return cmd
}

// passwordFlag adds --password-stdin to cmd; the function it returns reads the password, "" if the flag is not set.
func passwordFlag(cmd *cobra.Command) func(name string) (string, error) {
	fromStdin := cmd.Flags().Bool("password-stdin", false, "read the password, one line, from standard input, instead of making a one-time password")
	return func(name string) (string, error) {
		if !*fromStdin {
			return "", nil
		}
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		password := strings.TrimRight(line, "\r\n")
		if err != nil && password == "" {
			return "", errors.New("no password on standard input")
		}
		return password, account.CheckPassword(name, password)
	}
}

func userAdd(data *string) *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use: "add NAME", Short: "add a user; prints a one-time password, or the password of a cert account",
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&role, "role", string(store.Analyst), "one of "+account.Roles()+"; cert pulls released alerts, nothing else; cert-analyst, a person, also writes to the operator about them")
	given := passwordFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		chosen, err := given(args[0])
		if err != nil {
			return err
		}
		return opened(cmd.Context(), *data, func(db store.Store, scope store.Scope) error {
			password, err := account.Add(cmd.Context(), db, scope, args[0], store.Role(role), who, time.Now())
			if err != nil {
				return err
			}
			if chosen == "" {
				fmt.Fprintln(cmd.OutOrStdout(), password)
				return nil
			}
			u, err := db.GetUser(cmd.Context(), scope, args[0])
			if err != nil {
				return fmt.Errorf("user %s: %w", args[0], err)
			}
			_, err = setPassword(cmd, db, scope, &u, chosen)
			return err
		})
	}
	return cmd
}

// setPassword gives a user the chosen password, or a one-time one, which it returns, where none was chosen.
func setPassword(cmd *cobra.Command, db store.Store, scope store.Scope, u *store.User, chosen string) (string, error) {
	if err := account.PasswordSet(u); err != nil {
		return "", err
	}
	once := ""
	if chosen != "" {
		u.Hash, u.MustChange = account.Hash(chosen), false
	} else {
		once = account.Reset(u)
	}
	return once, db.PutUser(cmd.Context(), scope, *u, who, time.Now())
}

func userPassword(data *string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "passwd NAME", Short: "give a user a new one-time password, which is printed",
		Args: cobra.ExactArgs(1),
	}
	given := passwordFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		chosen, err := given(args[0])
		if err != nil {
			return err
		}
		return withUser(cmd.Context(), *data, args[0], func(db store.Store, scope store.Scope, u store.User) error {
			once, err := setPassword(cmd, db, scope, &u, chosen)
			if err == nil && once != "" {
				fmt.Fprintln(cmd.OutOrStdout(), once)
			}
			return err
		})
	}
	return cmd
}

func userDisable(data *string, disabled bool) *cobra.Command {
	name, short := "disable NAME", "keep a user out; every session ends at once"
	if !disabled {
		name, short = "enable NAME", "let a disabled user in again"
	}
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withUser(cmd.Context(), *data, args[0], func(db store.Store, scope store.Scope, u store.User) error {
				u.Disabled = disabled
				return db.PutUser(cmd.Context(), scope, u, who, time.Now())
			})
		},
	}
}

func userSeal(data *string) *cobra.Command {
	return &cobra.Command{
		Use: "seal NAME", Short: "make a sealed account for emergencies, or seal one anew; prints its password for the envelope",
		Long: `Make an administrator's account that opens once, with a reason, for an hour, which everybody is shown. The password
that is printed belongs in a sealed envelope. An account that was opened is sealed anew by the same command.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return opened(cmd.Context(), *data, func(db store.Store, scope store.Scope) error {
				password, err := account.Seal(cmd.Context(), db, scope, args[0], who, time.Now())
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), password)
				}
				return err
			})
		},
	}
}

func userSecond(data *string) *cobra.Command {
	return &cobra.Command{
		Use: "reset-second NAME", Short: "take a user's second factor away, as the phone is lost", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withUser(cmd.Context(), *data, args[0], func(db store.Store, scope store.Scope, u store.User) error {
				if !account.HasSecond(&u) {
					return errors.New("has no second factor")
				}
				return account.RemoveSecond(cmd.Context(), db, scope, &u, who, time.Now())
			})
		},
	}
}

func userCeiling(data *string) *cobra.Command {
	return &cobra.Command{
		Use: "ceiling NAME LEVEL", Short: "set the strictest TLP that a cert account is shown: clear, green, amber, amber+strict, or any", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			level := args[1]
			if level == "any" {
				level = ""
			}
			return withUser(cmd.Context(), *data, args[0], func(db store.Store, scope store.Scope, u store.User) error {
				if err := account.SetCeiling(&u, level); err != nil {
					return err
				}
				return db.PutUser(cmd.Context(), scope, u, who, time.Now())
			})
		},
	}
}

func userCompare(data *string) *cobra.Command {
	return &cobra.Command{
		Use: "compare NAME (released|acts|nothing) [CERT]", Short: "set what a CERT's collector may compare with what it sees at other operators",
		Long: `Let the CERT whose account NAME is compare, at its own collector, what it sees of this operator with what it sees at others:
what was released to the account, or beside that the acts that were seen: rule, technique, severity, times, number of sites.
CERT is the operator's name of the CERT's collector. "nothing" takes it back.`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			what, cert := store.Compare(args[1]), ""
			if what == "nothing" {
				what = ""
			} else if len(args) < 3 {
				return usage("name the CERT whose account " + args[0] + " is: the operator's name of its collector")
			}
			if len(args) == 3 {
				cert = args[2]
			}
			return withUser(cmd.Context(), *data, args[0], func(db store.Store, scope store.Scope, u store.User) error {
				if err := account.SetCompare(&u, cert, what); err != nil {
					return err
				}
				return db.PutUser(cmd.Context(), scope, u, who, time.Now())
			})
		},
	}
}

func userList(data *string) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list the users", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var users []store.User
			err := opened(cmd.Context(), *data, func(db store.Store, scope store.Scope) (err error) {
				users, err = db.ListUsers(cmd.Context(), scope)
				return err
			})
			if err != nil {
				return err
			}
			out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(out, "NAME\tROLE\tSTATE\tLAST SIGN-IN")
			for _, u := range users {
				state, signedIn := "active", "never"
				switch {
				case u.Disabled:
					state = "disabled"
				case u.MustChange:
					state = "one-time password"
				}
				switch glass, err := account.GlassOf(&u); {
				case err != nil:
					return err
				case glass != nil && glass.Opened.IsZero():
					state += ", sealed"
				case glass != nil:
					state += ", seal broken " + glass.Opened.UTC().Format(time.RFC3339)
				case account.HasSecond(&u):
					state += ", second factor"
				}
				if u.Ceiling != "" {
					state += ", up to TLP " + string(u.Ceiling)
				}
				if u.Compare != "" {
					state += ", " + u.CERT + " compares " + string(u.Compare)
				}
				if u.SignedIn != nil {
					signedIn = u.SignedIn.UTC().Format(time.RFC3339)
				}
				fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", u.Name, u.Role, state, signedIn)
			}
			return out.Flush()
		},
	}
}
