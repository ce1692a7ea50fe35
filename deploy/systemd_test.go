package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/passive/verify"
	"github.com/roje-ot/roje/testdata/need"
)

// patience only tells a test that hangs.
const patience = 5 * time.Minute

// first makes a host of its own out of the namespaces that it is started in, and becomes its systemd. Of the machine's
// files it can change none: they are read-only, or what is written lies over them in memory; $D alone, the test's folder,
// is shared, as /run/d. Of the kernel's settings it can change those of its network. Only the units of $D are known to it,
// and what they ask for by default is empty: none of the machine's own units, which clean and set up a machine, is started.
const first = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/d /run/up /run/systemd /run/none
mount --bind $D /run/d
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,rw /proc/sys/net
umount -l -R /sys/fs/cgroup 2>/dev/null || :
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -o remount,bind,ro /sys
for at in etc usr var; do
	mkdir /run/up/$at /run/up/$at-work
	mount -t overlay overlay -o lowerdir=/$at,upperdir=/run/up/$at,workdir=/run/up/$at-work /$at
done
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /dev/shm
touch /run/d/console
mount --bind /run/d/console /dev/console
mount -o remount,bind,ro /dev
mount -o remount,bind,ro /
for at in / /root /home /opt /srv /dev /sys; do
	if touch $at/roje-test 2>/dev/null; then rm -f $at/roje-test; echo "$at can be written to"; exit 1; fi
