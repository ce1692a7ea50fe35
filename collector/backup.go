package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/store/sqlite"
)

// databases are the names in a data folder that are copied by SQLite, which sees whole commits only. Everything else
// in it is small and written in one step, and is copied as it is.
var databases = []string{sqlite.FileName, shelfName}

// passing are the names in a data folder that mean nothing in another.
func passing(name string) bool {
	switch name {
	case lockName, servingName + ".new":
		return true
	}
	if strings.HasPrefix(name, sqlite.Folder+string(filepath.Separator)) || name == sqlite.Folder {
		return true // the files of the operators, which the store itself copies
	}
	for _, db := range databases {
		if name == db || name == db+"-wal" || name == db+"-shm" || name == db+"-journal" {
			return true
		}
	}
	return false
}

// Backup copies everything of the data folder to the new folder out, while a collector may use it. out holds the keys
// of the certificate authority: nobody else may read it (0700). The store is a file in it, even if it is a database now.
func Backup(ctx context.Context, data, out string) (err error) {
	db, _, serving, err := OpenStore(ctx, data)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := os.Mkdir(out, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists; a backup goes to a new folder", out)
		}
		return fmt.Errorf("backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(out)) // half a backup is none
		}
	}()
	// The store goes last: the copy of the audit log and the shelf follow it, and one that knew of what the store of the
	// backup lacks would be damage, where one that is behind catches up.
	if err := copyFolder(data, out, passing); err != nil {
		return err
	}
	shelf, err := share.OpenShelf(filepath.Join(data, shelfName))
	if err != nil {
		return err
	}
	defer shelf.Close()
	if err := shelf.Backup(ctx, filepath.Join(out, shelfName)); err != nil {
		return err
	}
	if err := db.Backup(ctx, filepath.Join(out, sqlite.FileName)); err != nil || serving.Store == "" {
		return err
	}
	serving.Store = "" // what is restored has the store in its folder; 'roje-collector migrate' takes it to a database
	return serving.write(out)
}

// Restore makes the data folder, which must be empty or not exist, from a backup.
func Restore(from, data string) error {
	if _, err := os.Stat(filepath.Join(from, sqlite.FileName)); err != nil {
		return fmt.Errorf("%s is no backup: %w", from, cause(err))
	}
	entries, err := os.ReadDir(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restore: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty; restore to a new folder", data)
	}
	if err := makeFolder(data); err != nil {
		return err
	}
	return copyFolder(from, data, func(string) bool { return false })
}

// copyFolder copies files and folders, readable by the owner only, but for those at the top that skip names.
func copyFolder(from, to string, skip func(name string) bool) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil || name == "." || skip(name) {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		return copyFile(path, filepath.Join(to, name))
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
