package script

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
	"github.com/roje-ot/roje/cmd/roje-lab/simnet"
)

// actsSearch are acts of somebody who looks for what is there, or who strains what he has found.
var actsSearch = []Act{
	{Name: "arp-sweep", Title: "the addresses of the whole network are asked for, and office computers are tried as if they were controllers", Actor: "rogue",
		Victims: []string{"rtu-1", "rtu-2", "rtu-3", "rtu-4", "rtu-5"}, Expect: []string{"R02"}, Techniques: []string{"T0846"}, Virtual: true, Run: arpSweep},
	{Name: "file-sharing", Title: "a dispatch centre opens the file sharing of a station, which then calls back for more", Actor: "scada-a", Victims: []string{"rtu-1"},
		Expect: []string{"A10", "A03"}, Techniques: []string{"T0886", "T0867"}, Run: fileSharing},
	{Name: "modbus-foreign-bytes", Title: "web requests are thrown at a controller's Modbus port", Actor: "visitor", Victims: []string{"rect-1"},
		Expect: []string{"R14"}, Techniques: []string{"T0885"}, Malformed: true, Run: foreignBytes},
	{Name: "dnp3-master-sweep", Title: "one master address after the other is tried on an outstation", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"R10", "A01"}, Techniques: []string{"T0846", "T0849"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			for m.Self = 2; m.Self < 9; m.Self++ {
				if _, err := m.Ask(dnp3station.Read, dnp3station.All(60, 2)); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(300 * time.Millisecond)
			}
			return nil
		})},
	{Name: "dnp3-requests-pile-up", Title: "an outstation gets a dozen requests at once, without waiting for an answer", Actor: "rogue", Victims: []string{"rtu-4"},
		Expect: []string{"B03", "A01"}, Techniques: []string{"T0814"}, Run: dnp3Act(func(m *dnp3station.Session, s *Stage, a Act) error {
			for range 12 {
				if err := m.Tell(dnp3station.Read, dnp3station.All(60, 2)); err != nil {
					return err
				}
			}
			return m.Run(s.host(a.Actor).Now().Add(3 * time.Second))
		})},
	{Name: "dnp3-false-reports", Title: "a false outstation calls the master and reports without end, and nobody confirms its reports", Actor: "rogue", Victims: []string{"gateway"},
		Expect: []string{"B07", "P12"}, Techniques: []string{"T0814", "T1692.002"}, Length: 2 * time.Minute, Run: dnp3Storm},
	{Name: "iec104-clock-often", Title: "a station's clock is set again and again", Actor: "rogue", Victims: []string{"rtu-3"},
		Expect: []string{"D09", "D08", "A01"}, Techniques: []string{"T0832"}, Run: iec104Act(3, func(m *iec104station.Session, s *Stage, a Act) error {
			for range 24 {
				if err := m.SetClock(s.host(a.Actor).Now()); err != nil {
					return err
				}
				s.host(a.Actor).Sleep(300 * time.Millisecond)
			}
			return nil
		})},
}

// arpSweep asks for forty addresses, and then tries the Modbus port of six hosts that have none.
func arpSweep(s *Stage, a Act) error {
	rogue := s.lan(a.Actor)
	for i := range byte(40) {
		rogue.Ask(netip.AddrFrom4([4]byte{10, 10, 1, 80 + i}))
		rogue.Sleep(40 * time.Millisecond)
	}
	for i := range byte(6) {
		office := s.net.Host(simnet.Spec{Name: "office", Addr: netip.AddrFrom4([4]byte{10, 10, 1, 200 + i}), MAC: mac(0xc0 + i), LAN: rogue.LAN, Think: time.Millisecond})
		if conn, err := rogue.Dial("tcp", office.Addr.String()+":502"); err == nil {
			conn.Close()
			return fmt.Errorf("%v took a connection", office.Addr)
		}
		rogue.Sleep(50 * time.Millisecond)
	}
	return nil
}

// fileSharing opens and keeps alive a NetBIOS session (RFC 1002 §4.3.6), which is as much as a packet filter sees of it.
func fileSharing(s *Stage, a Act) error {
	keepAlive := []byte{0x85, 0, 0, 0}
	s.serve(a.Victims[0], "tcp", ":445", func(conn net.Conn) error {
		defer conn.Close()
		b := make([]byte, len(keepAlive))
		if _, err := io.ReadFull(conn, b); err != nil {
			return err
		}
		return send(conn, b)
	})
	conn, err := s.dial(a.Actor, "tcp", a.Victims[0], ":445")
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := send(conn, keepAlive); err != nil {
		return err
	}
	s.host(a.Actor).Sleep(time.Second)
	if back, err := s.dial(a.Victims[0], "tcp", a.Actor, ":445"); err == nil { // the dispatch centre refuses
		back.Close()
	}
	return nil
}

// foreignBytes asks for a web page on a new connection each time, as the device hangs up.
func foreignBytes(s *Stage, a Act) error {
	for range 6 {
		conn, err := s.dial(a.Actor, "tcp", a.Victims[0], ":502")
		if err != nil {
			return err
		}
		if err := send(conn, []byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
			return err
		}
		s.host(a.Actor).Sleep(400 * time.Millisecond)
		conn.Close()
	}
	return nil
}

// dnp3Storm makes an outstation of the attacker's call the gateway, which reads what it says and answers nothing.
func dnp3Storm(s *Stage, a Act) error {
	s.serve(a.Victims[0], "tcp", ":20000", func(conn net.Conn) error {
		defer conn.Close()
		_, err := io.Copy(io.Discard, conn)
		return err
	})
	conn, err := s.dial(a.Actor, "tcp", a.Victims[0], ":20000")
	if err != nil {
		return err
	}
	defer conn.Close()
	const control, whole, confirm, unsolicited = 0x44, 0xc0, 0x20, 0x10 // user data of an outstation; first and final; IEEE 1815 4.2.2.4
	for i := range byte(56) {
		fragment := []byte{whole | i, whole | confirm | unsolicited | i&0x0f, dnp3station.Unsolicited, 0, 0}
		fragment = append(fragment, dnp3station.At16(2, 1, uint16(i%4), 0x01|i&1<<7)...)
		s.Tally.Add("dnp3", "al_func", dnp3station.Unsolicited)
		s.Tally.Add("dnp3", "link_pri", control&0x0f)
		if err := send(conn, dnp3station.Frame(control, dnp3Master, 9, fragment)); err != nil {
			return err
		}
		s.host(a.Actor).Sleep(150 * time.Millisecond)
	}
	return nil
}
