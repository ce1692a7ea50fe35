package capture

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/roje-ot/roje/testdata/need"
)

// TestLive sees a datagram that it sends over the loopback interface, whole and with a time.
func TestLive(t *testing.T) {
	need.Superuser(t)
	live, err := Live("lo")
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	there, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	const text = "a datagram that nobody else sends"
	if _, err := there.WriteTo([]byte(text), there.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	var p Packet
	for idle := 0; idle < 50; {
		err := live.Next(&p)
		switch {
		case errors.Is(err, ErrIdle):
			idle++
			continue
		case err != nil:
			t.Fatal(err)
		}
		if strings.HasSuffix(string(p.Data), text) {
			if p.Link != Ethernet || p.At == 0 || p.Frame == 0 || p.OrigLen != len(p.Data) || len(p.Data) != 14+20+8+len(text) {
				t.Errorf("got %+v", p)
			}
			if _, err := live.Dropped(); err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Error("the datagram was not seen")
}

// TestLiveRefuses: an interface that is not there is a clear error.
func TestLiveRefuses(t *testing.T) {
	if _, err := Live("absent0"); err == nil || !strings.HasPrefix(err.Error(), `no interface "absent0": `) {
		t.Errorf("got %v", err)
	}
}
