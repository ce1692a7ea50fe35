package collector

import (
	"context"
	"path/filepath"
	"time"

	"github.com/roje-ot/roje/collector/pki"
)

// NewToken makes a single-use token by which one sensor joins the collector whose data folder is data, running or not.
// site names the sensor, "" lets it name itself; address is where it connects, "" is where the collector last served;
// life 0 is three days. The token is a secret: only its hash is kept.
func NewToken(ctx context.Context, data, site, address, who string, life time.Duration) (string, error) {
	db, scope, serving, err := OpenStore(ctx, data)
	if err != nil {
		return "", err
	}
	defer db.Close()
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
	if err := db.CreateToken(ctx, scope, kept); err != nil {
		return "", err
	}
	return text, nil
}
