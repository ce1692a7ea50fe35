package sensor

import (
	"errors"
	"io"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
)

// readCapture feeds one capture file to table and flushes it. On damage, all packets before it have been fed.
func readCapture(path string, table *flow.Table) error {
	file, err := capture.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	defer table.Flush()
	var p capture.Packet
	for {
		switch err := file.Next(&p); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		table.Packet(&p)
	}
}
