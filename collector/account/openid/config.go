// Package openid lets people sign in by their organisation's identity provider: OpenID Connect Core 1.0, the code flow
// with PKCE (RFC 7636), a state and a nonce.
//
//	browser ──▸ /signin/oidc ──▸ provider ──▸ /signin/oidc/callback?code ──▸ token endpoint ──▸ ID token ──▸ groups ──▸ role
//
// Who somebody is, the provider says; what they may do, the collector's own settings say, by group. Who is in no group
// that they name gets in nowhere.
package openid

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/outward"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// Config is a provider and what its groups may do.
type Config struct {
	Issuer   string `yaml:"issuer"`    // https://..., as the provider's own discovery document says it
	ClientID string `yaml:"client_id"` // of the collector at the provider
	// SecretFile holds the client's secret, on its first line; "" is a client without one.
	SecretFile string `yaml:"client_secret_file"`
	// CAFile holds PEM certificates to trust beside the system's, for a provider with a CA of its own.
	CAFile string `yaml:"ca_file"`
	// Redirect is where the provider sends people back to: the console's address as browsers reach it, with
	// /signin/oidc/callback. "" is the address that the collector prints.
	Redirect    string `yaml:"redirect"`
	Name        string `yaml:"name"`         // of the provider, on the sign-in page; "" is the issuer's host
	NameClaim   string `yaml:"name_claim"`   // what users are called; "" is preferred_username
	GroupsClaim string `yaml:"groups_claim"` // "" is groups
	Roles       []Row  `yaml:"roles"`        // the first that fits counts
}

// A Row says what a group may do.
type Row struct {
	Group string     `yaml:"group"`
	Role  store.Role `yaml:"role"`
	// Operator is whose data it is for; "" is the collector's own operator. Rows of other operators are of no account here,
	// so that the collectors of several operators may share a file.
	Operator string `yaml:"operator"`
}

// Path is where the flow begins, and Callback where it ends.
const (
	Path     = "/signin/oidc"
	Callback = Path + "/callback"
)

// On says whether there is a provider.
func (c *Config) On() bool {
	return c.Issuer != "" || c.ClientID != "" || c.SecretFile != "" || c.CAFile != "" || c.Redirect != "" || c.Name != "" || c.NameClaim != "" || c.GroupsClaim != "" || len(c.Roles) > 0
}

// Files are the settings that name files.
func (c *Config) Files() []*string { return []*string{&c.SecretFile, &c.CAFile} }

// Check says all that is wrong.
func (c *Config) Check() error {
	if !c.On() {
		return nil
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := outward.Safe(c.Issuer, risk); err != nil {
		wrong("issuer: %w", err)
	}
	if c.ClientID == "" {
		wrong("client_id: it is needed, as the provider knows the collector by it")
	}
	if c.Redirect != "" {
		if err := outward.Safe(c.Redirect, risk); err != nil {
			wrong("redirect: %w", err)
		} else if !strings.HasSuffix(c.Redirect, Callback) {
			wrong("redirect: %q does not end with %s", c.Redirect, Callback)
		}
	}
	for _, file := range c.Files() {
		if *file != "" {
			if _, err := os.Stat(*file); err != nil {
				wrong("%w", err)
			}
		}
	}
	if len(c.Roles) == 0 {
		wrong("roles: name at least one group and its role, or nobody can sign in")
	}
	for i, row := range c.Roles {
		if row.Group == "" {
			wrong("roles: row %d names no group", i+1)
		}
		if err := account.CheckRole(row.Role); err != nil {
			wrong("roles: group %q: %w", row.Group, err)
		}
		if row.Operator != "" {
			if err := batch.CheckName("an operator", row.Operator); err != nil {
				wrong("roles: group %q: %w", row.Group, err)
			}
		}
	}
	return errors.Join(errs...)
}

// risk is what an address without TLS lets happen.
const risk = "anybody on the way could sign in as anybody"

// role is what somebody of these groups may do at an operator; false is nothing.
func (c *Config) role(groups []string, operator string) (store.Role, bool) {
	for _, row := range c.Roles {
		if (row.Operator == "" || row.Operator == operator) && slices.Contains(groups, row.Group) {
			return row.Role, true
		}
	}
	return "", false
}
