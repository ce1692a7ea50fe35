package collector

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/audit"
	"github.com/roje-ot/roje/collector/share"
)

// Export writes what an account that pulls would get, as files in the new folder out: a MISP feed in misp/, alerts.csv, and
// a STIX 2.1 bundle in stix.json. It is for who has no way to the collector. It works beside a collector or without one, and
// is an entry of the audit log.
func Export(ctx context.Context, data, recipient, who, out string) (files int, err error) {
	db, scope, _, err := OpenStore(ctx, data)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	u, err := db.GetUser(ctx, scope, recipient)
	if err == nil && (!slices.Contains(account.CERTs, u.Role) || u.Disabled) {
		err = fmt.Errorf("user %q is no account of a CERT that may pull", recipient)
	}
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	if err := os.Mkdir(out, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return 0, fmt.Errorf("%s exists; an export goes to a new folder", out)
		}
		return 0, fmt.Errorf("export: %w", err)
	}
	err = audit.Append(ctx, db, scope, audit.Entry{At: time.Now(), Operator: scope.Operator(), Who: who, What: audit.Exported, Object: recipient, Detail: "to files, up to tlp " + string(u.Ceiling)})
	if err == nil {
		err = os.Mkdir(filepath.Join(out, "misp"), 0o700)
	}
	if err == nil {
		f := &share.Files{From: db, Scope: scope, Logger: slog.New(slog.DiscardHandler), Recipient: func(context.Context) share.Recipient {
			return share.Recipient{Name: u.Name, Ceiling: u.Ceiling}
		}}
		err = f.Write(ctx, func(name string, text []byte) error {
			files++
			return os.WriteFile(filepath.Join(out, filepath.FromSlash(name)), text, 0o600)
		})
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("export: %w", err), os.RemoveAll(out)) // half of it is none
	}
	return files, nil
}
