package socket

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// serving answers in dir with the name that was asked under, or refuses.
func serving(t *testing.T, dir string) {
	t.Helper()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var name string
		if err := json.NewDecoder(r.Body).Decode(&name); err != nil || r.URL.Path != "/name" {
			http.Error(w, "say a name", http.StatusUnprocessableEntity)
			return
		}
		io.WriteString(w, Who(r.Context(), name))
	}))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// TestAsk: the answer, the refusal, who has asked, and a folder in which nobody runs, at first or any more.
func TestAsk(t *testing.T) {
	dir := t.TempDir()
	ask := func(path string, order any) (string, error) {
		var out strings.Builder
		err := Ask(t.Context(), dir, path, order, &out)
		return out.String(), err
	}
	if _, err := ask("name", "anna"); !errors.Is(err, ErrNone) {
		t.Errorf("%v, want that none runs", err)
	}
	left, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v, want the mode 0600", info.Mode(), err)
	}
	left.(guarded).Listener.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	left.Close() // as a kill leaves it
	if _, err := ask("name", "anna"); !errors.Is(err, ErrNone) {
		t.Errorf("%v, want that none runs any more", err)
	}

	serving(t, dir)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"anna": "anna (as " + me.Username + ")", me.Username: me.Username, "": me.Username} {
		if got, err := ask("name", name); got != want || err != nil {
			t.Errorf("%q: %q %v, want %q", name, got, err, want)
		}
	}
	if _, err := ask("name", 5); err == nil || err.Error() != "say a name" {
		t.Errorf("%v, want the refusal", err)
	}
}
