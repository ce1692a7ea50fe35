package sensor

import (
	"context"
	"time"

	"github.com/roje-ot/roje/sensor/flow"
)

// readCapture feeds one capture file to table alone and flushes it.
func readCapture(ctx context.Context, path string, table *flow.Table) error {
	return readPackets(ctx, path, table, nil, time.Time{})
}
