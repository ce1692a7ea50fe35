package script

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
)

var goldenDNP3 = []golden{
	{"dnp3/functions.pcap", "every application function that a master can ask for", "gateway", dnp3Golden("tcp", nil, dnp3Functions)},
	{"dnp3/objects.pcap", "static objects in all their variations, by all points, ranges and class", "gateway", dnp3Golden("tcp", nil, dnp3Objects)},
	{"dnp3/events.pcap", "null unsolicited response at start, events unsolicited and by class poll, confirmations", "gateway", dnp3Golden("tcp", nil, dnp3Events)},
	{"dnp3/controls.pcap", "relay and analog outputs: select and operate, direct, without answer, refused", "gateway", dnp3Golden("tcp", nil, dnp3Controls)},
	{"dnp3/files.pcap", "files: authenticate, describe, read, write, abort, delete", "gateway", dnp3Golden("tcp", nil, dnp3Files)},
	{"dnp3/fragments.pcap", "answers of many fragments and many link frames", "gateway", dnp3Golden("tcp", func(o *dnp3station.Outstation) { o.MaxFragment = 700 }, dnp3Fragments)},
	{"dnp3/link.pcap", "link functions between application messages", "gateway", dnp3Golden("tcp", nil, dnp3Link)},
	{"dnp3/authentication.pcap", "a challenged command with the right proof, and with a wrong one", "gateway", dnp3Golden("tcp", func(o *dnp3station.Outstation) { o.Challenges = true }, dnp3Auth)},
	{"dnp3/udp.pcap", "polls and commands over UDP", "gateway", dnp3Golden("udp", nil, dnp3Controls)},
	{"dnp3/gateway.pcap", "three outstations behind one TCP connection, and a broadcast to all", "gateway", dnp3Gateway},
	{"dnp3/outstation-connects.pcap", "the outstation opens the TCP connection", "gateway", dnp3Reversed},
}

// dnp3Golden makes one outstation and a master for it.
func dnp3Golden(network string, change func(*dnp3station.Outstation), do func(*Stage, *dnp3station.Session, *dnp3station.Outstation) error) func(*Stage) error {
	return func(s *Stage) error {
		o := s.rtuDNP3("rtu-4", network, 4)
		if change != nil {
			change(o)
		}
		conn, err := s.dial("gateway", network, "rtu-4", ":20000")
		if err != nil {
			return err
		}
		defer conn.Close()
		return do(s, dnp3station.NewSession(conn, s.host("gateway"), s.Tally, dnp3Master, 4), o)
	}
}

// steps runs requests one after the other.
func steps(list ...func() (dnp3station.Answer, error)) error {
	for _, do := range list {
		if _, err := do(); err != nil {
			return err
		}
	}
	return nil
}

func request(m *dnp3station.Session, fc byte, objects ...dnp3station.Objects) func() (dnp3station.Answer, error) {
	return func() (dnp3station.Answer, error) { return m.Ask(fc, objects...) }
}

func dnp3Functions(s *Stage, m *dnp3station.Session, o *dnp3station.Outstation) error {
	h := s.host("gateway")
	counters := dnp3station.All(20, 0)
	later := dnp3station.FreezeTime(h.Now().Add(time.Hour), time.Hour)
	err := steps(
		m.ClearRestart, func() (dnp3station.Answer, error) { return m.SetClock(h.Now()) },
		request(m, dnp3station.RecordTime), m.Integrity, m.Events,
		request(m, dnp3station.Freeze, counters), request(m, dnp3station.FreezeClear, counters), request(m, dnp3station.FreezeAtTime, later, counters),
		request(m, dnp3station.AssignClass, dnp3station.All(60, 3), dnp3station.All(30, 0)),
		request(m, dnp3station.EnableUnsolicited, dnp3station.All(60, 2)), request(m, dnp3station.DisableUnsolicited, dnp3station.All(60, 2)),
		request(m, dnp3station.InitializeData), request(m, dnp3station.InitializeApp), request(m, dnp3station.StopApp), request(m, dnp3station.StartApp),
		request(m, dnp3station.SaveConfig), request(m, dnp3station.ActivateConfig),
		request(m, dnp3station.Write, dnp3station.Deadband(0, 250)), request(m, dnp3station.Write, dnp3station.Text(0, "bay 4, east")))
	if err != nil {
		return err
	}
	for _, fc := range []byte{dnp3station.FreezeNR, dnp3station.FreezeClearNR} {
		if err := m.Tell(fc, counters); err != nil {
			return err
		}
		h.Sleep(100 * time.Millisecond)
	}
	if err := m.Tell(dnp3station.FreezeAtTimeNR, later, counters); err != nil {
		return err
	}
	h.Sleep(100 * time.Millisecond)
	if _, err := m.Ask(dnp3station.WarmRestart); err != nil {
		return err
	}
	err = m.Run(h.Now().Add(5 * time.Second)) // the outstation hangs up
	if err == nil {
		return errors.New("the outstation did not restart")
	}
	conn, err := s.dial("gateway", "tcp", "rtu-4", ":20000")
	if err != nil {
		return err
	}
	defer conn.Close()
	again := dnp3station.NewSession(conn, h, s.Tally, dnp3Master, 4)
	if err := again.Start(); err != nil {
		return err
	}
	_, err = again.Ask(dnp3station.ColdRestart)
	return err
}

