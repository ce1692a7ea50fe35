package interop

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
)

// A piece is what one read of one end gave; if it is empty, the opening of a connection, or its end.
type piece struct {
	end    bool
	at     time.Time
	conn   int
	server bool // the server sent it
	bytes  []byte
}

// A relay passes bytes between the two ends of a stack, and keeps them in the order in which it passed them on.
type relay struct {
	listener net.Listener
	server   string                             // address of the stack's server
	twist    func(server bool, b []byte) []byte // what is passed on and kept instead of b, which the server sent or the client; nil: b
	wait     sync.WaitGroup

	mu     sync.Mutex // guards what follows
	pieces []piece
	open   []net.Conn
	conns  int
}

// newRelay listens on loopback and passes on to server. It is closed with the test.
func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	return newTwisted(t, server, nil)
}

// newTwisted is newRelay for a relay that changes what it passes on. twist is called by two goroutines.
func newTwisted(t *testing.T, server string, twist func(server bool, b []byte) []byte) *relay {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, server: server, twist: twist}
	r.wait.Go(r.accept)
	t.Cleanup(r.close)
	return r
}

func (r *relay) port() int { return r.listener.Addr().(*net.TCPAddr).Port }

// close ends all connections and waits for them. It may be called twice.
func (r *relay) close() {
	r.listener.Close()
	r.mu.Lock()
	for _, c := range r.open {
		c.Close()
	}
	r.mu.Unlock()
	r.wait.Wait()
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp4", r.server)
		if err != nil { // the stack's server does not listen yet: its client will call again
			client.Close()
			continue
		}
		r.mu.Lock()
		n := r.conns
		r.conns++
		r.open = append(r.open, client, server)
		r.pieces = append(r.pieces, piece{at: time.Now(), conn: n})
		r.mu.Unlock()
		r.wait.Go(func() { r.pass(n, false, client, server) })
		r.wait.Go(func() { r.pass(n, true, server, client) })
	}
}

func (r *relay) pass(conn int, fromServer bool, from io.Reader, to net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		out := append([]byte(nil), buf[:n]...)
		if n > 0 && r.twist != nil {
			out = r.twist(fromServer, out)
		}
		if len(out) > 0 {
			r.mu.Lock()
			r.pieces = append(r.pieces, piece{at: time.Now(), conn: conn, server: fromServer, bytes: out})
			r.mu.Unlock()
			if _, err := to.Write(out); err != nil {
				return
			}
		}
		if err != nil {
			r.mu.Lock()
			r.pieces = append(r.pieces, piece{end: true, at: time.Now(), conn: conn, server: fromServer})
			r.mu.Unlock()
			to.(*net.TCPConn).CloseWrite()
			return
		}
	}
}

// A way is how the recorded bytes are put into packets.
type way struct {
	name string
	port uint16 // server port in the packets; 0 is the protocol's own
	most int    // bytes per segment
}

// ways are all that must give the same messages.
var ways = []way{
	{"registered port", 0, 1400},
	{"any port", 45555, 1400},
	{"three bytes a segment", 0, 3},
}

// play gives the recorded bytes to a new Table, as the TCP segments of each connection.
func (r *relay) play(t *testing.T, w way, registered uint16) []said {
	t.Helper()
	heard := &listener{}
	table := flow.New(flow.Config{Protocols: catalog.All}, heard)
	for _, p := range r.packets(t, w, registered, 1) {
		table.Packet(&p)
	}
	table.Flush()
	if heard.unframed > 0 {
		t.Errorf("%s: %d bytes belong to no frame", w.name, heard.unframed)
	}
	return heard.said
}

// packets are the recorded bytes as the TCP segments of each connection. Between them passes slower times the time that
// passed when they were recorded.
func (r *relay) packets(t *testing.T, w way, registered uint16, slower int64) (list []capture.Packet) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.port == 0 {
		w.port = registered
	}
	seq := make([][2]uint32, r.conns) // next sequence number of client and server
	frame, start := uint64(0), time.Time{}
	buf := gopacket.NewSerializeBuffer()
	send := func(p *piece, flags layers.TCP, payload []byte) {
		ends := [2]netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(50000+p.conn)), netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), w.port)}
		from := 0
		if p.server {
			from = 1
		}
		src, dst := ends[from], ends[1-from]
		ip := layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
		flags.SrcPort, flags.DstPort, flags.Window = layers.TCPPort(src.Port()), layers.TCPPort(dst.Port()), 65535
		flags.Seq, flags.Ack = seq[p.conn][from], seq[p.conn][1-from]
		seq[p.conn][from] += uint32(len(payload))
		if flags.SYN || flags.FIN {
			seq[p.conn][from]++
		}
		ether := layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(1 + from)}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(2 - from)}, EthernetType: layers.EthernetTypeIPv4}
		if err := flags.SetNetworkLayerForChecksum(&ip); err != nil {
			t.Fatal(err)
		}
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, &ether, &ip, &flags, gopacket.Payload(payload)); err != nil {
			t.Fatal(err)
		}
		frame++
		data := append([]byte(nil), buf.Bytes()...)
		list = append(list, capture.Packet{At: start.UnixNano() + p.at.Sub(start).Nanoseconds()*slower, Frame: frame, Link: capture.Ethernet, Data: data, OrigLen: len(data)})
	}
	for i := range r.pieces {
		p := &r.pieces[i]
		if i == 0 {
			start = p.at
		}
		if p.end {
			send(p, layers.TCP{ACK: true, FIN: true}, nil)
			continue
		}
		if len(p.bytes) == 0 {
			seq[p.conn] = [2]uint32{1000, 2000}
			answer := piece{at: p.at, conn: p.conn, server: true}
			send(p, layers.TCP{SYN: true}, nil)
			send(&answer, layers.TCP{SYN: true, ACK: true}, nil)
			continue
		}
		for rest := p.bytes; len(rest) > 0; {
			n := min(len(rest), w.most)
			send(p, layers.TCP{ACK: true, PSH: true}, rest[:n])
			rest = rest[n:]
		}
	}
	return list
}
