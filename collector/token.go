package collector

import (
	"context"
	"path/filepath"
	"time"

	"github.com/roje-ot/roje/collector/pki"
)

// A TokenAsk is what a token should be.
type TokenAsk struct {
	Site    string        // names the sensor; "" lets it name itself
	Address string        // where the sensor connects; "" is where the collector last served
	Who     string        // asks for it
	Life    time.Duration // 0 is three days
	Approve bool          // a person must approve the sensor that comes with it
}

// NewToken makes a single-use token by which one sensor joins the collector whose data folder is data, running or not.
// The token is a secret: only its hash is kept.
func NewToken(ctx context.Context, data string, ask TokenAsk) (string, error) {
	db, scope, serving, err := OpenStore(ctx, data)
	if err != nil {
		return "", err
	}
	defer db.Close()
	if ask.Address == "" {
		ask.Address = serving.Ingest
	}
	ca, err := pki.Open(filepath.Join(data, caName), time.Now)
	if err != nil {
		return "", err
	}
	text, kept, err := ca.NewToken(scope, ask.Site, ask.Who, ask.Address, ask.Life)
	if err != nil {
		return "", err
	}
	kept.Approve = ask.Approve
	if err := db.CreateToken(ctx, scope, kept); err != nil {
		return "", err
	}
	return text, nil
}
