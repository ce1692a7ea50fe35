package need

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// PostgresBin is where Debian keeps the programs of PostgreSQL 15.
const PostgresBin = "/usr/lib/postgresql/15/bin"

// A Cluster is a running PostgreSQL server of the test, reached by a Unix socket that only this machine has. It ends with
// the test.
type Cluster struct {
	t      testing.TB
	dir    string // holds the data in "data" and the socket
	port   int
	user   *syscall.Credential // nil where the test itself is not root
	server *os.Process
	ended  chan struct{}
}

var databases atomic.Int64

// Postgres makes and starts a server; settings are lines of its configuration.
func Postgres(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	c := newCluster(t)
	c.run("initdb", "-D", c.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	c.start(settings)
	c.SQL("postgres", "CREATE ROLE roje LOGIN NOSUPERUSER NOBYPASSRLS")
	return c
}

func newCluster(t testing.TB) *Cluster {
	t.Helper()
	if _, err := os.Stat(filepath.Join(PostgresBin, "postgres")); err != nil {
		missing(t, "PostgreSQL 15", "install postgresql-15 ("+err.Error()+")")
	}
	dir, err := os.MkdirTemp("", "roje-pg-") // not t.TempDir: the server's user must reach it
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, dir: dir, port: 5432}
	t.Cleanup(func() {
		c.end(syscall.SIGQUIT)
		os.RemoveAll(dir)
	})
	if os.Geteuid() == 0 { // which the server refuses to be
		for _, name := range []string{"postgres", "nobody"} {
			u, err := user.Lookup(name)
			if err != nil {
				continue
			}
			uid, _ := strconv.Atoi(u.Uid)
			gid, _ := strconv.Atoi(u.Gid)
			c.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
			break
		}
		if c.user == nil {
			missing(t, "a user for PostgreSQL", "there is neither postgres nor nobody")
		}
		if err := os.Chown(dir, int(c.user.Uid), int(c.user.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// command is a program of PostgreSQL, run as the server's user.
func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(PostgresBin, name), args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=" + c.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.user, Setpgid: true}
	return cmd
}

func (c *Cluster) run(name string, args ...string) {
	c.t.Helper()
	if out, err := c.command(name, args...).CombinedOutput(); err != nil {
		c.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// start runs the server, and returns when it answers.
func (c *Cluster) start(settings []string) {
	c.t.Helper()
	text := append([]string{"listen_addresses = ''", "unix_socket_directories = '" + c.dir + "'", "fsync = off", "shared_buffers = '64MB'",
		"max_connections = 60", "log_min_messages = warning", "max_wal_senders = 4"}, settings...)
	name := filepath.Join(c.data(), "postgresql.conf")
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString("\n" + strings.Join(text, "\n") + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		c.t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := c.command("postgres", "-D", c.data())
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	ended, begun := make(chan struct{}), make(chan error)
	go func() {
		runtime.LockOSThread() // the signal at the end of its parent is that of the parent's thread
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		begun <- err
		if err == nil {
			cmd.Wait()
		}
		close(ended)
	}()
	if err := <-begun; err != nil {
		c.t.Fatal(err)
	}
	c.server, c.ended = cmd.Process, ended
	for began := time.Now(); ; {
		if c.command("pg_isready", "-q", "-h", c.dir, "-p", strconv.Itoa(c.port), "-t", "5").Run() == nil {
			return
		}
		select {
		case <-ended:
			c.t.Fatalf("postgres ended at its start:\n%s", log.String())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Since(began) > time.Minute {
			c.t.Fatal("postgres does not answer after a minute")
		}
	}
}

// end signals the server and waits for it.
func (c *Cluster) end(signal syscall.Signal) {
	if c.server == nil {
		return
	}
	c.server.Signal(signal)
	select {
	case <-c.ended:
	case <-time.After(20 * time.Second):
		c.server.Kill()
		<-c.ended
	}
	c.server = nil
}

// Kill ends the server by SIGKILL, with everything it was doing, as a power cut would.
func (c *Cluster) Kill() {
	c.t.Helper()
	c.server.Signal(syscall.SIGSTOP)   // or it would start others meanwhile
	children := children(c.server.Pid) // each in a session of its own
	c.server.Kill()
	for _, pid := range children {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	c.end(syscall.SIGKILL)
	for _, pid := range children { // one that still writes would spoil what Restart begins
		for began := time.Now(); alive(pid); time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > time.Minute {
				c.t.Fatalf("process %d of PostgreSQL does not end", pid)
			}
		}
	}
}

// children are the processes whose parent is pid.
func children(pid int) (all []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			if state, parent := stat(n); parent == pid && state != "Z" {
				all = append(all, n)
			}
		}
	}
	return all
}

// alive says whether there is such a process that has not ended.
func alive(pid int) bool {
	state, _ := stat(pid)
	return state != "" && state != "Z" && state != "X"
}

// stat is a process's state and parent: "" where there is none.
func stat(pid int) (state string, parent int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fmt.Sscan(after, &state, &parent)
	return state, parent
}

// Restart starts a server that was killed.
func (c *Cluster) Restart() {
	c.t.Helper()
	os.Remove(filepath.Join(c.data(), "postmaster.pid"))
	c.start(nil)
}

// SQL runs statements as the superuser and returns what psql prints, fields set apart by "|".
func (c *Cluster) SQL(database, statements string) string {
	c.t.Helper()
	out, err := c.command("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", c.dir, "-p", strconv.Itoa(c.port), "-U", "postgres", "-d", database, "-c", statements).CombinedOutput()
	if err != nil {
		c.t.Fatalf("psql: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// Database makes an empty database that belongs to the role roje, who is no superuser, and returns its name.
func (c *Cluster) Database() string {
	c.t.Helper()
	name := fmt.Sprintf("roje%d", databases.Add(1))
	c.SQL("postgres", "CREATE DATABASE "+name+" OWNER roje")
	return name
}

// URL is how role reaches a database of this cluster or, where it cannot be written to, of others.
func (c *Cluster) URL(role, database string, others ...*Cluster) string {
	hosts, ports := c.dir, strconv.Itoa(c.port)
	for _, o := range others {
		hosts, ports = hosts+","+o.dir, ports+","+strconv.Itoa(o.port)
	}
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=%s", role, database, hosts, ports)
}

// Standby makes and starts a server that follows c under a name, for synchronous_standby_names.
func (c *Cluster) Standby(name string) *Cluster {
	c.t.Helper()
	s := newCluster(c.t)
	s.run("pg_basebackup", "-D", s.data(), "-h", c.dir, "-p", strconv.Itoa(c.port), "-U", "postgres", "-X", "stream", "--no-sync", "-c", "fast")
	if err := s.standbySignal(); err != nil {
		c.t.Fatal(err)
	}
	s.start([]string{fmt.Sprintf("primary_conninfo = 'host=%s port=%d user=postgres application_name=%s'", c.dir, c.port, name), "hot_standby = on"})
	return s
}

// standbySignal makes a server a standby.
func (c *Cluster) standbySignal() error {
	name := filepath.Join(c.data(), "standby.signal")
	if err := os.WriteFile(name, nil, 0o600); err != nil || c.user == nil {
		return err
	}
	return os.Chown(name, int(c.user.Uid), int(c.user.Gid))
}

// Promote makes a standby a primary.
func (c *Cluster) Promote() {
	c.t.Helper()
	c.run("pg_ctl", "promote", "-w", "-t", "60", "-D", c.data())
}
