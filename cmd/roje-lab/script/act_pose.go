package script

import (
	"encoding/binary"
	"net"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
)

// actsPose are acts in which somebody poses as another: as a tool of the maker, as a station, as a master.
var actsPose = []Act{
	{Name: "modbus-identify-and-write", Title: "a controller is identified, its registers are read one block after the other, and then they are written, as INCONTROLLER can", Actor: "visitor",
		Victims: []string{"genset"}, Expect: []string{"C09"}, Techniques: []string{"T0888", "T0846", "T1692.001"}, Run: modbusAct(identifyAndWrite)},
	{Name: "tls-fallback", Title: "a session that was encrypted is opened in clear", Actor: "scada-a", Victims: []string{"rtu-1"},
		Expect: []string{"A11"}, Techniques: []string{"T0830"}, Run: tlsFallback},
	{Name: "dnp3-impostor", Title: "a second host answers as an outstation, and the gateway asks it", Actor: "rogue", Victims: []string{"gateway"},
		Expect: []string{"A06"}, Techniques: []string{"T0849"}, Run: dnp3Impostor},
	{Name: "dnp3-sequence-reused", Title: "a command is put behind a request under the same sequence number", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"P11"}, Techniques: []string{"T1692.002"}, Malformed: true, Run: dnp3Act(sequenceReused)},
	{Name: "dnp3-authentication-failures", Title: "the errors of failed authentications follow each other", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"A12"}, Techniques: []string{"T0859"}, Run: dnp3Act(authenticationFailures)},
	{Name: "iec104-false-reports", Title: "a false station reports substituted and invalid values, times from the future and of long ago, a counter that runs backwards and a breaker between its states", Actor: "rogue",
		Victims: []string{"scada-b"}, Expect: []string{"V04", "V05", "V09", "D10"}, Techniques: []string{"T1692.002", "T0832"}, Run: falseReports},
}

// identifyAndWrite asks who the device is, sweeps its registers and writes two of them.
func identifyAndWrite(m *modbusstation.Master, s *Stage, a Act) error {
	if err := chain(ask(m, 43, 14, 1, 0), ask(m, 17)); err != nil {
		return err
	}
	for at := uint16(0); at < 40; at += 4 {
		if _, err := m.ReadHoldingRegisters(at, 4); ignore(err) != nil {
			return err
		}
		s.host(a.Actor).Sleep(60 * time.Millisecond)
	}
	return chain(call2(m.WriteSingleRegister, 4, 7), call2(m.WriteSingleRegister, 5, 7))
}

// tlsFallback meets a port for TLS that hangs up, and then the one in clear.
func tlsFallback(s *Stage, a Act) error {
	s.serve(a.Victims[0], "tcp", ":19998", func(conn net.Conn) error { return conn.Close() })
	conn, err := s.dial(a.Actor, "tcp", a.Victims[0], ":19998")
	if err != nil {
		return err
	}
	conn.Close()
	s.host(a.Actor).Sleep(2 * time.Second)
	return iec104Act(1, func(m *iec104station.Session, s *Stage, a Act) error { return m.Interrogate(20) })(s, a)
}

// dnp3Impostor serves the outstation's address on the attacker's host. Why the gateway calls there (a name, a route, a
// configuration) is nothing that the wire shows.
func dnp3Impostor(s *Stage, a Act) error {
	o := s.outstation(a.Actor, 4)
	s.serve(a.Actor, "tcp", ":20000", o.Serve)
	caller := s.host(a.Victims[0])
	conn, err := s.dial(a.Victims[0], "tcp", a.Actor, ":20000")
	if err != nil {
		return err
	}
	defer conn.Close()
	m := dnp3station.NewSession(conn, caller, s.Tally, dnp3Master, 4)
	for range 4 {
		if _, err := m.Integrity(); err != nil {
			return err
		}
		caller.Sleep(2 * time.Second)
	}
	return nil
}

// sequenceReused sends a write and, before it can be answered, a command under the same number. What it sends is no
// master's, and so it is not counted.
func sequenceReused(m *dnp3station.Session, s *Stage, a Act) error {
	const first, control = 0xc0, 0xc4 // a fragment alone in its message; from a master, unconfirmed user data
	trip := dnp3station.At16(12, 1, 0, dnp3station.CROB(dnp3station.Trip, 1, 200*time.Millisecond, 0)...)
	for _, request := range [][]byte{
		append([]byte{first | 5, first | 5, dnp3station.Write}, dnp3station.Range(80, 1, 7, 7, 0)...),
		append([]byte{first | 6, first | 5, dnp3station.DirectOperate}, trip...),
	} {
		if _, err := m.Line.Write(dnp3station.Frame(control, 4, dnp3Master, request)); err != nil {
			return err
		}
		s.host(a.Actor).Sleep(100 * time.Millisecond)
	}
	return nil
}

// authenticationFailures tells the outstation five times that its proof is wrong (g120v7, without an answer).
func authenticationFailures(m *dnp3station.Session, s *Stage, a Act) error {
	for i := range uint32(5) {
		b := binary.LittleEndian.AppendUint32(nil, i+1) // challenge sequence number
		b = append(b, 1, 0, 1, 0, 1)                    // user 1, association 1, error 1: wrong proof
		b = append(b, 0, 0, 0, 0, 0, 0)                 // no time of the error
		if err := m.Tell(dnp3station.AuthRequestNR, dnp3station.Free(120, 7, b...)); err != nil {
			return err
		}
		s.host(a.Actor).Sleep(400 * time.Millisecond)
	}
	return nil
}

// falseReports makes a control centre call a station of the attacker's, which then reports what no station should.
func falseReports(s *Stage, a Act) error {
	o := s.rtu104(a.Actor, 9)
	h := s.host(a.Victims[0])
	conn, err := s.dial(a.Victims[0], "tcp", a.Actor, ":2404")
	if err != nil {
		return err
	}
	defer conn.Close()
	m := iec104station.NewSession(conn, h, s.Tally, 9, 0)
	if err := m.Start(); err != nil {
		return err
	}
	const invalid, substituted = 0x80, 0x20
	now := iec104station.TimeTag(h.Now(), 7)
	counter := func(v uint32) iec104station.Object {
		return iec104station.Object{IOA: 3001, Data: append(binary.LittleEndian.AppendUint32(nil, v), 1)}
	}
	for _, r := range []struct {
		kind byte
		of   iec104station.Object
	}{
		{30, iec104station.Object{IOA: protection, Data: append([]byte{1 | substituted}, now...)}},
		{30, iec104station.Object{IOA: 1004, Data: append([]byte{invalid}, now...)}},
		{30, iec104station.Object{IOA: protection, Data: append([]byte{1}, iec104station.TimeTag(h.Now().Add(2*time.Hour), 7)...)}},
		{30, iec104station.Object{IOA: protection, Data: append([]byte{1}, iec104station.TimeTag(h.Now().Add(-40*24*time.Hour), 7)...)}},
		{15, counter(50000)}, {15, counter(49000)},
		{31, iec104station.Object{IOA: breaker, Data: append([]byte{0}, now...)}},
	} {
		o.Report(r.kind, iec104station.Spontaneous, false, r.of)
		if err := m.Run(h.Now().Add(500 * time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}
