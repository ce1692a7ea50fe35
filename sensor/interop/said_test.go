package interop

import (
	"encoding/json"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/flow"
)

// said is one message as we decoded it, in memory of its own.
type said struct {
	proto  string
	from   string // "client" or "server"
	code   int    // -1 without one
	name   string
	status string // "" is ok
	turn   string
	points []point
	field  map[string]any // the protocol's own object, as in an event
	raw    []byte
	conn   uint64
}

type point struct {
	protocols.Point
	text string
}

// num is a number of the protocol's own object, or -1 without one.
func (s *said) num(name string) float64 {
	if v, ok := s.field[name].(float64); ok {
		return v
	}
	return -1
}

// listener keeps all messages of a Table.
type listener struct {
	flow.Ignore
	said     []said
	unframed int
}

func (l *listener) Message(c *flow.Conn, m *protocols.Message, _ *flow.PacketInfo) {
	s := said{proto: m.Proto.Name, from: "client", code: -1, name: m.Name, turn: m.Turn.String(), raw: append([]byte(nil), m.Raw...), conn: c.ID}
	if m.From == protocols.Server {
		s.from = "server"
	}
	if m.HasCode {
		s.code = int(m.Code)
	}
	if m.Status != 0 {
		s.status = string(m.Proto.AppendStatus(nil, m.Status))
	}
	for i := range m.Points {
		s.points = append(s.points, point{m.Points[i], string(m.Text(&m.Points[i]))})
	}
	if err := json.Unmarshal(m.AppendJSON(nil), &s.field); err != nil {
		panic(err) // an event that is not JSON
	}
	if m.Faults != 0 {
		s.field["fault"] = m.Faults.String()
	}
	l.said = append(l.said, s)
}

func (l *listener) Unframed(_ *flow.Conn, _ protocols.Dir, n int, _ []byte, _ *flow.PacketInfo) {
	l.unframed += n
}
