package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// The names in a data folder, beside the store's and the CA's own.
const (
	lockName    = "lock"
	shelfName   = "shared.db"
	caName      = "pki"
	servingName = "serving.json"
)

// Serving is what a collector last served, kept in its data folder for the commands that work beside it.
type Serving struct {
	Operator string `json:"operator"`
	Console  string `json:"console"`         // address of the listener
	Ingest   string `json:"ingest"`          // what sensors connect to, host:port
	Store    string `json:"store,omitempty"` // URL of the database, "" for the file in the folder
}

// makeFolder makes the data folder (0700) and says plainly if it cannot be written.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".probe-")
	if err != nil {
		return fmt.Errorf("data folder %s cannot be written: %w", dir, cause(err))
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// lockFolder keeps a second collector out of the folder; close the file to let go.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data folder %s is in use by another collector", dir)
		}
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	return f, nil
}

// cause is the innermost reason of a file error: its path is said already.
func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// ReadServing reads what the collector of a folder last served. It has never served: the defaults.
func ReadServing(dir string) (Serving, error) {
	s := Serving{Operator: DefaultOperator, Console: DefaultConsole, Ingest: DefaultIngest}
	text, err := os.ReadFile(filepath.Join(dir, servingName))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("data folder: %w", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("%s: %w", filepath.Join(dir, servingName), err)
	}
	return s, nil
}

// write replaces the file in one step.
func (s Serving) write(dir string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, servingName)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	return nil
}
