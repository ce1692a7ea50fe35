package simnet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var start = time.Date(2026, 3, 9, 6, 0, 0, 0, time.UTC)

type sight struct {
	at    time.Time
	frame []byte
}

// twoHosts plays client against server and returns what the tap saw.
func twoHosts(seed uint64, vlan uint16, server, client func(h *Host)) []sight {
	var seen []sight
	n := New(start, seed, func(at time.Time, frame []byte) { seen = append(seen, sight{at, frame}) })
	lan := &LAN{VLAN: vlan, Router: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	host := func(last byte) *Host {
		return n.Host(Spec{Addr: netip.AddrFrom4([4]byte{10, 0, 0, last}), MAC: net.HardwareAddr{2, 0, 0, 0, 0, last}, LAN: lan, Think: 2 * time.Millisecond})
	}
	s, c := host(2), host(3)
	s.Go(func() { server(s) })
	c.Go(func() { client(c) })
	n.Run(start.Add(time.Hour))
	return seen
}

// echo gives back what comes on port 7.
func echo(t *testing.T, network string) func(h *Host) {
	return func(h *Host) {
		l, err := h.Listen(network, ":7")
		if err != nil {
			t.Error(err)
			return
		}
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			h.Go(func() {
				defer conn.Close()
				io.Copy(conn, conn)
			})
		}
	}
}

func TestEcho(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		for _, size := range []int{1, 100, 1400, 5000} {
			if network == "udp" && size > 1400 {
				continue
			}
			sent, got := bytes.Repeat([]byte{byte(size)}, size), make([]byte, size)
			twoHosts(1, 0, echo(t, network), func(h *Host) {
				conn, err := h.Dial(network, "10.0.0.2:7")
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				conn.Write(sent)
				if _, err := io.ReadFull(conn, got); err != nil {
					t.Error(network, size, err)
				}
			})
			if !bytes.Equal(sent, got) {
				t.Errorf("%s, %d bytes: the echo differs", network, size)
			}
		}
	}
}

// TestFrames holds that the tap sees TCP as a real stack speaks it: right checksums and lengths, numbers without gaps,
// acknowledgements of what was seen, times that never go back.
func TestFrames(t *testing.T) {
	for _, vlan := range []uint16{0, 20} {
		seen := twoHosts(3, vlan, echo(t, "tcp"), func(h *Host) {
			for range 3 {
				conn, err := h.Dial("tcp", "10.0.0.2:7")
				if err != nil {
					t.Error(err)
					return
				}
				conn.Write(make([]byte, 4000))
				io.ReadFull(conn, make([]byte, 4000))
				h.Sleep(time.Second)
				conn.Close()
			}
		})
		next := map[string]uint32{}
		var last time.Time
		fins := 0
		for i, s := range seen {
			if s.at.Before(last) {
				t.Errorf("frame %d: time goes back", i+1)
			}
			last = s.at
			p := gopacket.NewPacket(s.frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{})
			if e := p.ErrorLayer(); e != nil {
				t.Fatalf("frame %d: %v", i+1, e.Error())
			}
			if vlan != 0 && p.Layer(layers.LayerTypeDot1Q) == nil {
				t.Errorf("frame %d: no VLAN tag", i+1)
			}
			tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
			if !ok {
				continue
			}
			tcp.SetNetworkLayerForChecksum(p.NetworkLayer())
			if err, bad := p.VerifyChecksums(); err != nil || len(bad) > 0 {
				t.Errorf("frame %d: checksums: %v %v", i+1, err, bad)
			}
			from, to := tcp.SrcPort.String()+tcp.DstPort.String(), tcp.DstPort.String()+tcp.SrcPort.String()
			if want, known := next[from]; known && !tcp.SYN && tcp.Seq != want {
				t.Errorf("frame %d: sequence %d, want %d", i+1, tcp.Seq, want)
			}
			next[from] = tcp.Seq + uint32(len(tcp.Payload))
			if tcp.SYN || tcp.FIN {
				next[from]++
			}
			if tcp.FIN {
				fins++
			}
			if tcp.ACK && int32(tcp.Ack-next[to]) > 0 {
				t.Errorf("frame %d: acknowledges what was not seen", i+1)
			}
		}
		if fins != 6 {
			t.Errorf("%d FIN, want 6", fins)
		}
	}
}

