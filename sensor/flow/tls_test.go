package flow_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/roje-ot/roje/sensor/flow"
)

// certified makes a certificate with a Modbus/TCP Security role.
func certified(t *testing.T, name, role string, notAfter time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	value, err := asn1.MarshalWithParams(role, "utf8")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: notAfter,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 50316, 802, 1}, Value: value}}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// spoken is what one end wrote at once.
type spoken struct {
	dir  int
	data []byte
}

// tap notes what its end writes.
type tap struct {
	net.Conn
	dir  int
	mu   *sync.Mutex
	said *[]spoken
}

func (w *tap) Write(b []byte) (int, error) {
	w.mu.Lock()
	*w.said = append(*w.said, spoken{w.dir, append([]byte(nil), b...)})
	w.mu.Unlock()
	return w.Conn.Write(b)
}

// shake runs a handshake between two real ends, and returns what they wrote, application data included.
func shake(t *testing.T, version uint16, server, client tls.Certificate) (said []spoken) {
	t.Helper()
	a, b := net.Pipe()
	var mu sync.Mutex
	c := tls.Client(&tap{a, 0, &mu, &said}, &tls.Config{MinVersion: version, MaxVersion: version, ServerName: "rtu7.example", InsecureSkipVerify: true, Certificates: []tls.Certificate{client}})
	s := tls.Server(&tap{b, 1, &mu, &said}, &tls.Config{MinVersion: version, MaxVersion: version, Certificates: []tls.Certificate{server}, ClientAuth: tls.RequestClientCert})
	done := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(s, make([]byte, 5))
		done <- err
	}()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	a.Close()
	b.Close()
	return said
}

// TestTLS: a handshake tells what it shows, on a port of TLS and on one that is registered in the clear, whole and byte
// by byte.
func TestTLS(t *testing.T) {
	notAfter := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	server, client := certified(t, "rtu7", "", notAfter), certified(t, "operator", "engineer", notAfter)
	for _, c := range []struct {
		version uint16
		want    flow.TLS
	}{
		{tls.VersionTLS12, flow.TLS{Version: "TLS 1.2", ServerName: "rtu7.example", Subject: "CN=rtu7", Issuer: "CN=rtu7", NotAfter: notAfter, Client: "CN=operator", Role: "engineer", Established: true}},
		{tls.VersionTLS13, flow.TLS{Version: "TLS 1.3", ServerName: "rtu7.example", Established: true}},
	} {
		said := shake(t, c.version, server, client)
		for _, port := range []uint16{802, 19998, 7000} {
			for _, size := range []int{1 << 16, 100} {
				var got *flow.TLS
				name, buckets := "", uint64(0)
				var text []byte
				f := newFeeder(flow.Config{}, &closer{f: func(conn *flow.Conn) { got, name, text = conn.TLS, conn.Name(), conn.AppendJSON(nil) }})
				ends := [2]netip.AddrPort{alice, netip.AddrPortFrom(bob.Addr(), port)}
				seq := [2]uint32{1, 1}
				for _, s := range said {
					for len(s.data) > 0 {
						n := min(size, len(s.data))
						f.frame(tcpFrame(ends[s.dir], ends[1-s.dir], tcpHeader{seq: seq[s.dir], ack: seq[1-s.dir], flags: flow.ACK | flow.PSH}, s.data[:n]))
						seq[s.dir] += uint32(n)
						s.data = s.data[n:]
					}
				}
				f.table.Flush()
				v := f.table.Coverage()
				buckets = v.Buckets[flow.Encrypted]
				if got == nil || name != "tls" || buckets != v.Packets {
					t.Errorf("%s, port %d, %d bytes: %s, %d of %d packets as TLS", c.want.Version, port, size, name, buckets, v.Packets)
					continue
				}
				if got.Cipher == "" || got.Offered == 0 {
					t.Errorf("%s, port %d, %d bytes: cipher %q of %d", c.want.Version, port, size, got.Cipher, got.Offered)
				}
				have := flow.TLS{Version: got.Version, ServerName: got.ServerName, Subject: got.Subject, Issuer: got.Issuer, NotAfter: got.NotAfter, Client: got.Client, Role: got.Role, ServerRole: got.ServerRole, Established: got.Established}
				if !reflect.DeepEqual(have, c.want) {
					t.Errorf("%s, port %d, %d bytes:\ngot  %+v\nwant %+v", c.want.Version, port, size, have, c.want)
				}
				if !json.Valid(text) {
					t.Errorf("not JSON: %s", text)
				}
			}
		}
	}
}

// TestCoverageJSON: both kinds of coverage line are JSON and have their keys.
func TestCoverageJSON(t *testing.T) {
	var line []byte
	f := newFeeder(flow.Config{}, &closer{f: func(c *flow.Conn) { line = c.AppendJSON(nil) }})
	f.frame(tcpFrame(alice, bob, tcpHeader{seq: 1, flags: flow.PSH}, cat([]byte("x"), framed("hi"))))
	f.table.Flush()
	v := f.table.Coverage()
	for _, c := range []struct{ got, want string }{
		{string(line), `{"type":"connection","id":1,"proto":"fake","transport":"tcp","client":"10.0.0.1:40000","server":"10.0.0.2:7000","server_known":true,"first":"2001-09-09T01:46:40.001000000Z","last":"2001-09-09T01:46:40.001000000Z",` +
			`"packets":1,"bytes_seen":7,"bytes_decoded":6,"bytes_skipped":1,"gaps":0,"gap_bytes":0,"resyncs":1,"messages":1,"unpaired":0,"repeated":0,"overlaps":0,"copies":0,"last_decoded":"2001-09-09T01:46:40.001000000Z"}`},
		{string(v.AppendJSON(nil, `a "b".pcap`)), `{"type":"capture","capture":"a \"b\".pcap","packets":1,"buckets":{"decoded":1,"tcp_control":0,"retransmission":0,"late":0,"tls":0,"other_protocol":0,"other_ip":0,"fragment":0,"arp":0,"not_ip":0,"truncated":0,"malformed":0,"link_unread":0},` +
			`"connections":1,"evicted":0,"total":{"packets":1,"bytes_seen":7,"bytes_decoded":6,"bytes_skipped":1,"gaps":0,"gap_bytes":0,"resyncs":1,"messages":1,"unpaired":0,"repeated":0,"overlaps":0,"copies":0,"last_decoded":"2001-09-09T01:46:40.001000000Z"},` +
			`"protocols":{"fake":{"packets":1,"bytes_seen":7,"bytes_decoded":6,"bytes_skipped":1,"gaps":0,"gap_bytes":0,"resyncs":1,"messages":1,"unpaired":0,"repeated":0,"overlaps":0,"copies":0,"last_decoded":"2001-09-09T01:46:40.001000000Z"}}}`},
	} {
		if c.got != c.want || !json.Valid([]byte(c.got)) {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}