func dnp3Objects(s *Stage, m *dnp3station.Session, o *dnp3station.Outstation) error {
	for _, gv := range [][]byte{{1, 0, 1, 2}, {3, 0, 1, 2}, {10, 0, 1, 2}, {20, 0, 1, 2, 5, 6}, {21, 0, 1, 2, 9, 10}, {30, 0, 1, 2, 3, 4, 5, 6}, {40, 0, 1, 2, 3, 4}, {110, 0}} {
		for _, v := range gv[1:] {
			if _, err := m.Ask(dnp3station.Read, dnp3station.All(gv[0], v)); err != nil {
				return err
			}
		}
	}
	return steps(
		request(m, dnp3station.Read, dnp3station.Range(1, 2, 2, 5), dnp3station.Range(30, 2, 0, 1), dnp3station.Range(20, 1, 0, 0)),
		request(m, dnp3station.Read, dnp3station.All(60, 1)), request(m, dnp3station.Read, dnp3station.Count(50, 1, 1)),
		request(m, dnp3station.Read, dnp3station.Range(80, 1, 0, 15)), request(m, dnp3station.Read, dnp3station.Range(0, 252, 0, 0)),
		request(m, dnp3station.Read, dnp3station.All(99, 1)))
}

func dnp3Events(s *Stage, m *dnp3station.Session, o *dnp3station.Outstation) error {
	h := s.host("gateway")
	if err := m.Run(h.Now().Add(2 * time.Second)); err != nil { // the null unsolicited response
		return err
	}
	if err := m.Start(); err != nil {
		return err
	}
	moves := func() {
		o.Move(dnp3station.Binary, 0, 0)
		o.Move(dnp3station.DoubleBit, 1, 2)
		o.Move(dnp3station.Analog, 1, 231.5)
		o.Move(dnp3station.Counter, 0, 21000)
		o.Move(dnp3station.BinaryOutput, 0, 0)
		o.Move(dnp3station.Binary, 0, 1)
	}
	moves()
	if err := m.Run(h.Now().Add(3 * time.Second)); err != nil {
		return err
	}
	if _, err := m.Spontaneous(false); err != nil {
		return err
	}
	moves()
	return steps(m.Events, request(m, dnp3station.Read, dnp3station.All(2, 0)), m.Integrity)
}

func dnp3Controls(s *Stage, m *dnp3station.Session, o *dnp3station.Outstation) error {
	if err := m.StartQuiet(); err != nil {
		return err
	}
	for i, code := range []byte{dnp3station.PulseOn, dnp3station.LatchOn, dnp3station.LatchOff, dnp3station.Close, dnp3station.Trip} {
		crob := dnp3station.At(12, 1, byte(i%4), dnp3station.CROB(code, 1, 250*time.Millisecond, 100*time.Millisecond)...)
		if err := steps(func() (dnp3station.Answer, error) { return m.Do(crob, true) }, func() (dnp3station.Answer, error) { return m.Do(crob, false) }); err != nil {
			return err
		}
	}
	two := dnp3station.Join(dnp3station.At16(12, 1, 0, dnp3station.CROB(dnp3station.LatchOn, 1, 0, 0)...), dnp3station.At16(41, 1, 0, 0x64, 0, 0, 0, 0))
	unknown := dnp3station.At16(12, 1, 77, dnp3station.CROB(dnp3station.LatchOn, 1, 0, 0)...)
	return steps(
		func() (dnp3station.Answer, error) { return m.Do(dnp3station.At16(41, 1, 0, 0x39, 0x30, 0, 0, 0), true) },
		func() (dnp3station.Answer, error) { return m.Do(dnp3station.At16(41, 2, 1, 0x2c, 0x01, 0), true) },
		func() (dnp3station.Answer, error) {
			return m.Do(dnp3station.At16(41, 3, 0, 0, 0, 0x48, 0x41, 0), false)
		},
		func() (dnp3station.Answer, error) {
			return m.Do(dnp3station.At16(41, 4, 0, 0, 0, 0, 0, 0, 0, 0x29, 0x40, 0), false)
		},
		func() (dnp3station.Answer, error) { return m.Do(two, true) },
		func() (dnp3station.Answer, error) { return m.Do(unknown, false) },
		request(m, dnp3station.Operate, two), // nothing is selected now
		func() (dnp3station.Answer, error) {
			return dnp3station.Answer{}, m.Tell(dnp3station.DirectOperateNR, two)
		},
		m.Events)
}

