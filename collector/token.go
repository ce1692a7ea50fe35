package collector

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
)

// NewToken makes a single-use token by which one sensor joins the collector whose data folder is data, running or not.
// site names the sensor, "" lets it name itself; address is where it connects, "" is where the collector last served;
// life 0 is three days. The token is a secret: only its hash is kept.
func NewToken(ctx context.Context, data, site, address, who string, life time.Duration) (string, error) {
	if _, err := os.Stat(filepath.Join(data, sqlite.FileName)); err != nil {
		return "", fmt.Errorf("%s holds no collector's data; start one with 'roje-collector serve --data %s'", data, data)
	}
	serving, err := ReadServing(data)
	if err != nil {
		return "", err
	}
	scope, err := store.For(serving.Operator)
	if err != nil {
		return "", err
	}
	if address == "" {
		address = serving.Ingest
	}
	ca, err := pki.Open(filepath.Join(data, caName), time.Now)
	if err != nil {
		return "", err
	}
	text, kept, err := ca.NewToken(scope, site, who, address, life)
	if err != nil {
		return "", err
	}
	db, err := sqlite.Open(data)
	if err != nil {
		return "", err
	}
	defer db.Close()
	if err := db.CreateToken(ctx, scope, kept); err != nil {
		return "", err
	}
	return text, nil
}
