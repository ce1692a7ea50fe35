package flow

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/roje-ot/roje/protocols"
)

// TLS is what the handshake of an encrypted connection shows in the clear. Of TLS 1.3 that is no certificate. What was
// not seen is empty.
type TLS struct {
	Version     string    // negotiated: "TLS 1.2"
	Cipher      string    // negotiated, by its IANA name
	Offered     int       // how many cipher suites the client offers
	ServerName  string    // SNI
	Subject     string    // of the server's certificate
	Issuer      string    //
	NotAfter    time.Time // its expiry
	Client      string    // subject of the client's certificate, if it sends one
	Role        string    // Modbus/TCP Security role of the client's certificate (OID 1.3.6.1.4.1.50316.802.1)
	ServerRole  string    // the same of the server's
	Established bool      // application data was seen

	buf      [2][]byte // of a record that is not all there
	messages [2][]byte // of a handshake message that is not all there
	server   [2]bool   // this end has sent a server's hello
	done     [2]bool   // no more of the handshake can be read
}

// The record and handshake types (RFC 8446 §5.1, §4), and the extensions.
const (
	recordChangeCipher = 20
	recordAlert        = 21
	recordHandshake    = 22
	recordData         = 23

	helloClient = 1
	helloServer = 2
	certificate = 11

	extServerName = 0
	extVersions   = 43

	maxHandshake = 32 << 10
	maxRecordTLS = 16384 + 2048
)

var roleOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 50316, 802, 1}

// sniffTLS looks at the first bytes of either end, and makes c a TLS connection if they are TLS records.
func (t *Table) sniffTLS(c *Conn, dir protocols.Dir, b []byte) {
	if len(b) < 6 || b[0] < recordChangeCipher || b[0] > recordData || b[1] != 3 || b[2] > 4 || c.Transport != TCP {
		return
	}
	h := &c.half[dir]
	if h.run > 0 || len(h.tail) > 0 || !isTLS(b) {
		return
	}
	t.forget(c)
	for i := range c.half {
		c.half[i].tail, c.half[i].run = c.half[i].tail[:0], 0
	}
	c.Proto, c.dec, c.state = nil, nil, encrypted
	c.TLS = &TLS{}
	c.Count.Skipped, c.Count.Resyncs = c.Count.Seen-uint64(len(b)), 0
}

// isTLS says whether b starts with a hello, or is a chain of whole records.
func isTLS(b []byte) bool {
	size := int(binary.BigEndian.Uint16(b[3:]))
	if size == 0 || size > maxRecordTLS {
		return false
	}
	if b[0] == recordHandshake && (b[5] == helloClient || b[5] == helloServer) && len(b) >= 9 && b[6] == 0 {
		return true
	}
	for len(b) >= 5 {
		size := int(binary.BigEndian.Uint16(b[3:]))
		if b[0] < recordChangeCipher || b[0] > recordData || b[1] != 3 || b[2] > 4 || size == 0 || size > maxRecordTLS || len(b) < 5+size {
			return false
		}
		b = b[5+size:]
	}
	return len(b) == 0
}

// read takes bytes of dir. Only whole records are looked at; when the stream cannot be followed any more it stops.
func (s *TLS) read(t *Table, c *Conn, dir protocols.Dir, b []byte) {
	if s.done[dir] {
		s.Established = s.Established || len(b) > 0 && b[0] == recordData
		return
	}
	room := cap(s.buf[dir]) + cap(s.messages[dir])
	s.buf[dir] = append(s.buf[dir], b...)
	b = s.buf[dir]
	for len(b) >= 5 && b[0] == recordHandshake && len(b) >= 5+int(binary.BigEndian.Uint16(b[3:])) {
		size := int(binary.BigEndian.Uint16(b[3:]))
		s.messages[dir] = append(s.messages[dir], b[5:5+size]...)
		b = b[5+size:]
	}
	s.buf[dir] = s.buf[dir][:copy(s.buf[dir], b)]
	s.messages[dir] = s.messages[dir][:copy(s.messages[dir], s.handshake(dir, s.messages[dir]))]
	if len(b) > 0 && b[0] != recordHandshake || len(s.messages[dir]) > maxHandshake {
		s.Established = s.Established || len(b) > 0 && b[0] == recordData
		s.done[dir], s.buf[dir], s.messages[dir] = true, nil, nil
	}
	t.hold(c, cap(s.buf[dir])+cap(s.messages[dir])-room)
}

