package modbusstation

import (
	"net"
	"time"

	"github.com/goburrow/modbus"

	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

// Master is goburrow/modbus on a connection that somebody else opened: its client and its packager, and our transport.
// One goroutine uses a Master.
type Master struct {
	modbus.Client
	Timeout time.Duration

	pack  *modbus.TCPClientHandler // encodes and checks; never connects
	line  *station.Line
	tally *tally.Tally
}

// NewMaster makes a master on conn.
func NewMaster(conn net.Conn, clock station.Clock, t *tally.Tally) *Master {
	m := &Master{
		Timeout: 2 * time.Second,
		pack:    modbus.NewTCPClientHandler(""),
		line:    &station.Line{Conn: conn, Clock: clock},
		tally:   t,
	}
	m.Client = modbus.NewClient(m)
	return m
}

// To selects the unit that the next requests go to.
func (m *Master) To(unit byte) *Master {
	m.pack.SlaveId = unit
	return m
}

// Encode, Decode and Verify are goburrow's packager.
func (m *Master) Encode(pdu *modbus.ProtocolDataUnit) ([]byte, error) { return m.pack.Encode(pdu) }

// Decode reads a PDU out of an ADU.
func (m *Master) Decode(adu []byte) (*modbus.ProtocolDataUnit, error) { return m.pack.Decode(adu) }

// Verify checks that an answer belongs to its request.
func (m *Master) Verify(request, response []byte) error { return m.pack.Verify(request, response) }

// Send is goburrow's transporter over the connection.
func (m *Master) Send(adu []byte) ([]byte, error) {
	m.tally.Add("modbus", "request_fc", int(adu[7]&0x7f))
	if _, err := m.line.Write(adu); err != nil {
		return nil, err
	}
	return m.line.Frame(split, station.By(m.line.Clock.Now().Add(m.Timeout)))
}

// Ask sends any function code with any data, as goburrow has no call for all of them, and returns the response's data.
func (m *Master) Ask(code byte, data ...byte) ([]byte, error) {
	adu, err := m.Encode(&modbus.ProtocolDataUnit{FunctionCode: code, Data: data})
	if err != nil {
		return nil, err
	}
	answer, err := m.Send(adu)
	if err != nil {
		return nil, err
	}
	pdu, err := m.Decode(answer)
	if err != nil {
		return nil, err
	}
	if pdu.FunctionCode&0x80 != 0 && len(pdu.Data) > 0 {
		return nil, &modbus.ModbusError{FunctionCode: pdu.FunctionCode, ExceptionCode: pdu.Data[0]}
	}
	return pdu.Data, nil
}

// Tell sends a request that nobody answers: a broadcast, or listen-only mode.
func (m *Master) Tell(code byte, data ...byte) error {
	adu, err := m.Encode(&modbus.ProtocolDataUnit{FunctionCode: code, Data: data})
	if err != nil {
		return err
	}
	m.tally.Add("modbus", "request_fc", int(code))
	_, err = m.line.Write(adu)
	return err
}

// Raw writes bytes as they are, for acts that break the rules on purpose.
func (m *Master) Raw(b []byte) error {
	_, err := m.line.Write(b)
	return err
}

var _ modbus.ClientHandler = (*Master)(nil)

// Count says that Raw sends requests with these codes, which the Master cannot see.
func (m *Master) Count(codes ...byte) {
	for _, code := range codes {
		m.tally.Add("modbus", "request_fc", int(code))
	}
}

// Skip reads n responses to what Raw sent.
func (m *Master) Skip(n int) error {
	for range n {
		if _, err := m.line.Frame(split, station.By(m.line.Clock.Now().Add(m.Timeout))); err != nil {
			return err
		}
	}
	return nil
}
