package script

import (
	"time"
)

// brisk is the pace of short captures: what takes a day of polls happens in minutes.
const brisk = 3 * time.Second

// shift is an ordinary working time with a few switching actions at a brisk pace.
var shift = Plan{
	IEC104: tuesday.IEC104, DNP3: tuesday.DNP3, Modbus: tuesday.Modbus,
}

// Takes is every capture that the lab makes.
func Takes() []Take {
	list := []Take{
		{File: "day-normal.pcapng.gz", About: "a normal day: polls, an operator's switching, a maintenance visit, the clock at midnight",
			Start: time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC), Length: 24*time.Hour + time.Minute, Pace: 30 * time.Second, Play: Day(tuesday, clock(10, 30))},
		{File: "day-normal-2.pcap.gz", About: "another normal day with other work; the sessions are joined in the middle",
			Start: time.Date(2026, 3, 11, 0, 1, 0, 0, time.UTC), Lead: 10 * time.Minute, Length: 24 * time.Hour, Pace: 30 * time.Second, Play: Day(wednesday, clock(11, 40))},
	}
	for i, a := range Acts {
		list = append(list, Take{File: "act-" + a.Name + ".pcap", About: a.Title,
			Start: time.Date(2026, 3, 12, 8, 0, 0, 0, time.UTC).Add(time.Duration(i) * 13 * time.Minute), Length: time.Minute, Pace: brisk,
			Play: func(s *Stage) {
				s.Normal(shift)
				s.after(a.Actor, 20*time.Second, func() { s.Perform(a) })
			}})
	}
	list = append(list, takesGolden()...)
	return append(list, Take{File: "demo.pcap", About: "a minute of normal work, and then one act of attack after the other",
		Start: time.Date(2026, 3, 13, 15, 0, 0, 0, time.UTC), Length: 6 * time.Minute, Pace: brisk, Play: Demo})
}

// demo is the order of acts in the demonstration, least harm first.
var demo = []string{
	"port-sweep", "modbus-identify", "modbus-unit-scan", "iec104-station-sweep", "iec104-ca-sweep", "dnp3-address-sweep",
	"modbus-rogue-master", "modbus-function-scan", "iec104-rogue-master", "dnp3-rogue-master", "modbus-device-as-master", "arp-mitm",
	"modbus-frostygoop", "modbus-write-all", "modbus-engineering", "dnp3-operate-silently", "dnp3-disable-unsolicited", "dnp3-broadcast", "dnp3-file-transfer",
	"dnp3-clock-wrong", "iec104-parameters", "iec104-toggle", "iec104-industroyer2", "iec104-reset", "dnp3-stop-application", "dnp3-cold-restart",
	"modbus-malformed", "dnp3-malformed", "iec104-illegal", "modbus-diagnostics",
}

// Named finds an act.
func Named(name string) (Act, bool) {
	for _, a := range Acts {
		if a.Name == name {
			return a, true
		}
	}
	return Act{}, false
}

// Demo is a minute of normal work and then the acts of the demonstration.
func Demo(s *Stage) {
	s.Normal(shift)
	s.after("scada-a", time.Minute, func() {
		for _, name := range demo {
			if a, ok := Named(name); ok {
				s.Perform(a)
				s.host("scada-a").Sleep(3 * time.Second)
			}
		}
	})
}