// handshake reads the whole messages at the front of b and returns the rest.
func (s *TLS) handshake(dir protocols.Dir, b []byte) []byte {
	for len(b) >= 4 {
		size := int(b[1])<<16 | int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+size {
			break
		}
		body := b[4 : 4+size]
		switch b[0] {
		case helloClient:
			s.hello(body, true)
		case helloServer:
			s.server[dir] = true
			s.hello(body, false)
		case certificate:
			s.certificate(body, s.server[dir])
		}
		b = b[4+size:]
	}
	return b
}

// hello reads a client's or a server's hello (RFC 8446 §4.1): version, random, session, cipher suites, extensions.
func (s *TLS) hello(b []byte, client bool) {
	r := reader{b}
	version := r.u16()
	r.take(32)
	r.vector(1)
	if client {
		s.Offered = len(r.vector(2)) / 2
		r.vector(1)
	} else {
		s.Cipher = tls.CipherSuiteName(r.u16())
		r.take(1)
	}
	extensions := reader{r.vector(2)}
	for len(extensions.b) >= 4 {
		kind := extensions.u16()
		value := reader{extensions.vector(2)}
		switch {
		case kind == extServerName && client:
			names := reader{value.vector(2)}
			if len(names.take(1)) == 1 {
				s.ServerName = string(names.vector(2))
			}
		case kind == extVersions && !client:
			version = value.u16()
		}
	}
	if !client && version != 0 {
		s.Version = tls.VersionName(version)
	}
}

// certificate reads the first certificate of a list in the form of TLS 1.2 and before (RFC 5246 §7.4.2).
func (s *TLS) certificate(b []byte, server bool) {
	list := reader{b}
	chain := reader{list.vector(3)}
	cert, err := x509.ParseCertificate(chain.vector(3))
	if err != nil {
		return
	}
	role := ""
	for _, extension := range cert.Extensions {
		if extension.Id.Equal(roleOID) {
			var text asn1.RawValue
			if _, err := asn1.Unmarshal(extension.Value, &text); err == nil {
				role = string(text.Bytes)
			}
		}
	}
	if server {
		s.Subject, s.Issuer, s.NotAfter, s.ServerRole = cert.Subject.String(), cert.Issuer.String(), cert.NotAfter, role
	} else {
		s.Client, s.Role = cert.Subject.String(), role
	}
}

// reader reads the vectors of TLS. What is not there is empty.
type reader struct{ b []byte }

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.b = nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u16() uint16 {
	if v := r.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

// vector reads a length of size bytes and that many bytes behind it.
func (r *reader) vector(size int) []byte {
	n := 0
	for _, v := range r.take(size) {
		n = n<<8 | int(v)
	}
	return r.take(n)
}

// AppendJSON appends what is known as a JSON object.
func (s *TLS) AppendJSON(dst []byte) []byte {
	dst = fmt.Appendf(dst, `{"established":%t,"offered":%d`, s.Established, s.Offered)
	for _, f := range [...]struct{ name, value string }{{"version", s.Version}, {"cipher", s.Cipher}, {"server_name", s.ServerName}, {"subject", s.Subject},
		{"issuer", s.Issuer}, {"server_role", s.ServerRole}, {"client", s.Client}, {"role", s.Role}} {
		if f.value != "" {
			dst = append(dst, ',', '"')
			dst = append(dst, f.name...)
			dst = append(dst, '"', ':')
			dst = protocols.AppendString(dst, f.value)
		}
	}
	if !s.NotAfter.IsZero() {
		dst = append(dst, `,"not_after":`...)
		dst = protocols.AppendTime(dst, s.NotAfter.UnixNano())
	}
	return append(dst, '}')
}
