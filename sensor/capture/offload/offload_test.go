package offload

import (
	"errors"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/roje-ot/roje/testdata/need"
)

// on are the features of a list that are on.
func on(t *testing.T, iface string, names []string) (all []string) {
	t.Helper()
	state, err := Read(iface)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, known := state[name]; !known {
			t.Logf("this kernel knows no %s", name)
		}
		if state[name].On {
			all = append(all, name)
		}
	}
	return all
}

// TestOff switches features of a virtual interface off and puts them back as they were.
func TestOff(t *testing.T) {
	span, _ := need.Veth(t)
	for _, name := range []string{"rx-gro", "rx-gro-list"} {
		if err := Switch(span, name, true); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name     string
		features []string
		want     []string // on before
	}{
		{"merging", Merging, []string{"rx-gro", "rx-gro-list"}},
		{"stripping", Stripping, Stripping},
	} {
		if before := on(t, span, c.features); !slices.Equal(before, c.want) {
			t.Fatalf("%s: on before are %q, want %q", c.name, before, c.want)
		}
		undo, err := Off(span, c.features)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if left := on(t, span, c.features); len(left) != 0 {
			t.Errorf("%s: still on are %q", c.name, left)
		}
		if err := undo(); err != nil {
			t.Errorf("%s: undo: %v", c.name, err)
		}
		if after := on(t, span, c.features); !slices.Equal(after, c.want) {
			t.Errorf("%s: on afterwards are %q, want %q", c.name, after, c.want)
		}
	}
}

// TestUndoFollows: what was switched off is put back on an interface that was renamed meanwhile, and is forgotten with
// one that vanished.
func TestUndoFollows(t *testing.T) {
	span, _ := need.Veth(t)
	undo, err := Off(span, Stripping)
	if err != nil {
		t.Fatal(err)
	}
	link, err := netlink.LinkByName(span)
	if err == nil {
		err = errors.Join(netlink.LinkSetDown(link), netlink.LinkSetName(link, "other"), undo())
	}
	if after := on(t, "other", Stripping); err != nil || !slices.Equal(after, Stripping) {
		t.Errorf("renamed: on afterwards are %q: %v", after, err)
	}
	undo, err = Off("other", Stripping)
	if err == nil {
		err = errors.Join(netlink.LinkDel(link), undo())
	}
	if err != nil {
		t.Errorf("vanished: %v", err)
	}
}

// TestCannot: what cannot be switched is said, and does not keep the rest from being switched.
func TestCannot(t *testing.T) {
	span, _ := need.Veth(t)
	if err := Switch(span, "rx-gro", true); err != nil {
		t.Fatal(err)
	}
	state, err := Read("lo")
	if err != nil {
		t.Fatal(err)
	}
	if s := state["loopback"]; !s.On || !s.Fixed { // NETIF_F_LOOPBACK of the loopback interface
		t.Fatalf("loopback of lo: %+v", s)
	}
	undo, err := Off("lo", []string{"loopback", "rx-gro"})
	if err == nil || on(t, "lo", []string{"rx-gro"}) != nil {
		t.Errorf("a fixed feature: %v", err)
	}
	if err := undo(); err != nil || on(t, "lo", []string{"rx-gro"}) == nil {
		t.Errorf("undo: %v", err)
	}
	if err := Switch(span, "no-such-feature", false); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a feature that is not there: %v", err)
	}
	if _, err := Off("nosuch0", Merging); err == nil {
		t.Error("an interface that is not there: no error")
	}
}
