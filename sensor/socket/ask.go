package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrNone means that no sensor runs in the state folder.
var ErrNone = errors.New("no sensor runs here")

// Failed is the trailer that says why an answer is not whole.
const Failed = "Roje-Failed"

// maxRefusal bounds the text of a refusal.
const maxRefusal = 1 << 20

// Ask puts an order, as JSON, to the sensor that runs in the state folder dir, under the name of a path such as
// "baseline", and writes the answer to out. It returns ErrNone where none runs, and what the sensor refused as an error.
func Ask(ctx context.Context, dir, path string, order any, out io.Writer) error {
	body, err := json.Marshal(order)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, FileName)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", file)
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://sensor/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED): // a socket that nobody listens on was left by a kill
		return ErrNone
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s takes root and the user that the sensor runs as: %w", file, err)
	case err != nil:
		return fmt.Errorf("ask the sensor: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
		return errors.Join(errors.New(strings.TrimSpace(string(text))), err)
	}
	if _, err := io.Copy(out, answer.Body); err != nil {
		return fmt.Errorf("ask the sensor: %w", err)
	}
	if failed := answer.Trailer.Get(Failed); failed != "" {
		return errors.New(failed)
	}
	return nil
}