done
rm -rf /etc/systemd/system
mkdir -p /etc/systemd/system /etc/roje /usr/lib/roje/root
cp -r /run/d/units/. /etc/systemd/system/
cp /run/d/bin/roje-sensor /usr/bin/roje-sensor
cp /run/d/sensor.yaml /etc/roje/sensor.yaml
echo 'roje-sensor:x:64999:64999::/nonexistent:/usr/sbin/nologin' >> /etc/passwd
echo 'roje-sensor:x:64999:' >> /etc/group
echo boot
export container=other SYSTEMD_UNIT_PATH=/etc/systemd/system SYSTEMD_GENERATOR_PATH=/run/none SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/none
exec /lib/systemd/systemd --system --unit=roje-test.target --log-target=console --log-level=info --show-status=0
`

// A host is a systemd that runs the units of this folder, in namespaces of its own but for the network's, which is the
// test's.
type host struct {
	t     *testing.T
	dir   string
	pid1  *exec.Cmd
	ended chan struct{} // closed once systemd, or what leads up to it, has ended
	said  bytes.Buffer  // what it said, readable then
}

// boot starts it, with the units as they ship but for the devices, of which there are none without udev, and for where
// the sensor's log goes, which has no journal.
func boot(t *testing.T, port string) *host {
	t.Helper()
	need.Tool(t, "/lib/systemd/systemd", "systemd")
	dir, err := os.MkdirTemp("", "roje-host")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &host{t: t, dir: dir}
	build := exec.Command("go", "build", "-o", dir+"/bin/roje-sensor", "../cmd/roje-sensor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.file("sensor.yaml", "name: unit\nstate: /var/lib/roje-sensor\ninterfaces: ["+port+"]\nphase: enforce\nalerts: /var/lib/roje-sensor/alerts\n")
	for _, name := range []string{"roje-sensor.service", "roje-port@.service"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(line string) bool { return strings.Contains(line, "sys-subsystem-net-devices") })
		h.file("units/"+name, strings.Join(lines, ""))
		h.file("units/"+name+".d/log.conf", "[Service]\nStandardOutput=append:/run/d/log\nStandardError=append:/run/d/log\n")
	}
	h.file("units/roje-test.target", "[Unit]\nDefaultDependencies=no\nWants=roje-sensor.service roje-port@"+port+".service\n")
	for _, name := range []string{"sysinit.target", "basic.target", "shutdown.target", "network-online.target"} {
		h.file("units/"+name, "[Unit]\nDefaultDependencies=no\n")
	}
	h.start()
	return h
}

func (h *host) file(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		h.t.Fatal(err)
	}
}

// start starts systemd in a control group of its own, which goes with it.
func (h *host) start() {
	h.t.Helper()
	if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS|unix.CLONE_FS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
		h.t.Fatal(err)
	}
	groups, err := os.MkdirTemp("", "roje-groups")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { os.Remove(groups) }) // and nothing in it: it is the machine's
	group := fmt.Sprintf("%s/roje-test-%d", groups, os.Getpid())
	h.ended = make(chan struct{})
	if err := unix.Mount("cgroup2", groups, "cgroup2", 0, ""); err != nil {
		fmt.Fprintln(&h.said, "mount cgroup2:", err)
		close(h.ended)
		return
	}
	if err := os.Mkdir(group, 0o755); err != nil {
		h.t.Fatal(err)
	}
	script := "echo 0 > " + group + "/cgroup.procs && umount " + groups + " && exec unshare --cgroup sh -c \"$FIRST\""
	h.pid1 = exec.Command("sh", "-c", script)
	h.pid1.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "D=" + h.dir, "FIRST=" + first}
	h.pid1.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC}
	h.pid1.Stdout, h.pid1.Stderr = &h.said, &h.said
	if err := h.pid1.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() {
		h.pid1.Wait()
		close(h.ended)
	}()
	h.t.Cleanup(func() {
		h.pid1.Process.Kill() // and the kernel everything in its namespace
		<-h.ended
		if h.t.Failed() {
			h.t.Logf("systemd said:\n%s\n%s\n%s", h.said.String(), h.read("console"), h.read("log"))
		}
		var all []string
		filepath.WalkDir(group, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		for _, path := range slices.Backward(all) {
			os.Remove(path)
		}
		unix.Unmount(groups, unix.MNT_DETACH)
	})
}

func (h *host) read(name string) string {
	text, _ := os.ReadFile(filepath.Join(h.dir, name))
	return string(text)
}

// logs waits until the services have logged text n times, or systemd has ended.
func (h *host) logs(text string, n int) {
	h.t.Helper()
	deadline := time.After(patience)
	for look := time.NewTicker(20 * time.Millisecond); strings.Count(h.read("log"), text) < n; {
		select {
		case <-look.C:
		case <-h.ended:
			return
		case <-deadline:
			h.t.Fatalf("the services do not say %q %d times", text, n)
		}
	}
}

// booted says whether the machine lets a systemd boot in namespaces at all.
func (h *host) booted() bool {
	select {
	case <-h.ended:
		return strings.Contains(h.said.String(), "boot\n")
	default:
		return true
	}
}

// process is the number, outside, of the host's process with the command line.
func (h *host) process(args ...string) int {
	h.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		h.t.Fatal(err)
	}
	here, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", h.pid1.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, path := range all {
		line, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(line, []byte(strings.Join(args, "\x00")+"\x00")) {
			continue
		}
		if ns, err := os.Readlink(filepath.Join(filepath.Dir(path), "ns/pid")); err == nil && ns == here {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	h.t.Fatalf("nothing runs as %q", args)
	return 0
}

// TestUnderSystemd boots a systemd of its own that starts the units: the port is shut, the sensor watches it as nobody in
// particular, an attempt to send is an alert, and a sensor that was killed is started again.
func TestUnderSystemd(t *testing.T) {
	span, _ := need.Veth(t)
	h := boot(t, span)
	h.logs("msg=watching source="+span, 1)
	if !h.booted() {
		need.Systemd(t, h.said.String())
	}
	for _, want := range []string{span + " is shut", "passivity=kernel", `capture="A: `, `drops="after the sensor ends"`} {
		if !strings.Contains(h.read("log"), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	sensor := h.process("/usr/bin/roje-sensor", "run")
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", sensor))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t64999\t64999", "CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the sensor's status lacks %q:\n%s", want, status)
		}
	}
	watch, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.process("/usr/bin/roje-sensor", "shut", "--stay")))
	if err != nil {
		t.Fatal(err)
	}
	rights := fmt.Sprintf("%016x", 1<<unix.CAP_NET_ADMIN|1<<unix.CAP_BPF|1<<unix.CAP_PERFMON)
	if !strings.Contains(string(watch), "CapEff:\t"+rights) || !strings.Contains(string(watch), "CapBnd:\t"+rights) {
		t.Errorf("the process that keeps watch has other rights than %s:\n%s", rights, watch)
	}

	port, err := net.InterfaceByName(span)
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []string{"packet socket", "packet socket past the queues"} {
		if err := verify.Send(way, port); err != unix.ENOBUFS {
			t.Errorf("%s: %v, want %v", way, err, unix.ENOBUFS)
		}
	}
	h.logs("tried to send on the port "+span, 1)
	if alerts, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/var/lib/roje-sensor/alerts", h.pid1.Process.Pid)); err != nil || !bytes.Contains(alerts, []byte(`"sensor-port-tried"`)) {
		t.Errorf("the attempt is no alert: %v\n%s", err, alerts)
	}

	reload := exec.Command("nsenter", "--target", strconv.Itoa(h.pid1.Process.Pid), "--mount", "--pid", "--", "systemctl", "reload", "roje-sensor.service")
	if out, err := reload.CombinedOutput(); err != nil {
		t.Errorf("reload: %v\n%s", err, out)
	}
	h.logs("rules reloaded", 1)

	if err := unix.Kill(sensor, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := verify.Send("packet socket", port); err != unix.ENOBUFS {
		t.Errorf("the sensor has crashed, and a packet socket is told %v", err)
	}
	h.logs("msg=watching source="+span, 2)
	link, err := netlink.LinkByName(span)
	if err != nil {
		t.Fatal(err)
	}
	if n := link.Attrs().Statistics.TxPackets; n != 0 {
		t.Errorf("the port has sent %d frames", n)
	}
}
