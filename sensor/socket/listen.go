package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// FileName is the socket in the state folder.
const FileName = "control.sock"

// Listen opens the socket in the state folder dir, in the place of one that a sensor has left there. The caller holds the
// folder for itself: no other sensor may run in it.
func Listen(dir string) (net.Listener, error) {
	path := filepath.Join(dir, FileName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("socket: %w", err)
	}
	private := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), 0o600) }) // the file is made with this mode
		return errors.Join(err, failed)
	}}
	l, err := private.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	return guarded{l, users()}, nil
}

// users are root and the user that this process runs as, by number. A sealed process may no longer ask who it is.
func users() map[uint32]string {
	all := map[uint32]string{uint32(os.Geteuid()): "uid " + strconv.Itoa(os.Geteuid()), 0: "root"}
	if me, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
		all[uint32(os.Geteuid())] = me.Username
	}
	return all
}

// guarded takes connections of its users.
type guarded struct {
	net.Listener
	users map[uint32]string
}

// A known is a connection of one of the users.
type known struct {
	net.Conn
	user string
}

// Accept implements net.Listener.
func (g guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := peer(c); err == nil && g.users[uid] != "" {
			return known{c, g.users[uid]}, nil
		}
		c.Close()
	}
}

// peer is the user who has connected, as the kernel knows him.
func peer(c net.Conn) (uint32, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, errors.New("no Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, failed); err != nil {
		return 0, err
	}
	return cred.Uid, nil
}

type peerKey struct{}

// Server answers by handler on a listener of Listen. Its requests know who asks: Who.
func Server(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, peerKey{}, c.(known).user)
	}}
}

// Who is the person behind a request: the name that was given, and, where that is not the user's who has connected, that
// user beside it.
func Who(ctx context.Context, name string) string {
	user, _ := ctx.Value(peerKey{}).(string)
	switch {
	case user == "" || user == name:
		return name
	case name == "":
		return user
	}
	return name + " (as " + user + ")"
}