func dnp3Files(s *Stage, m *dnp3station.Session, o *dnp3station.Outstation) error {
	if _, err := m.Fetch("/log/events.txt"); err != nil {
		return err
	}
	if err := m.Store("/cfg/new.bin", comtrade(450), false); err != nil {
		return err
	}
	if err := m.Store("/cfg/half.bin", comtrade(120), true); err != nil {
		return err
	}
	if _, err := m.Fetch("/no/such/file"); err == nil {
		return errors.New("a file that does not exist was read")
	}
	return steps(
		func() (dnp3station.Answer, error) { return m.Login("engineer", "lab-only") },
		func() (dnp3station.Answer, error) { return m.Info("/cfg/new.bin") },
		func() (dnp3station.Answer, error) { return m.Delete("/cfg/new.bin") },
		func() (dnp3station.Answer, error) { return m.Delete("/cfg/new.bin") })
}

func dnp3Fragments(s *Stage, m *dnp3station.Session, o *dnp3station.Outstation) error {
	for i := range 300 {
		o.Points[dnp3station.Analog] = append(o.Points[dnp3station.Analog], &dnp3station.Point{Value: float64(i) * 1.5})
		o.Points[dnp3station.Counter] = append(o.Points[dnp3station.Counter], &dnp3station.Point{Value: float64(i * 1000)})
	}
	return steps(m.Integrity, request(m, dnp3station.Read, dnp3station.All(30, 5), dnp3station.All(20, 1), dnp3station.All(1, 2)))
}

func dnp3Link(s *Stage, m *dnp3station.Session, o *dnp3station.Outstation) error {
	h := s.host("gateway")
	for _, control := range []byte{0x40, 0x72, 0x49} { // reset, test with its frame count bit, ask for the status
		if err := m.Link(control, 4, dnp3Master); err != nil {
			return err
		}
		h.Sleep(200 * time.Millisecond)
		if _, err := m.Events(); err != nil {
			return err
		}
	}
	// A link status request, a command and a read in one segment: the command must not be lost behind the short frame.
	trip := append([]byte{0xc0, 0xca, dnp3station.DirectOperate}, tripRelay...)
	read := append([]byte{0xc1, 0xcb, dnp3station.Read}, dnp3station.All(60, 2)...)
	b := append(append(dnp3station.Frame(0xc9, 4, dnp3Master, nil), dnp3station.Frame(0xc4, 4, dnp3Master, trip)...), dnp3station.Frame(0xc4, 4, dnp3Master, read)...)
	for kind, codes := range map[string][]int{"link_pri": {9, 4, 4}, "al_func": {int(dnp3station.DirectOperate), int(dnp3station.Read)}} {
		for _, c := range codes {
			s.Tally.Add("dnp3", kind, c)
		}
	}
	if _, err := m.Line.Write(b); err != nil {
		return err
	}
	return m.Run(h.Now().Add(2 * time.Second))
}

func dnp3Auth(s *Stage, m *dnp3station.Session, o *dnp3station.Outstation) error {
	if _, err := m.Do(closeRelay, true); err != nil {
		return err
	}
	m.WrongProof = true
	if _, err := m.Do(tripRelay, false); err == nil {
		return errors.New("a wrong proof was taken")
	}
	return nil
}

// dnp3Reversed lets the outstation connect to its master.
func dnp3Reversed(s *Stage) error {
	o := s.rtuDNP3("rtu-4", "tcp", 4)
	l, err := s.host("gateway").Listen("tcp", ":20000")
	if err != nil {
		return err
	}
	s.after("rtu-4", 10*time.Millisecond, func() {
		conn, err := s.dial("rtu-4", "tcp", "gateway", ":20000")
		if err != nil {
			s.fail("rtu-4", err)
			return
		}
		if err := o.Serve(conn); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) && !errors.Is(err, io.EOF) {
			s.fail("rtu-4", err)
		}
	})
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	m := dnp3station.NewSession(conn, s.host("gateway"), s.Tally, dnp3Master, 4)
	if err := m.Start(); err != nil {
		return err
	}
	_, err = m.Do(tripRelay, true)
	return errors.Join(err, m.Run(s.host("gateway").Now().Add(3*time.Second)))
}

// dnp3Gateway speaks with three outstations in turn, and trips them all at once.
func dnp3Gateway(s *Stage) error {
	var g dnp3station.Gateway
	for address := uint16(4); address <= 6; address++ {
		g = append(g, s.outstation("rtu-4", address))
	}
	s.serve("rtu-4", "tcp", ":20000", g.Serve)
	conn, err := s.dial("gateway", "tcp", "rtu-4", ":20000")
	if err != nil {
		return err
	}
	defer conn.Close()
	m := dnp3station.NewSession(conn, s.host("gateway"), s.Tally, dnp3Master, 4)
	for _, do := range []func() error{m.StartQuiet, func() error { return steps(m.Events) }} {
		for m.Peer = 4; m.Peer <= 6; m.Peer++ {
			if err := do(); err != nil {
				return err
			}
		}
	}
	m.Peer = dnp3station.BroadcastOptional
	if err := m.Tell(dnp3station.DirectOperate, tripRelay); err != nil {
		return err
	}
	s.host("gateway").Sleep(time.Second)
	for m.Peer = 4; m.Peer <= 6; m.Peer++ {
		if err := steps(m.Events); err != nil {
			return err
		}
	}
	return nil
}
