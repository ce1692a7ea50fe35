package sensor

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/testdata/need"
)

func TestPrefilterConfig(t *testing.T) {
	for _, c := range []struct{ name, text, err string }{
		{"none", "interfaces: [eth0]\n", ""},
		{"one of two", "interfaces: [eth0, eth1]\nprefilter: [eth1]\n", ""},
		{"of no interface", "interfaces: [eth0]\nprefilter: [eth1]\n", `prefilter names "eth1", which is none of the interfaces`},
		{"twice", "interfaces: [eth0]\nprefilter: [eth0, eth0]\n", `prefilter names "eth0" twice`},
		{"no list", "interfaces: [eth0]\nprefilter: true\n", "line 2"},
		{"of recorded files", "replay: {files: [" + os.DevNull + "]}\nprefilter: [eth0]\n", "none of the interfaces"},
	} {
		path := filepath.Join(t.TempDir(), "sensor.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadConfig(path)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
}

// TestWithoutPrefilter: where the prefilter cannot be had the port works without, and says why.
func TestWithoutPrefilter(t *testing.T) {
	span, _ := need.Veth(t)
	link, err := netlink.LinkByName(span)
	if err == nil {
		err = netlink.AddrAdd(link, &netlink.Addr{IPNet: netlink.NewIPNet([]byte{192, 0, 2, 1})})
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := filter.Load(filter.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct {
		name string
		port *port
		want string
	}{
		{"no filter", &port{name: span}, "it needs an eBPF filter behind it"},
		{"an interface of the host", &port{name: span, filter: f}, filter.ErrHost.Error()},
		{"no interface", &port{name: "nosuch0", filter: f}, "not found"},
	} {
		var text bytes.Buffer
		if c.port.foresee(slog.New(slog.NewTextHandler(&text, nil))) || c.port.early != nil {
			t.Errorf("%s: a prefilter", c.name)
		}
		if !strings.Contains(text.String(), "going on without") || !strings.Contains(text.String(), c.want) {
			t.Errorf("%s: it says %q, want %q", c.name, text.String(), c.want)
		}
	}
}
