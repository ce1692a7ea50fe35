package script

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
	"github.com/roje-ot/roje/cmd/roje-lab/simnet"
)

// actsLAN are acts below and beside the three protocols.
var actsLAN = []Act{
	{Name: "arp-mitm", Title: "forged ARP replies put an attacker between the dispatch centre and a station", Actor: "rogue", Victims: []string{"rtu-2", "scada-a"},
		Expect: []string{"L01", "L02", "L03"}, Techniques: []string{"T0830"}, Virtual: true, Run: mitm},
	{Name: "port-sweep", Title: "the OT ports of the whole substation are tried", Actor: "rogue", Victims: []string{"rtu-1", "rtu-2", "rtu-3", "rtu-4", "rtu-5", "scada-a", "scada-b"},
		Expect: []string{"R02"}, Techniques: []string{"T0846"}, Run: portSweep},
	{Name: "syn-flood", Title: "half-open connections from many forged addresses", Actor: "rogue", Victims: []string{"rtu-1"},
		Expect: []string{"B05"}, Techniques: []string{"T0814"}, Virtual: true, Run: synFlood},
	{Name: "remote-access", Title: "a terminal session to a station's controller, and a web page of it", Actor: "rogue", Victims: []string{"rtu-1"},
		Expect: []string{"A10"}, Techniques: []string{"T0886"}, Run: remoteAccess},
	{Name: "wrong-port", Title: "Modbus on a port where nobody expects it", Actor: "visitor", Victims: []string{"battery"},
		Expect: []string{"R14", "A01"}, Techniques: []string{"T0885"}, Run: wrongPort},
}

// lan is what an act below IP needs of a host.
func (s *Stage) lan(name string) *simnet.Host { return s.host(name).(*simnet.Host) }

// mitm poisons both ends, stays for a while and keeps the poison fresh.
func mitm(s *Stage, a Act) error {
	rogue, station, master := s.lan(a.Actor), s.lan(a.Victims[0]), s.lan(a.Victims[1])
	between := s.net.Intercept(rogue, station, master)
	for range 16 {
		rogue.Announce(master.Addr, station)
		rogue.Sleep(20 * time.Millisecond)
		rogue.Announce(station.Addr, master)
		rogue.Sleep(2 * time.Second)
	}
	between.End = rogue.Now()
	station.Announce(station.Addr, nil) // the real one speaks up
	return nil
}

// portSweep tries to connect and hangs up.
func portSweep(s *Stage, a Act) error {
	for _, victim := range a.Victims {
		for _, port := range []string{":502", ":802", ":2404", ":19998", ":19999", ":20000", ":102", ":44818"} {
			if conn, err := s.dial(a.Actor, "tcp", victim, port); err == nil {
				conn.Close()
			}
			s.host(a.Actor).Sleep(30 * time.Millisecond)
		}
	}
	return nil
}

// synFlood sends SYNs that claim to come from hosts that do not exist.
func synFlood(s *Stage, a Act) error {
	rogue, victim := s.lan(a.Actor), s.lan(a.Victims[0])
	for i := range 120 {
		from := netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)})
		rogue.Forge(netip.AddrPortFrom(from, uint16(20000+37*i)), netip.AddrPortFrom(victim.Addr, 2404))
		rogue.Sleep(15 * time.Millisecond)
	}
	return nil
}

func remoteAccess(s *Stage, a Act) error {
	h := s.host(a.Actor)
	for _, service := range []struct{ port, greeting, said string }{
		{":23", "bay controller 2.14.3\r\nlogin: ", "operator\r\n"},
		{":80", "", "GET /status HTTP/1.0\r\n\r\n"},
	} {
		s.serve(a.Victims[0], "tcp", service.port, func(conn net.Conn) error {
			defer conn.Close()
			if err := send(conn, []byte(service.greeting)); err != nil {
				return err
			}
			b := make([]byte, 256)
			if _, err := conn.Read(b); err != nil {
				return err
			}
			return send(conn, []byte("HTTP/1.0 403 Forbidden\r\n\r\n"))
		})
		conn, err := s.dial(a.Actor, "tcp", a.Victims[0], service.port)
		if err != nil {
			return fmt.Errorf("port %s: %w", service.port, err)
		}
		h.Sleep(300 * time.Millisecond)
		if err := send(conn, []byte(service.said)); err != nil {
			return err
		}
		h.Sleep(500 * time.Millisecond)
		conn.Close()
	}
	return nil
}

func wrongPort(s *Stage, a Act) error {
	server := &modbusstation.Server{Units: devices()["battery"], Clock: s.host(a.Victims[0]), Tally: s.Tally}
	s.serve(a.Victims[0], "tcp", ":1502", server.Serve)
	conn, err := s.dial(a.Actor, "tcp", a.Victims[0], ":1502")
	if err != nil {
		return err
	}
	defer conn.Close()
	m := modbusstation.NewMaster(conn, s.host(a.Actor), s.Tally).To(1)
	for range 8 {
		if _, err := m.ReadInputRegisters(0, 4); err != nil {
			return err
		}
		s.host(a.Actor).Sleep(250 * time.Millisecond)
	}
	return nil
}
