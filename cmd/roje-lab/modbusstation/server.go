package modbusstation

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

// Exception codes (Application Protocol V1.1b3 §7).
const (
	illegalFunction  = 1
	illegalAddress   = 2
	illegalValue     = 3
	noTarget         = 11 // gateway target device failed to respond
	noExceptionAtAll = 0
)

// Server is one address on port 502 with a device, or several behind a gateway. Connections may be served at the same
// time: a lock holds the units together.
type Server struct {
	Units map[byte]*Unit
	Clock station.Clock
	Tally *tally.Tally

	mu sync.Mutex
}

// Serve answers on conn until the peer is done.
func (s *Server) Serve(conn net.Conn) error {
	defer conn.Close()
	line := &station.Line{Conn: conn, Clock: s.Clock}
	for {
		adu, err := line.Frame(split, station.By(time.Time{}))
		if err != nil {
			return err
		}
		if answer := s.answer(adu); answer != nil {
			if _, err := conn.Write(answer); err != nil {
				return err
			}
		}
	}
}

// split finds an ADU: six bytes, and as many as the length says.
func split(b []byte) (int, error) {
	if len(b) < 6 {
		return 0, nil
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n < 2 || n > 254 || b[2]|b[3] != 0 {
		return 0, fmt.Errorf("modbus: bad header % x", b[:6])
	}
	return 6 + n, nil
}

// answer makes the response to a request, or nil where none is due.
func (s *Server) answer(adu []byte) []byte {
	unit, code := adu[6], adu[7]
	s.mu.Lock()
	defer s.mu.Unlock()
	if unit == 0 { // broadcast on the serial side: every unit does it, none answers
		for _, u := range s.Units {
			u.do(code, adu[8:], s.Clock.Now())
		}
		return nil
	}
	u := s.Units[unit]
	if u == nil {
		return s.response(adu, nil, noTarget)
	}
	data, exception := u.do(code, adu[8:], s.Clock.Now())
	if u.silent {
		return nil
	}
	return s.response(adu, data, exception)
}

// response puts the request's header before data, or before an exception.
func (s *Server) response(request, data []byte, exception byte) []byte {
	code := request[7]
	s.Tally.Add("modbus", "response_fc", int(code&0x7f))
	if exception != noExceptionAtAll {
		s.Tally.Add("modbus", "exceptions", int(exception))
		code, data = code|0x80, []byte{exception}
	}
	out := append([]byte(nil), request[:8]...)
	binary.BigEndian.PutUint16(out[4:], uint16(2+len(data)))
	out[7] = code
	return append(out, data...)
}