// TestSpan holds that the two taps of a way see what was sent and what came, each on its side, and that both ends get what
// came.
func TestSpan(t *testing.T) {
	var near, far []string
	keep := func(list *[]string) Tap {
		return func(_ time.Time, frame []byte) {
			tcp, _ := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default).Layer(layers.LayerTypeTCP).(*layers.TCP)
			if tcp != nil && len(tcp.Payload) > 0 {
				*list = append(*list, string(tcp.Payload))
			}
		}
	}
	n := New(start, 1, keep(&near))
	lan := &LAN{}
	s, c := n.Host(Spec{Addr: netip.MustParseAddr("10.0.0.2"), LAN: lan}), n.Host(Spec{Addr: netip.MustParseAddr("10.0.0.3"), LAN: lan})
	n.Watch(&Span{Beyond: s, Tap: keep(&far), Change: func(toward bool, data []byte) []byte {
		if toward {
			return bytes.ToUpper(data)
		}
		return bytes.ToLower(data)
	}})
	got := ""
	s.Go(func() { echo(t, "tcp")(s) })
	c.Go(func() {
		conn, err := c.Dial("tcp", "10.0.0.2:7")
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		b := make([]byte, 8)
		conn.Write([]byte("on"))
		k, err := conn.Read(b)
		if got = string(b[:k]); err != nil {
			t.Error(err)
		}
	})
	n.Run(start.Add(time.Minute))
	if got != "on" || len(near) != 2 || near[0] != "on" || near[1] != "on" || len(far) != 2 || far[0] != "ON" || far[1] != "ON" {
		t.Errorf("the client got %q; near %q, far %q", got, near, far)
	}
}

func TestSameSeedSameFrames(t *testing.T) {
	play := func(seed uint64) []sight {
		return twoHosts(seed, 0, echo(t, "tcp"), func(h *Host) {
			conn, _ := h.Dial("tcp", "10.0.0.2:7")
			defer conn.Close()
			for range 20 {
				conn.Write([]byte("ping"))
				conn.Read(make([]byte, 10))
			}
		})
	}
	a, b, other := play(5), play(5), play(6)
	if len(a) != len(b) {
		t.Fatalf("%d frames, and then %d", len(a), len(b))
	}
	for i := range a {
		if !a[i].at.Equal(b[i].at) || !bytes.Equal(a[i].frame, b[i].frame) {
			t.Fatalf("frame %d differs", i+1)
		}
	}
	if last := len(a) - 1; bytes.Equal(a[last].frame, other[last].frame) {
		t.Error("another seed gives the same frames")
	}
}

func TestDialFails(t *testing.T) {
	for _, c := range []struct {
		to   string
		want error
		took time.Duration
	}{
		{"10.0.0.2:9", syscall.ECONNREFUSED, time.Second},
		{"10.0.0.99:7", os.ErrDeadlineExceeded, dialTimeout + time.Millisecond},
	} {
		twoHosts(1, 0, echo(t, "tcp"), func(h *Host) {
			if _, err := h.Dial("tcp", c.to); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.to, err, c.want)
			}
			if took := h.Now().Sub(start); took > c.took {
				t.Errorf("%s: took %v of virtual time", c.to, took)
			}
		})
	}
}

func TestReadDeadline(t *testing.T) {
	twoHosts(1, 0, echo(t, "tcp"), func(h *Host) {
		conn, err := h.Dial("tcp", "10.0.0.2:7")
		if err != nil {
			t.Error(err)
			return
		}
		until := h.Now().Add(10 * time.Second)
		conn.SetReadDeadline(until)
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || !h.Now().Equal(until) {
			t.Errorf("got %v at %v, want the deadline at %v", err, h.Now(), until)
		}
		conn.SetReadDeadline(time.Time{})
		h.Go(func() { // another process ends a read that waits
			h.Sleep(time.Second)
			conn.SetReadDeadline(time.Unix(1, 0))
		})
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
	})
}

func TestPeerGoes(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(net.Conn)
		want error
	}{
		{"close", func(conn net.Conn) { conn.Close() }, io.EOF},
		{"abort", func(conn net.Conn) { conn.(interface{ Abort() }).Abort() }, syscall.ECONNRESET},
	} {
		twoHosts(1, 0, func(h *Host) {
			l, _ := h.Listen("tcp", ":7")
			conn, err := l.Accept()
			if err == nil {
				h.Sleep(time.Second)
				c.end(conn)
			}
		}, func(h *Host) {
			conn, err := h.Dial("tcp", "10.0.0.2:7")
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.name, err, c.want)
			}
		})
	}
}
